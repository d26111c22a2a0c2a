"""Rendered motions with labels: what moves goes where it says, in both views."""

import numpy as np
import pytest

from tfssl.data.acted import MOTIONS, acted_clips
from tfssl.errors import ConfigError


@pytest.fixture(scope="module")
def white():
    return [np.full((60, 60, 3), 255, np.uint8)]


@pytest.fixture(scope="module")
def photographs():
    return list(np.random.default_rng(0).integers(0, 256, (2, 90, 90, 3), np.uint8))


def test_every_class_moves_as_its_name_says(white):
    source = acted_clips(white, count=1, seed=1).images
    for index, motion in enumerate(MOTIONS):
        path = source.path(index)
        change = {name: path[name][-1] - path[name][0] for name in ("x", "y", "angle", "disparity", "scale")}
        wanted = {
            "left": ("x", -1), "right": ("x", 1), "up": ("y", -1), "down": ("y", 1), "clockwise": ("angle", 1),
            "counterclockwise": ("angle", -1), "toward": ("disparity", 1), "away": ("disparity", -1),
        }[motion]  # fmt: skip
        moved = {name for name, by in change.items() if abs(by) > 1e-9}
        if motion in ("toward", "away"):  # perspective: what comes nearer grows, and leaves the middle of the image
            assert moved == {"disparity", "scale", "x", "y"} and change["scale"] * wanted[1] > 0
            np.testing.assert_allclose(path["scale"], 1 + path["disparity"] / 20)
        else:
            assert moved == {wanted[0]}
        assert change[wanted[0]] * wanted[1] > 0
        assert (path["disparity"] > path["background"]).all(), "the background lies behind"


def test_both_views_show_the_object_at_its_disparity():
    # The object is white on black: the centers of brightness of the views are its centers.
    pieces = [np.zeros((80, 80, 3), np.uint8), np.full((80, 80, 3), 255, np.uint8)]
    source = acted_clips(
        pieces, motions=("left", "toward"), count=12, frames=6, size=(40, 60), noise=0.0, seed=4
    ).images
    shown = 0
    for index in range(len(source)):
        example, path = source.example(index), source.path(index)
        left, right = (example[role].frames(np.arange(6))[..., 0].astype(float) for role in ("left", "right"))
        if left[0, 0, 0] > 0 or left.max() == 0:  # white on white, black on black
            continue
        columns = np.arange(60) + 0.5
        of_left, of_right = ((view.sum(axis=1) @ columns) / view.sum(axis=(1, 2)) for view in (left, right))
        np.testing.assert_allclose(of_left, path["x"], atol=0.3)
        np.testing.assert_allclose(of_left - of_right, path["disparity"], atol=0.3)
        shown += 1
    assert shown > 2


def test_clockwise_is_clockwise_as_it_is_seen():
    # A texture that is brighter at its top: its top goes to the right.
    ramp = np.repeat(np.linspace(255, 0, 40).astype(np.uint8)[:, None, None], 40, axis=1).repeat(3, axis=2)
    source = acted_clips([ramp], motions=("clockwise", "counterclockwise"), count=1, noise=0.0, seed=0).images
    for index, sign in enumerate((1, -1)):
        path, clip = source.path(index), source.example(index)["left"]
        for t in (0, 11):
            frame = clip.frames([t])[0, ..., 0].astype(float)
            y, x = np.indices(frame.shape) + 0.5
            near = (x - path["x"][t]) ** 2 + (y - path["y"][t]) ** 2 < (0.5 * path["radius"]) ** 2
            slope = np.linalg.lstsq(np.stack([x[near], y[near], np.ones(near.sum())], 1), frame[near], rcond=None)[0]
            top = np.arctan2(slope[0], -slope[1])  # direction of what is bright, clockwise from above
            assert abs(np.angle(np.exp(1j * (top - path["angle"][t])))) < 0.1
        assert sign * (path["angle"][-1] - path["angle"][0]) > 0


def test_clips_follow_from_the_seed(photographs):
    options = {"count": 2, "frames": 3, "size": (24, 32)}
    source = acted_clips(photographs, seed=2, **options)
    example, again = source.example(5), acted_clips(photographs, seed=2, **options).example(5)
    other = acted_clips(photographs, seed=3, **options).example(5)
    frames = [one["right"].frames(np.arange(3)) for one in (example, again, other)]
    assert len(source) == 16 and frames[0].shape == (3, 24, 32, 3) and example["label"] == 2
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (frames[0] != frames[2]).any()
    few = source.take([0, 15])
    assert few.labels == (0, 7) and few.classes == MOTIONS and few.name(1) == "rendered clip 15"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"motions": ("left",)}, "`motions` must be two or more of left, right"),
        ({"motions": ("left", "jump")}, "`motions` must be two or more of left, right"),
        ({"count": 0}, "`count` must be an integer of at least 1"),
        ({"frames": 1}, "`frames` must be an integer of at least 2"),
        ({"size": (8, 48)}, "`height` must be an integer of at least 16"),
        ({"speed": (2, 1)}, "`speed` must be"),
        ({"turn": (0, 1)}, "`turn` must be"),
        ({"baseline": 4}, "`baseline` must be above 4.25"),
    ],
)
def test_what_cannot_be_rendered_is_refused(white, options, message):
    with pytest.raises(ConfigError, match=message):
        acted_clips(white, **options)
