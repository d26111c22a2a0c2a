"""Sizes of grids, and averages over their cells, in NumPy."""

import numpy as np

from tfssl.ops.arguments import check_integers


def pooled_size(size, window, stride, padding=0):
    """Output positions of Caffe's pooling along an axis: rounded up, but no window begins in the padding."""
    check_integers(1, size=size, window=window, stride=stride)
    check_integers(0, window - 1, padding=padding)
    positions = -(-(size + 2 * padding - window) // stride) + 1
    return positions - (padding > 0 and (positions - 1) * stride >= size + padding)


def cell_weights(size, cells):
    """Weights that average ``size`` equal pixels over ``cells`` equal cells: float32 (cells, size), rows that sum to 1.

    A pixel on a border counts for the fraction of it that lies inside: the mean of the cells is that of the pixels.
    """
    check_integers(1, size=size, cells=cells)
    borders = np.linspace(0, size, cells + 1)
    pixels = np.arange(size)
    inside = np.minimum(borders[1:, None], pixels + 1) - np.maximum(borders[:-1, None], pixels)
    return (np.maximum(inside, 0) * cells / size).astype(np.float32)
