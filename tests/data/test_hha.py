"""HHA of rendered rooms with exact depth, and the card's values."""

import numpy as np
import pytest

from tfssl.data.hha import NYU_COLOR, encode_hha, estimate_gravity, plane_normals
from tfssl.errors import ConfigError

SIZE = (60, 80)
CAMERA = {"fx": 65.0, "fy": 65.0, "cx": 39.5, "cy": 29.5}


def rays():
    v, u = np.indices(SIZE)
    return np.stack([(u - CAMERA["cx"]) / CAMERA["fx"], (v - CAMERA["cy"]) / CAMERA["fy"], np.ones(SIZE)], axis=-1)


def room(pitch, roll=0.0, below=1.4, wall=4.0):
    """Depth in meters of a floor and a wall seen by a camera that looks down by ``pitch`` degrees; and gravity."""
    p, r = np.radians([pitch, roll])
    down = np.array([np.sin(r) * np.cos(p), np.cos(r) * np.cos(p), np.sin(p)])
    ahead = np.array([0.0, 0.0, 1.0]) - down[2] * down
    ahead /= np.linalg.norm(ahead)
    with np.errstate(divide="ignore"):
        floor, front = below / (rays() @ down), wall / (rays() @ ahead)
    return np.minimum(np.where(floor > 0, floor, np.inf), np.where(front > 0, front, np.inf)), down


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (10, 0), (25, 5), (30, -10)])
def test_gravity_of_a_tilted_floor_within_one_degree(pitch, roll):
    depth, down = room(pitch, roll)
    found = estimate_gravity(plane_normals(depth, **CAMERA, reach=3))
    assert np.degrees(np.arccos(np.clip(found @ down, -1, 1))) < 1


def test_floor_wall_and_height():
    depth, down = room(20)
    hha = encode_hha(depth, **CAMERA).astype(int)
    is_floor = np.abs(1.4 / (rays() @ down) - depth) < 1e-9
    inner = np.zeros(SIZE, bool)
    inner[4:-4, 4:-4] = True
    # Windows across the corner of floor and wall fit neither.
    edge = np.abs(np.gradient(is_floor.astype(float), axis=0)) > 0
    far = ~np.isin(np.arange(SIZE[0]), np.where(edge.any(axis=1))[0][:, None] + np.arange(-5, 6))[:, None] & inner
    assert np.abs(hha[..., 2][far & is_floor] - 38).max() <= 1
    assert np.abs(hha[..., 2][far & ~is_floor] - 128).max() <= 1
    height = 140 - 100 * depth * (rays() @ down)
    np.testing.assert_allclose(hha[..., 1], np.clip(height, 0, 255), atol=2.5)


def test_ceiling():
    down = np.array([0.0, 1.0, 0.0])
    with np.errstate(divide="ignore"):
        depth = -1.0 / (rays() @ down)
    depth[(depth <= 0) | (depth > 8)] = 0
    angle = encode_hha(depth, **CAMERA)[..., 2]
    assert np.abs(angle[4:20, 4:-4].astype(int) - 218).max() <= 1


@pytest.mark.parametrize(("meters", "value"), [(0.5, 255), (1, 255), (1.24, 250), (2, 155), (3.1, 100), (10, 31)])
def test_disparity(meters, value):
    assert np.all(encode_hha(np.full(SIZE, meters), **CAMERA)[..., 0] == value)


def test_without_a_floor_the_camera_is_130_cm_up():
    height = encode_hha(np.full(SIZE, 1.0), **CAMERA)[..., 1].astype(int)
    assert height[29, 0] == pytest.approx(131, abs=1)  # half a pixel above the axis


def test_unknown_depth():
    depth, _ = room(20)
    depth[:10] = 0
    depth[50, 40] = np.nan
    hha = encode_hha(depth, **CAMERA)
    assert not hha[:10, :, :2].any() and np.all(hha[:10, :, 2] == 218)
    assert not hha[50, 40, :2].any()


def test_errors():
    with pytest.raises(ConfigError, match=r"`depth` must have the shape \(H, W\)"):
        encode_hha(np.ones((2, 3, 4)), **NYU_COLOR)
    with pytest.raises(ConfigError, match="known distance"):
        encode_hha(np.zeros((4, 4)), **NYU_COLOR)
