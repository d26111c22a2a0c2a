"""Normals from depth, on surfaces whose normals are known."""

import numpy as np
import pytest

from tfssl.data.depth_normals import normals_from_depth, points_from_depth
from tfssl.errors import ConfigError

CAMERA = {"fx": 60.0, "fy": 62.0, "cx": 31.5, "cy": 23.5}
SHAPE = (48, 64)


def plane(normal, distance):
    """Depth of the plane ``normal . p = distance`` seen by the camera."""
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    return distance / (rays @ np.asarray(normal))


@pytest.mark.parametrize("normal", [(0, 0, -1), (0.6, 0, -0.8), (0, -0.8, -0.6), (-0.48, 0.36, -0.8)])
def test_planes_have_their_normal_everywhere(normal):
    found = normals_from_depth(plane(normal, -2.0), **CAMERA, jump=1.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(np.float32(normal), (*SHAPE, 3)), atol=1e-5)


def test_a_floor_points_up_and_the_unit_does_not_matter():
    """y points down in the camera, so up is (0, -1, 0)."""
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    depth = np.where(rays[..., 1] > 0.05, 1.5 / np.maximum(rays[..., 1], 0.05), 0)
    meters, millimeters = (normals_from_depth(unit * depth, **CAMERA, window=7, jump=0.5) for unit in (1, 1000))
    np.testing.assert_allclose(meters[36:], np.broadcast_to([0, -1, 0], meters[36:].shape), atol=1e-4)
    np.testing.assert_allclose(meters, millimeters, atol=1e-4)
    assert not meters[depth == 0].any()


def test_a_sphere_points_away_from_its_center():
    rays = points_from_depth(np.ones(SHAPE), **CAMERA)
    center, radius = np.array([0.1, -0.1, 3.0]), 1.0
    a, b, c = (rays**2).sum(-1), rays @ center, center @ center - radius**2
    hit = b**2 - a * c
    depth = np.where(hit > 0, (b - np.sqrt(np.maximum(hit, 0))) / a, 0)
    found = normals_from_depth(depth, **CAMERA, window=3)
    outward = (points_from_depth(depth, **CAMERA) - center) / radius
    inside = (depth > 0) & (outward[..., 2] < -0.6)
    angles = np.degrees(np.arccos(np.clip((found * outward).sum(-1)[inside], -1, 1)))
    assert inside.sum() > 300 and angles.max() < 3.0


def test_points_across_a_jump_are_left_out():
    """Two walls seen from the front, one behind the other: no pixel looks sideways."""
    depth = np.where(np.arange(64) < 30, 2.0, 3.0) * np.ones((48, 1))
    np.testing.assert_allclose(
        normals_from_depth(depth, **CAMERA, window=7), np.broadcast_to([0, 0, -1], (48, 64, 3)), atol=1e-5
    )
    assert normals_from_depth(depth, **CAMERA, window=7, jump=1.0)[20, 30, 2] > -0.9


def test_noise_is_averaged():
    random = np.random.default_rng(0)
    depth = plane((0.6, 0, -0.8), -2.0) * (1 + random.normal(0, 0.002, SHAPE))
    cosines = [normals_from_depth(depth, **CAMERA, window=w, jump=0.5) @ (0.6, 0, -0.8) for w in (3, 7, 11)]
    errors = [np.degrees(np.arccos(np.minimum(cosine, 1))).mean() for cosine in cosines]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_where_little_is_known_nothing_is_told():
    depth = np.full(SHAPE, 2.0)
    depth[:, :20] = 0
    depth[10, 10] = 2.0  # alone
    depth[30, 40:] = np.nan
    depth[31, 40:] = -1.0
    found = normals_from_depth(depth, **CAMERA, window=7)
    known = np.any(found != 0, axis=-1)
    assert not known[:, :20].any() and not known[30:32, 40:].any()
    assert known[:, 20:40].all() and known[0, 63] and known[29, 50]
    np.testing.assert_allclose(found[known], np.broadcast_to([0, 0, -1], (known.sum(), 3)), atol=1e-5)


@pytest.mark.parametrize("options", [{"window": 4}, {"window": 1}, {"jump": -0.1}])
def test_wrong_settings(options):
    with pytest.raises(ConfigError, match="`window` must be odd"):
        normals_from_depth(np.ones(SHAPE), **CAMERA, **options)
    with pytest.raises(ConfigError, match=r"shape=\(2, 2, 1\)"):
        normals_from_depth(np.ones((2, 2, 1)), **CAMERA)
