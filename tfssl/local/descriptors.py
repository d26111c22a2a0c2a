"""Descriptors of patches on a dense grid, in NumPy: SIFT by OpenCV, HOG and local binary patterns by scikit-image."""

import functools

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

SIFT_LENGTH = 128
HOG_LENGTH = 36  # 2x2 cells of 9 orientations
LBP_LENGTH = 59  # 58 uniform patterns of 8 neighbors, and one bin for all others

_WINDOW = 6  # OpenCV: 4 histograms of 3 scales each, and the scale is half the diameter of a key point
_GRAY = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def gray_levels(images):
    """Gray levels of images: float (B, H, W, 3) in [0, 1] -> uint8 (B, H, W), rounded."""
    check_shapes(images=(images, "B H W 3"))
    return np.clip(np.rint(255 * np.tensordot(images, np.float32(_GRAY), 1)), 0, 255).astype(np.uint8)


def grid_points(extent, step):
    """Centers of the ``extent // step`` cells along an axis, float (n,): step / 2, 3 step / 2, ..."""
    return step * (np.arange(extent // step) + 0.5)


def root_sift(descriptors):
    """Square root of L1-normalized SIFT descriptors: float (..., 128) -> float32; flat patches stay zero.

    Euclidean distances of such vectors are Hellinger distances of the histograms.

    Reference:
        R. Arandjelovic, A. Zisserman: Three Things Everyone Should Know to Improve Object Retrieval. CVPR 2012.
    """
    descriptors = np.asarray(descriptors, np.float32)
    return np.sqrt(descriptors / np.maximum(np.abs(descriptors).sum(axis=-1, keepdims=True), 1e-12))


def dense_sift(gray, step=8, size=24):
    """Upright SIFT descriptors on a grid, row by row.

    Args:
        gray: uint8 (H, W).
        step: pixels between the centers of patches, at least 1.
        size: width of a patch in pixels: 4x4 histograms stand for it. (OpenCV's key points have a diameter, of which
            the patch is 6 times as wide.)

    Returns:
        float32 (H // step, W // step, 128), of length 512, or 0 where the patch is flat.

    Reference:
        D. Lowe: Distinctive Image Features from Scale-Invariant Keypoints. IJCV 2004, section 6.
    """
    check_shapes(gray=(gray, "H W"))
    check_integers(1, step=step, size=size)
    rows, columns = (grid_points(extent, step) for extent in gray.shape)
    if not rows.size * columns.size:
        raise ConfigError(f"`step` leaves no patch in images of {gray.shape[1]}x{gray.shape[0]}. Received: step={step}")
    # Pixels have their centers at whole numbers in OpenCV; the angle is 0, and not -1, "unknown".
    import cv2

    points = [cv2.KeyPoint(float(x) - 0.5, float(y) - 0.5, size / _WINDOW, 0.0) for y in rows for x in columns]
    kept, found = _sift().compute(np.ascontiguousarray(gray), points)
    if len(kept) != len(points):  # never seen in OpenCV 5
        raise RuntimeError(f"OpenCV gave {len(kept)} descriptors of {len(points)} points")
    return found.reshape(len(rows), len(columns), SIFT_LENGTH)


@functools.cache
def _sift():
    import cv2

    return cv2.SIFT_create()


def hog_blocks(gray, cell=8):
    """Histograms of oriented gradients: blocks of 2x2 cells, 9 unsigned orientations, L2-Hys with clip 0.2.

    Args:
        gray: uint8 (H, W).
        cell: height and width of a cell in pixels.

    Returns:
        float32 (H // cell - 1, W // cell - 1, 36): 64x64 pixels give 7 * 7 * 36 = 1764 numbers.

    Reference:
        N. Dalal, B. Triggs: Histograms of Oriented Gradients for Human Detection. CVPR 2005.
    """
    from skimage.feature import hog

    cells = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2), "block_norm": "L2-Hys"}
    blocks = hog(gray, orientations=9, feature_vector=False, **cells)
    return blocks.reshape(*blocks.shape[:2], HOG_LENGTH).astype(np.float32)


def lbp_histograms(gray, cell=16):
    """Histograms of uniform local binary patterns, 8 neighbors at distance 1, square roots of their fractions.

    Args:
        gray: uint8 (H, W).
        cell: height and width in pixels of the squares that have a histogram each.

    Returns:
        float32 (H // cell, W // cell, 59), of length 1.

    Reference:
        T. Ahonen, A. Hadid, M. Pietikainen: Face Description with Local Binary Patterns. TPAMI 2006.
    """
    from skimage.feature import local_binary_pattern

    rows, columns = (extent // cell for extent in gray.shape)
    codes = local_binary_pattern(gray, 8, 1, "nri_uniform").astype(int)[: rows * cell, : columns * cell]
    cells = np.arange(rows).repeat(cell)[:, None] * columns + np.arange(columns).repeat(cell)
    counts = np.bincount((cells * LBP_LENGTH + codes).ravel(), minlength=rows * columns * LBP_LENGTH)
    return np.sqrt(counts.reshape(rows, columns, LBP_LENGTH) / cell**2).astype(np.float32)
