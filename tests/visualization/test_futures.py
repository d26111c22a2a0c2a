"""Sheets of futures: predictions stand below the frames that they predict."""

import numpy as np

from tfssl.visualization.futures import colored_masks, futures_sheet


def test_shorter_rows_end_with_the_longest(tmp_path):
    true, predicted = np.zeros((3, 8, 8, 3)), np.zeros((1, 8, 8, 3))
    sheet = futures_sheet([{"true": true, "predicted": predicted}], tmp_path / "sheet.png", context=2, cell=8)
    pixels = np.asarray(sheet)
    dark = (pixels[:, -40:].sum(axis=2) == 0).reshape(-1, 40)
    rows = dark[-22:]  # two rows of frames of 8 pixels with their margins
    assert rows[:10, -12:].any() and rows[-12:, -12:].any()
    assert not rows[-12:, :-12].any(), "nothing below what was seen"
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_masks_are_mixtures_of_colors():
    masks = np.array([[[[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]]]])
    found = colored_masks(masks)[0, 0]
    np.testing.assert_allclose(found[0], 1)
    np.testing.assert_allclose(found[1], np.array([0x00, 0x72, 0xB2]) / 255)
    np.testing.assert_allclose(found[2], (1 + np.array([0xD5, 0x5E, 0x00]) / 255) / 2)
    assert colored_masks(np.eye(20)[None]).shape == (1, 20, 3), "more masks than colors"
