"""Examples of the jigsaw task: photographs -> nine shuffled tiles and the number of their permutation."""

import numpy as np
from PIL import Image

from tfssl.ops.patches import MEAN_COLOR, PIXEL_SCALE, projection_matrix
from tfssl.ops.permutations import TILES

GRID = 3
"""Cells along a side of the puzzle."""

_CELLS = np.stack(np.divmod(np.arange(TILES), GRID), axis=-1)[:, None]  # row and column of each cell, (9, 1, 2)
_DRAWS = 2 + 1 + 2 + TILES * 4 * 2  # position of the square, label, two color decisions, corners


def cut_puzzle(method, image, rng):
    """Cut one puzzle from an image, in evaluation too at random.

    The shorter side is scaled to ``resize`` pixels, a square of ``crop_size`` is cut from anywhere in it, or from its
    center, and divided into 3x3 cells. Each tile lies anywhere in its cell, and each of its channels is shifted by
    0 ... ``channel_jitter`` pixels in x and y. The room for that shift is kept free, so that no channel leaves the
    cell: the released code reads up to 2 pixels beyond it.

    Returns:
        Tiles uint8 (9, tile, tile, 3) in the order of the slots, label int32, whether to project.
    """
    draws = rng.random(_DRAWS)  # one call instead of six: they cost more than the numbers
    permutations = method.permutation_table
    label = int(draws[2] * len(permutations))
    gray = draws[3] < method.gray_fraction
    projected = not gray and draws[4] < method.projection_fraction
    pixels = crop(method, image, draws[:2])
    corners = draw_corners(method, draws[5:])[permutations[label]]  # of the tile of each slot
    # A gray image has no channels that could be shifted against each other: all follow the first.
    pixels, jitter = (_gray(pixels), 0) if gray else (pixels, method.channel_jitter)
    tiles = _cut(pixels, corners, method.tile, jitter)
    return tiles, np.int32(label), np.bool_(projected)


def crop(method, image, draws):
    """The square of the puzzle, uint8 (crop_size, crop_size, 3); ``draws``: two numbers in [0, 1), its position."""
    size = method.crop_size
    width, height = image.size
    cut = min(width, height) * size / method.resize
    across, down = draws if method.crop_position == "random" else (0.5, 0.5)
    left, top = across * (width - cut), down * (height - cut)
    if cut == size:  # no scaling: stay on the pixel grid
        left, top = round(left), round(top)
        return np.asarray(image.crop((left, top, left + size, top + size)))
    box = (left, top, min(left + cut, width), min(top + cut, height))  # rounding may lead out by a hair
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def draw_corners(method, draws):
    """Upper left corners (y, x) of each channel of the tile of each cell, in the crop's pixels: int64 (9, 3, 2).

    ``draws``: 72 numbers in [0, 1), for each cell the tile's offset (y, x), then the shifts of the channels.
    """
    draws = draws.reshape(TILES, 4, 2)
    offsets = (draws[:, :1] * (method.cell - method.tile - method.channel_jitter + 1)).astype(np.int64)
    shifts = (draws[:, 1:] * (method.channel_jitter + 1)).astype(np.int64)
    return _CELLS * method.cell + offsets + shifts


def _cut(pixels, corners, tile, jitter):
    tiles = np.empty((TILES, tile, tile, 3), np.uint8)
    for slot, channels in enumerate(corners.tolist()):
        for channel, (y, x) in enumerate(channels if jitter else channels[:1]):
            which = channel if jitter else slice(None)
            tiles[slot, :, :, which] = pixels[y : y + tile, x : x + tile, which]
    return tiles


def _gray(pixels):
    total = pixels[..., 0].astype(np.uint16)
    total += pixels[..., 1]
    total += pixels[..., 2]
    return ((total + 1) // 3).astype(np.uint8)[..., None]


def to_inputs(method, tiles, projected):
    """Standardized tiles, float32, of uint8 (B, 9, t, t, 3); where bool (B,) says so, without green - magenta."""
    import tensorflow as tf

    tiles = tf.cast(tiles, tf.float32)
    if method.projection_fraction > 0:
        straight = tf.linalg.matmul(tiles, tf.constant(projection_matrix(), tiles.dtype))
        tiles = tf.where(projected[:, None, None, None, None], straight, tiles)
    return standardize(tiles, method.normalization)


def standardize(tiles, normalization):
    """Bring tiles to the scale that the network expects.

    Args:
        tiles: float32 (B, 9, t, t, 3), levels in [0, 255].
        normalization: ``"channel"``: mean 0 and standard deviation 1 of each channel of each tile; ``"tile"``: of each
            tile as a whole; ``"none"``: the same fixed shift and scale for all.

    Returns:
        float32 (B, 9, t, t, 3). Where a tile is flat it is zero.
    """
    import tensorflow as tf

    if normalization == "none":
        return (tiles - tf.constant(MEAN_COLOR)) / PIXEL_SCALE
    numbers = 3 * tiles.shape[2] ** 2
    groups = 3 if normalization == "channel" else 1
    count = numbers // groups
    # Products with a 0-1 matrix sum the pixels of each channel and spread the results again: several times as fast as
    # reductions and broadcasts over an innermost axis of three.
    belongs = tf.constant(np.tile(np.eye(groups), (count, 1)), tf.float32)
    flat = tf.reshape(tiles, (-1, numbers))
    # Multiplied by the number of pixels, levels of whole numbers stay whole numbers below 2^24 and the mean is exact.
    centered = flat * float(count) - tf.matmul(tf.matmul(flat, belongs), belongs, transpose_b=True)
    deviation = tf.sqrt(tf.matmul(tf.square(centered), belongs) / float(count))
    scaled = centered * tf.matmul(1.0 / (deviation + 1e-6 * count), belongs, transpose_b=True)
    return tf.reshape(scaled, (-1, *tiles.shape[1:]))
