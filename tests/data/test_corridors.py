"""Rendered drives: rays and planes by hand, what both cameras and the next frame see of a point, seeds."""

import pickle

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tfssl.data.corridors import CAMERA_HEIGHT, _meet, corridor_source
from tfssl.data.posed import posed_source, write_sequence
from tfssl.errors import ConfigError
from tfssl.ops.trajectory import motions

TEXTURES = [
    np.random.default_rng(n).integers(0, 256, (12, 14, 3), np.uint8).repeat(12, 0).repeat(12, 1) for n in (0, 1)
]


def test_rays_meet_planes():
    planes = {
        "start": np.array([[-5.0, 10.0], [-1.0, 4.0], [2.0, -3.0]]),
        "edge": np.array([[10.0, 0.0], [2.0, 0.0], [0.0, 9.0]]),
        "along": np.array([100.0, 0.0, 0.0]),
    }
    rays = np.array([[0.0, 1.0], [0.4, 1.0], [-3.0, 1.0]])  # straight on, to the right, far to the left
    depth, along, plane = _meet(np.zeros(2), rays, planes)
    np.testing.assert_allclose(depth.T, [[4, 10, np.inf], [5, 10, np.inf], [np.inf] * 3])
    np.testing.assert_array_equal(plane.T[:2, :2], [[1, 0], [2, 0]])
    np.testing.assert_allclose(along.T[:2, :2], [[1, 105], [8, 109]])


def seen(source, frame, side, points):
    """Gray values at points of the world (N, 3), and whether the camera sees them within the image."""
    pose = source.poses[frame]
    at = (np.c_[points, np.ones(len(points))] @ np.linalg.inv(pose).T)[:, :3]
    at = at - [source.baseline if side == "right" else 0, 0, 0]
    x, y, z = (at @ source.intrinsics.T).T
    x, y = x / z, y / z
    pixels = np.asarray(source.example(frame)[side], float)
    inside = (z > 1) & (x > 1) & (x < pixels.shape[1] - 2) & (y > 1) & (y < pixels.shape[0] - 2)
    return map_coordinates(pixels, [y, x], order=1, mode="nearest"), inside


@pytest.mark.parametrize("radius", [None, 14.0])
def test_a_point_of_the_ground_looks_alike_from_everywhere(radius):
    source = corridor_source(TEXTURES, frames=28, size=(64, 192), radius=radius, noise=0.0, seed=4)
    frame = 25
    x, z = np.meshgrid(np.arange(-0.9, 0.91, 0.1), np.arange(7.5, 14.0, 0.1))
    local = np.stack([x.ravel(), np.full(x.size, CAMERA_HEIGHT), z.ravel(), np.ones(x.size)], axis=1)
    points = (local @ source.poses[frame].T)[:, :3]
    here, inside = seen(source, frame, "left", points)
    assert here.std() > 20
    for other, side in ((frame, "right"), (frame + 1, "left"), (frame + 2, "right")):
        there, both = seen(source, other, side, points)
        both &= inside
        assert both.sum() > 200
        assert np.corrcoef(here[both], there[both])[0, 1] > 0.9


def test_drives_follow_from_their_seed():
    source, again, other = (corridor_source(TEXTURES, frames=12, seed=seed) for seed in (1, 1, 2))
    example = source.example(7)
    assert example["left"].size == (96, 32) and example["left"].mode == "L" and example["pose"].shape == (4, 4)
    for side in ("left", "right"):
        np.testing.assert_array_equal(example[side], again.example(7)[side])
        assert (np.asarray(example[side]) != np.asarray(other.example(7)[side])).any()
    copied = pickle.loads(pickle.dumps(source))
    assert not copied.kept and len(source.kept) == 12
    np.testing.assert_array_equal(copied.example(7)["right"], example["right"])
    np.testing.assert_allclose(source.poses[0], np.eye(4), atol=1e-12)


def test_drives_turn_to_both_sides_or_not_at_all():
    true = motions(corridor_source(TEXTURES, frames=400, seed=0).poses, 1)
    assert 0.3 <= true[:, 0].min() < 0.5 and 1.2 < true[:, 0].max() <= 1.5
    turns = np.degrees(true[:, 1])
    assert turns.min() < -0.5 and turns.max() > 0.5 and np.abs(turns).max() < np.degrees(1.5 / 14)
    straight = motions(corridor_source(TEXTURES, frames=50, radius=None).poses, 1)
    np.testing.assert_allclose(straight[:, 1], 0, atol=1e-9)


def test_it_is_written_in_the_layout_of_the_benchmark(tmp_path):
    source = corridor_source(TEXTURES, frames=3, seed=5)
    write_sequence(source, tmp_path / "drive")
    read = posed_source(tmp_path / "drive", stereo=True)
    np.testing.assert_allclose(read.poses, source.poses, atol=1e-8)
    np.testing.assert_allclose(read.intrinsics, source.intrinsics)
    assert read.baseline == pytest.approx(0.54)
    for side in ("left", "right"):
        np.testing.assert_array_equal(np.asarray(read.example(2)[side].convert("L")), source.example(2)[side])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"frames": 1}, "`frames` must be an integer of at least 2"),
        ({"size": (8, 96)}, "`height` must be an integer of at least 16"),
        ({"speed": (0, 1)}, "`speed` must be"),
        ({"radius": 5}, "`radius` must be at least 12 meters"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ConfigError, match=message):
        corridor_source(TEXTURES, **options)
