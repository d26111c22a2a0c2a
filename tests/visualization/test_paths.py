"""Paths seen from above."""

import numpy as np
from PIL import Image

from tfssl.visualization.paths import draw_paths


def test_names_have_one_color_and_meters_are_alike(tmp_path):
    line = np.stack([np.arange(5.0), np.arange(5.0) ** 2], axis=1)
    panels = {"one": {"truth": line, "model": line + 1, "straight": line[:2]}, "two": {"model": line}}
    figure = draw_paths(panels, tmp_path / "new" / "paths.png", dashed=("straight",))
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    truth, model, straight, _ = first.lines
    assert model.get_color() == second.lines[0].get_color() != truth.get_color()
    assert straight.get_linestyle() == "--" and first.get_aspect() == 1
    np.testing.assert_array_equal(truth.get_xydata(), line)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "model", "straight"]
    with Image.open(tmp_path / "new" / "paths.png") as image:
        assert image.width > 800
