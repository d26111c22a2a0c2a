"""HHA: depth as three channels that a network of images can read: disparity, height above the floor, angle to gravity.

S. Gupta, R. Girshick, P. Arbelaez, J. Malik: Learning Rich Features from RGB-D Images. ECCV 2014. The steps are those
of the released MATLAB code, whose rounding and clipping to bytes they keep.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from tfssl.data.normals import points_from_depth
from tfssl.errors import ConfigError

NYU_COLOR = {"fx": 518.857901, "fy": 519.469611, "cx": 324.582449, "cy": 252.736166}
"""Intrinsics in pixels of NYU Depth V2's color camera; its toolbox counts pixels from 1, here they count from 0."""

_CENTIMETERS = 100.0
_NEAREST = 100.0  # cm; disparity is held beyond
_DISPARITY = 31000.0
_LOWEST, _CAMERA = -90.0, -130.0  # cm: if nothing lies so far below the camera no floor is seen, and it is this far
_OUTPUT_REACH, _GRAVITY_REACH = 3, 10  # pixels to each side that a normal is fitted to
_ROUNDS = ((45.0, 5), (15.0, 5))  # degrees, how often


def encode_hha(depth, fx, fy, cx, cy):
    """Encode depth as disparity, height and angle.

    Args:
        depth: float (H, W), meters along the optical axis; 0, negative or not finite: unknown.
        fx, fy, cx, cy: intrinsics in pixels, see :func:`~tfssl.data.normals.points_from_depth`;
            :data:`NYU_COLOR` for NYU Depth V2.

    Returns:
        uint8 (H, W, 3): ``31000 / max(z, 100)`` of z in cm (255 within 1.2 m, 155 at 2 m, 31 at 10 m); height above the
        lowest point in cm; the angle between normal and gravity in degrees plus 38 (floor 38, wall 128, ceiling 218;
        without a normal 218). 0 in the first two channels where depth is unknown.

    Raises:
        ConfigError: for a depth that is not (H, W), or without a known pixel.
    """
    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2:
        raise ConfigError(f"`depth` must have the shape (H, W). Received: shape={depth.shape}")
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        raise ConfigError("`depth` must hold a known distance, above 0 and finite. Received: none")
    camera = (fx, fy, cx, cy)
    z = np.where(known, depth, 0.0) * _CENTIMETERS
    gravity = estimate_gravity(plane_normals(z, *camera, reach=_GRAVITY_REACH))
    normals = plane_normals(z, *camera, reach=_OUTPUT_REACH)
    height = -(points_from_depth(z, *camera) @ gravity)
    lowest = height[known].min()
    height -= lowest if lowest <= _LOWEST else _CAMERA
    angle = np.degrees(np.arccos(np.clip(normals @ gravity, -1, 1)))
    angle[~normals.any(axis=-1)] = 180.0
    channels = [_DISPARITY / np.maximum(z, _NEAREST), height, angle + 38.0]
    channels[:2] = (np.where(known, channel, 0.0) for channel in channels[:2])
    # MATLAB rounds and saturates; NumPy would truncate and wrap.
    return np.clip(np.floor(np.stack(channels, axis=-1) + 0.5), 0, 255).astype(np.uint8)


def plane_normals(depth, fx, fy, cx, cy, reach):
    """Normal of the plane ``n . P = 1`` that fits a window around each pixel best in inverse depth.

    Unlike :func:`~tfssl.data.normals.normals_from_depth`, errors are measured in 1 / z, as a Kinect makes them.

    Args:
        depth: float (H, W), any unit; not above 0: unknown, and left out of the windows.
        fx, fy, cx, cy: intrinsics in pixels.
        reach: pixels of the window to each side of its center.

    Returns:
        float64 (H, W, 3), of length 1, pointing away from the camera (n . P >= 0); zeros where depth is unknown or the
        window's known pixels span no plane.
    """
    depth = np.asarray(depth, np.float64)
    known = depth > 0
    v, u = np.indices(depth.shape)
    inverse = np.where(known, 1.0 / np.where(known, depth, 1.0), 0.0)
    # x / z, y / z, 1 of each pixel; the normal equations of the window are sums of their products.
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones(depth.shape)], axis=-1) * known[..., None]

    def total(values):
        return uniform_filter(values, size=2 * reach + 1, mode="constant", axes=(0, 1))

    matrix = total(rays[..., :, None] * rays[..., None, :])
    right = total(rays * inverse[..., None])
    spans = np.linalg.cond(np.where(known[..., None, None], matrix, np.eye(3))) < 1e10
    good = known & spans
    normals = np.zeros((*depth.shape, 3))
    normals[good] = np.linalg.solve(matrix[good], right[good][..., None])[..., 0]
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    away = np.sum(normals * rays, axis=-1, keepdims=True) >= 0
    return np.where(away, normals, -normals)


def estimate_gravity(normals):
    """Direction of gravity in a scene of floors and walls, float64 (3,), of length 1; the camera's down to begin with.

    The direction most parallel to the normals within 45, then 15 degrees of it, and most at right angles to those that
    are within as much of horizontal.

    Args:
        normals: float (..., 3), of length 1; zeros are left out.
    """
    normals = np.asarray(normals, np.float64).reshape(-1, 3)
    normals = normals[normals.any(axis=-1)]
    down = np.array([0.0, 1.0, 0.0])
    for degrees, rounds in _ROUNDS:
        for _ in range(rounds):
            along = np.abs(normals @ down)
            floor = normals[along > np.cos(np.radians(degrees))]
            wall = normals[along < np.sin(np.radians(degrees))]
            # Where nothing but one wall is seen, all that is upright on it is as good: stay where it was.
            stay = 1e-6 * len(normals) * np.outer(down, down)
            _, axes = np.linalg.eigh(wall.T @ wall - floor.T @ floor - stay)
            down = axes[:, 0] * (1.0 if axes[:, 0] @ down >= 0 else -1.0)
    return down
