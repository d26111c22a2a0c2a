"""Examples of cross-channel prediction: a crop in Lab, and the mean Lab of the grid cells that a network predicts.

Those of color and depth have HHA behind, three more channels.
"""

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
    """Lab, float32 (B, H, W, 3), of crops, uint8, and its averages over equally large cells, (B, cells, cells, 3).

    Of crops of RGB and HHA, (B, H, W, 6), HHA stays as it is, in [0, 255], and both results have six channels.
    """
    rgb = pixels[..., :3]
    channels = [lightness(rgb)[..., None], ab(rgb)]
    if pixels.shape[-1] > 3:
        channels.append(pixels[..., 3:].astype(np.float32))
    maps = np.concatenate(channels, axis=-1)
    height, width, count = maps.shape[1:]
    rows = cell_weights(height, cells) @ maps.reshape(len(maps), height, width * count)
    columns = cell_weights(width, cells) @ rows.reshape(-1, width, count)
    return maps, columns.reshape(len(maps), cells, cells, count)


def crop_both(crop, image, hha, rng):
    """The same crop, mirrored alike, of an image and of its HHA: uint8 (size, size, 6); ``rng`` None: the center."""
    if rng is None:
        draws = (None, None)
    else:
        seed = int(rng.integers(2**63))
        draws = tuple(np.random.default_rng(seed) for _ in range(2))
    return np.concatenate([crop.apply(part, draw) for part, draw in zip((image, hha), draws, strict=True)], axis=-1)
