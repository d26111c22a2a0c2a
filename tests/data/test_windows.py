"""Windows of clips: which frames, and which squares of them."""

import numpy as np
import pytest

from tfssl.data.rendered import FrameClip
from tfssl.data.windows import draw_window, square_frames
from tfssl.errors import ConfigError


def test_windows_lie_anywhere_in_a_clip():
    rng = np.random.default_rng(0)
    drawn = [tuple(draw_window(6, 3, rng, step=2).tolist()) for _ in range(40)]
    assert set(drawn) == {(0, 2, 4), (1, 3, 5)}


def test_a_short_clip_is_told():
    with pytest.raises(ValueError, match="has 4 frames, too few for a window of 3 that lie 2 apart"):
        draw_window(4, 3, np.random.default_rng(0), step=2)
    with pytest.raises(ConfigError, match="`count`"):
        draw_window(4, 0, np.random.default_rng(0))


def test_squares_are_central_and_keep_pixels_of_their_size():
    pixels = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    np.testing.assert_array_equal(square_frames(FrameClip(pixels), [1], 4), pixels[1:, :, 1:5])


def test_smaller_frames_average():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    small = square_frames(FrameClip(stripes), [0], 8)
    assert small.shape == (1, 8, 8, 3) and np.abs(small.astype(int) - 128).max() <= 8, "stripes become gray"
