"""Rendered scenes: the thing is where it is said to be, and everything follows from the seed."""

import numpy as np
import pytest

from tfssl.data.scenes import scene_clips
from tfssl.errors import ConfigError

SMALL = {"count": 4, "frames": 8, "size": (64, 80)}


def test_shapes_and_the_same_again():
    first, again, other = (scene_clips("builtin", **SMALL, seed=seed).example(1)["clip"] for seed in (3, 3, 4))
    assert len(first) == 8
    frames = first.frames([5, 0])
    assert frames.shape == (2, 64, 80, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, again.frames(range(8))[[5, 0]])
    assert (frames != other.frames([5, 0])).mean() > 0.5


def test_the_thing_stays_in_the_frame_and_moves():
    scenes = scene_clips("builtin", count=20, frames=31, size=(96, 128), speed=(2.0, 4.0))
    for number in range(len(scenes)):
        boxes = scenes.example(number)["clip"].boxes
        assert (boxes >= -1e-6).all() and (boxes <= [128 + 1e-6, 96 + 1e-6, 128 + 1e-6, 96 + 1e-6]).all()
        steps = np.linalg.norm(np.diff((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0), axis=1)
        assert np.median(steps) >= 2.0 - 1e-6 and steps.max() <= 4.0 + 1e-6


def test_only_the_thing_moves_without_a_pan():
    clip = scene_clips("builtin", count=1, frames=2, size=(64, 80), speed=(4.0, 4.0), pan=0.0, seed=2).example(0)[
        "clip"
    ]
    first, second = clip.frames([0, 1]).astype(float)
    changed = np.abs(first / clip.light[0] - second / clip.light[1]).mean(axis=-1)
    low, high = clip.boxes[:, :2].min(axis=0) - 1, clip.boxes[:, 2:].max(axis=0) + 1
    rows, columns = np.indices(changed.shape)
    inside = (columns >= low[0]) & (columns <= high[0]) & (rows >= low[1]) & (rows <= high[1])
    assert changed[~inside].mean() < 5 < changed[inside].mean()


@pytest.mark.parametrize("fields", [{"speed": (3, 1)}, {"pan": -1}, {"frames": 1}, {"count": 0}, {"size": (16, 80)}])
def test_wrong_values_are_named(fields):
    with pytest.raises(ConfigError, match=next(iter(fields)) if "size" not in fields else "height"):
        scene_clips("builtin", **fields)
