"""Surface normals from a depth map: planes fitted to the points around each pixel."""

import numpy as np

from tfssl.errors import ConfigError

_LEAST_SHARE = 0.25  # of the window's pixels; a corner of the picture has a little more
_LEAST_SPREAD = 1e-6  # of the second variance to the first: points on a line span no plane


def points_from_depth(depth, fx, fy, cx, cy):
    """Points in the camera's coordinates: x to the right, y down, z into the scene.

    Args:
        depth: float (H, W), distance along the optical axis in any unit.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels, (0, 0) being the center of the upper left pixel.

    Returns:
        float64 (H, W, 3), ``((u - cx) z / fx, (v - cy) z / fy, z)`` in the unit of ``depth``.
    """
    z = np.asarray(depth, np.float64)
    v, u = np.indices(z.shape)
    return np.stack([(u - cx) * z / fx, (v - cy) * z / fy, z], axis=-1)


def normals_from_depth(depth, fx, fy, cx, cy, *, window=15, jump=0.05):
    """Normal of the plane that fits the points around each pixel best (total least squares).

    The normal is the direction in which the points of a window vary least: the eigenvector of the smallest eigenvalue
    of their covariance. Of its two signs it has the one that faces the camera. Points across a jump in depth belong to
    another surface and are left out.

    Args:
        depth: float or int (H, W), distance along the optical axis in any unit; 0, negative or not finite: unknown.
        fx, fy, cx, cy: intrinsics in pixels, see :func:`points_from_depth`.
        window: side of the window in pixels, odd. Larger ones smooth more: in a frame of 640x480 pixels from a
            structured-light sensor the normals of a floor lay 2.9, 1.8, 1.4 and 1.1 degrees from their mean on average
            with 7, 11, 15 and 21 pixels.
        jump: share of a pixel's depth by which a neighbor's may differ.

    Returns:
        float32 (H, W, 3), vectors of length 1 with x to the right, y down and z into the scene, so that a wall seen
        from the front has (0, 0, -1); zeros where the depth is unknown, or known for less than a quarter of the
        window.

    Raises:
        ConfigError: for a window that is even or less than 3, a negative jump, or a depth that is not (H, W).
    """
    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2:
        raise ConfigError(f"`depth` must have the shape (H, W). Received: shape={depth.shape}")
    if window < 3 or window % 2 == 0 or jump < 0:
        raise ConfigError(f"`window` must be odd and at least 3, `jump` at least 0. Received: {window=}, {jump=}")
    known = np.isfinite(depth) & (depth > 0)
    points = points_from_depth(np.where(known, depth, 0.0), fx, fy, cx, cy)
    count, covariance = _covariances(points, known, window, jump)
    spread, axes = np.linalg.eigh(covariance)
    normals = axes[..., 0]
    toward = np.sum(normals * points, axis=-1, keepdims=True)
    normals = np.where(toward > 0, -normals, normals)
    good = known & (count >= _LEAST_SHARE * window**2) & (spread[..., 1] > _LEAST_SPREAD * spread[..., 2])
    return np.where(good[..., None], normals, 0.0).astype(np.float32)


def _covariances(points, known, window, jump):
    """How many points each window holds, (H, W), and their covariance, (H, W, 3, 3)."""
    height, width = known.shape
    reach = window // 2
    wide = np.pad(points, [(reach, reach), (reach, reach), (0, 0)])
    wide_known = np.pad(known, reach)
    count, first, second = np.zeros((height, width)), np.zeros_like(points), np.zeros((height, width, 3, 3))
    for top in range(window):
        for left in range(window):
            place = slice(top, top + height), slice(left, left + width)
            apart = wide[place] - points  # about the center: nothing cancels
            near = wide_known[place] & (np.abs(apart[..., 2]) <= jump * points[..., 2])
            apart *= near[..., None]
            count += near
            first += apart
            second += apart[..., :, None] * apart[..., None, :]
    whole = np.maximum(count, 1)[..., None]
    mean = first / whole
    return count, second / whole[..., None] - mean[..., :, None] * mean[..., None, :]
