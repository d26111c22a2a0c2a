"""Lab of bytes against scikit-image, over the cube and all grays."""

import numpy as np
from skimage.color import rgb2lab

from tfssl.ops.bytes_lab import ab, lightness


def test_equals_scikit_image():
    axis = np.arange(0, 256, 5)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    pixels = np.concatenate([grid, np.repeat(np.arange(256)[:, None], 3, axis=1)]).astype(np.uint8)
    expected = rgb2lab(pixels / 255.0)
    assert np.abs(lightness(pixels) - expected[:, 0]).max() < 1e-3
    assert np.abs(ab(pixels) - expected[:, 1:]).max() < 1e-3
    assert lightness(pixels).dtype == ab(pixels).dtype == np.float32


def test_any_leading_shape():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    assert lightness(pixels).shape == (2, 5, 4) and ab(pixels).shape == (2, 5, 4, 2)
    np.testing.assert_array_equal(ab(pixels)[1, 2, 3], ab(pixels[1, 2, 3]))
