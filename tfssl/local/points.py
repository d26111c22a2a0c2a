"""Interest points and their matches, by OpenCV's SIFT: the sparse half of the local features of before 2012."""

import numpy as np

from tfssl.data.media import require
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_shapes


def interest_points(gray, limit=None):
    """Extrema of differences of Gaussians, and oriented SIFT descriptors of the patches around them.

    Args:
        gray: uint8 (H, W).
        limit: keep at most so many, those of most contrast; None for all.

    Returns:
        ``(points, descriptors)``: float32 (N, 4) of x, y, diameter in pixels and angle in degrees, clockwise from the
        x axis, and float32 (N, 128), not normalized; of descriptors, points may have several.

    Reference:
        D. Lowe: Distinctive Image Features from Scale-Invariant Keypoints. IJCV 2004 (contrast 0.04, edges 10).
    """
    check_shapes(gray=(gray, "H W"))
    sift = require("cv2", "detection").SIFT_create(limit or 0)
    found, descriptors = sift.detectAndCompute(np.ascontiguousarray(gray), None)
    points = np.array([(*point.pt, point.size, point.angle) for point in found], np.float32).reshape(-1, 4)
    return points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors


def matches(first, second, ratio=0.8):
    """Pairs of descriptors: the nearest of the second to each of the first, where the next one is far enough.

    Args:
        first, second: float (N, d) and (M, d).
        ratio: in (0, 1]: the distance of the nearest must be below so much of that of the second nearest.

    Returns:
        int (P, 2), rows of both, those of the first rising.
    """
    check_shapes(first=(first, "N d"), second=(second, "M d"))
    if not 0 < ratio <= 1:
        raise ConfigError(f"`ratio` must be in (0, 1]. Received: ratio={ratio!r}")
    if not len(first) or len(second) < 2:
        return np.zeros((0, 2), int)
    found = require("cv2", "detection").BFMatcher().knnMatch(first, second, k=2)
    kept = [(a.queryIdx, a.trainIdx) for a, b in found if a.distance < ratio * b.distance]
    return np.array(kept, int).reshape(-1, 2)
