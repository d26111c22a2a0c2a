"""Arrays as images: what is taken, what is refused with its reason."""

import numpy as np
import pytest

from tfssl.data.decode import array_to_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_arrays(shape):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    expected = np.broadcast_to(array.reshape(5, 4, -1), (5, 4, 3))
    for given in (array, array.astype(np.float32) / 255, array / 255.0, (array / 255.0).astype(np.float16)):
        np.testing.assert_array_equal(np.asarray(array_to_image(given)), expected)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"shape=\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape=\(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"shape=\(4,\)"),
        (np.zeros((4, 4), np.int64), "dtype=int64"),
        (np.full((4, 4), 255.0), r"divide by 255"),
        (np.full((4, 4), -0.1), r"lie in \[0, 1\]"),
        (np.full((4, 4), np.nan), "NaN"),
    ],
)
def test_refused_arrays(array, reason):
    with pytest.raises(ValueError, match=reason):
        array_to_image(array)
