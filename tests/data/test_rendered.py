"""Rendered pairs: what is at x on the left is at x - disparity on the right, and everything follows from the seed."""

import numpy as np
import pytest

from tfssl.data.rendered import moving_source, random_dots, right_view, shifted_pairs, stereogram_source
from tfssl.errors import ConfigError


def test_shifted_pairs():
    x, y, shift = shifted_pairs(50, 16, range(-3, 4), seed=1)
    assert set(shift) == set(range(-3, 4)) and x.dtype == y.dtype == np.float32
    for row, rolled, by in zip(x, y, shift, strict=True):
        np.testing.assert_array_equal(rolled, np.roll(row, by))
    np.testing.assert_array_equal(shifted_pairs(50, 16, range(-3, 4), seed=1)[1], y)


def test_the_nearer_covers_and_the_uncovered_is_filled():
    left = np.array([[1, 2, 3, 4, 5, 6]])
    disparity = np.array([[0, 0, 0, 2, 2, 0]])
    np.testing.assert_array_equal(right_view(left, disparity, np.full((1, 6), 9)), [[1, 4, 5, 9, 9, 6]])
    np.testing.assert_array_equal(right_view(left, disparity * 0 - 1, np.full((1, 6), 9)), [[9, 1, 2, 3, 4, 5]])


@pytest.mark.parametrize("textures", [None, [np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)]])
def test_stereograms(textures):
    source = stereogram_source(textures, count=3, size=(40, 50), disparities=(-3, 5), seed=2)
    example = source.example(2)
    left, right = (np.asarray(example[name].convert("RGB")) for name in ("left", "right"))
    disparity = example["disparity"]
    assert disparity.shape == (40, 50) and disparity.min() >= -3 and disparity.max() <= 5 and len(source) == 3
    rows, columns = np.indices(disparity.shape)
    target = (columns - disparity).astype(int)
    seen = (target >= 0) & (target < 50)
    agree = (right[rows[seen], target[seen]] == left[seen]).all(axis=-1)
    assert agree.mean() > 0.8  # the rest is covered by what is nearer
    again = stereogram_source(textures, count=3, size=(40, 50), disparities=(-3, 5), seed=2).example(2)
    np.testing.assert_array_equal(again["right"], example["right"])
    assert (np.asarray(source.example(1)["left"]) != np.asarray(example["left"])).any()


def test_windows_move_as_they_say():
    ramp = np.repeat(np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 150, axis=0), 3, axis=2)
    source = moving_source([ramp], count=4, frames=4, size=(20, 30), speed=2.0, disparities=(3, 9), seed=0)
    for index in range(4):
        (vx, _), disparity = source.motion(index)
        example = source.example(index)
        left, right = (example[name].frames(range(4)).astype(float) for name in ("left", "right"))
        assert left.shape == (4, 20, 30, 3)
        np.testing.assert_allclose(np.diff(left.mean(axis=(1, 2, 3))), vx, atol=1.0)
        np.testing.assert_allclose((right - left).mean(axis=(1, 2, 3)), disparity, atol=1.0)  # each view is rounded
    clip = moving_source([ramp], frames=3).example(0)["clip"]
    assert len(clip) == 3 and clip.frames([2]).shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    "make, options, message",
    [
        (stereogram_source, {"disparities": (4, -4)}, "`disparities` must be"),
        (stereogram_source, {"disparities": (0, 128)}, "smaller than the width of 128 pixels"),
        (stereogram_source, {"count": 0}, "`count` must be"),
        (moving_source, {"frames": 1}, "`frames` must be"),
        (moving_source, {"speed": -1}, "`speed` must be"),
        (moving_source, {"disparities": (4, -4)}, "`disparities` must be"),
    ],
)
def test_what_cannot_be_rendered_is_refused(make, options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_random_dots():
    dots = random_dots(9, 10, np.random.default_rng(0), dot=2)
    assert dots.shape == (9, 10) and set(np.unique(dots)) == {0, 255}
    np.testing.assert_array_equal(dots[0, ::2], dots[1, 1::2])
