"""Examples of cross-channel prediction: a crop in Lab, and the mean Lab of the grid cells that a network predicts."""

import numpy as np

from tfssl.methods.opened import OPEN_STRIDE, is_open
from tfssl.ops.bytes_lab import ab, lightness
from tfssl.ops.geometry import cell_weights, pooled_size


def grid_size(backbone, size):
    """Cells along an axis that a network predicts of ``size`` pixels: 12 of 180 (alexnet), 8 of 64 (small)."""
    if is_open(backbone):
        return -(-size // OPEN_STRIDE)
    if backbone == "alexnet":
        return pooled_size(pooled_size((size - 1) // 4 + 1, 3, 2, 1), 3, 2, 1)
    return pooled_size(pooled_size(pooled_size(size, 3, 2), 3, 2), 3, 2)


def to_example(pixels, cells):
    """Lab, float32 (B, H, W, 3), of crops, uint8, and its averages over equally large cells, (B, cells, cells, 3)."""
    lab = np.concatenate([lightness(pixels)[..., None], ab(pixels)], axis=-1)
    height, width = lab.shape[1:3]
    rows = cell_weights(height, cells) @ lab.reshape(len(lab), height, width * 3)
    columns = cell_weights(width, cells) @ rows.reshape(-1, width, 3)
    return lab, columns.reshape(len(lab), cells, cells, 3)
