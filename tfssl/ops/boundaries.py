"""Thin lines from maps of boundary strength, in NumPy and SciPy."""

import numpy as np
from scipy import ndimage

from tfssl.ops.arguments import check_shapes


def suppress_non_maxima(strength, angle):
    """Keep what is as strong as its two neighbors across the boundary, at a distance of one pixel; the rest becomes 0.

    Args:
        strength: float (H, W), at least 0.
        angle: direction across the boundary at each pixel, in radians from the x axis towards y, (H, W); opposite
            directions are the same.

    Returns:
        float (H, W).
    """
    check_shapes(strength=(strength, "H W"), angle=(angle, "H W"))
    rows, columns = np.indices(strength.shape, dtype=np.float64)
    down, right = np.sin(angle), np.cos(angle)
    beside = [
        ndimage.map_coordinates(strength, [rows + side * down, columns + side * right], order=1, mode="nearest")
        for side in (-1, 1)
    ]
    # A hair of slack: of a plateau of two pixels one has to stay, and interpolation rounds.
    return np.where(strength >= np.maximum(*beside) * (1 - 1e-6), strength, 0.0)
