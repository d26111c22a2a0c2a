"""The tiled picture of filters."""

import numpy as np
import pytest
from PIL import Image

from tfssl.visualization.filters import filter_sheet, stretch


def test_every_filter_has_its_tile(tmp_path):
    filters = np.random.default_rng(0).normal(size=(7, 4, 5)) * np.arange(1, 8)[:, None, None]
    image = filter_sheet(filters, tmp_path / "sheets" / "filters.png", columns=3, zoom=2)
    pixels = np.asarray(Image.open(tmp_path / "sheets" / "filters.png"))
    assert pixels.shape == (2 * (3 * 5 + 1), 2 * (3 * 6 + 1)) and image.size == pixels.shape[::-1]
    for number, tile in enumerate(filters):
        row, column = divmod(number, 3)
        drawn = pixels[::2, ::2][1 + row * 5 : 5 + row * 5, 1 + column * 6 : 6 + column * 6]
        np.testing.assert_array_equal(drawn, np.rint(255 * (tile - tile.min()) / np.ptp(tile)))
        assert drawn.min() == 0 and drawn.max() == 255


def test_color_and_single_channel(tmp_path):
    rng = np.random.default_rng(1)
    assert filter_sheet(rng.random((4, 3, 3, 3)), tmp_path / "a.png").mode == "RGB"
    assert filter_sheet(rng.random((4, 3, 3, 1)), tmp_path / "b.png").mode == "L"
    with pytest.raises(ValueError, match="`filters`"):
        filter_sheet(rng.random((4, 3, 3, 2)), tmp_path / "c.png")


def test_stretch():
    np.testing.assert_allclose(stretch(np.array([2.0, 3.0, 4.0])), [0, 0.5, 1])
    np.testing.assert_allclose(stretch(np.array([-9.0, 3.0]), like=np.array([2.0, 4.0])), [0, 0.5])
    assert (stretch(np.ones(3)) == 0.5).all()
