"""Examples of the jigsaw task: photographs -> nine shuffled tiles and the number of their permutation."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.pipeline import crop_batches
from tfssl.methods.jigsaw.network import MEAN_COLOR, PIXEL_SCALE, TILES
from tfssl.ops.patches import projection_matrix

GRID = 3
"""Cells along a side of the puzzle."""

_CELLS = np.stack(np.divmod(np.arange(TILES), GRID), axis=-1)[:, None]  # row and column of each cell, (9, 1, 2)
_DRAWS = 2 + 1 + 2 + TILES * 4 * 2  # place of the square, label, two color decisions, corners


@dataclasses.dataclass(frozen=True, eq=False)
class PuzzleSampler:
    """Cuts one puzzle from a picture; everything random comes from the generator of :meth:`apply`.

    The shorter side is scaled to ``resize`` pixels, a square of ``crop_size`` is cut from the central square of
    ``resize`` and divided into 3x3 cells. Each tile lies anywhere in its cell, and each of its channels is shifted by
    0 ... ``channel_jitter`` pixels in x and y. The room for that shift is kept free, so that no channel leaves the
    cell: the released code reads up to 2 pixels beyond it.

    Args:
        permutations: int array (P, 9): slot i of the puzzle receives the tile of cell ``permutations[label, i]``.
        resize: pixels of the shorter side.
        crop_size: pixels of the square.
        random_crop: whether the square lies anywhere, or in the center.
        tile: side of a tile in pixels.
        channel_jitter: largest shift between the channels of a tile in pixels.
        gray_share: share of puzzles in gray, (R + G + B) / 3.
        projection_share: share of the puzzles in color that are marked for projection.
    """

    permutations: np.ndarray
    resize: int
    crop_size: int
    random_crop: bool
    tile: int
    channel_jitter: int
    gray_share: float
    projection_share: float = 0.0

    random_in_evaluation: ClassVar[bool] = True
    """The permutation is drawn in evaluation too."""

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels."""
        return self.resize

    @property
    def spec(self):
        """Tiles uint8 (9, tile, tile, 3) in the order of the slots, label int32, whether to project."""
        tiles = tf.TensorSpec((TILES, self.tile, self.tile, 3), tf.uint8)
        return tiles, tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.bool)

    def apply(self, image, rng):
        """Cut a puzzle from a ``PIL.Image``; arrays as in :attr:`spec`."""
        draws = rng.random(_DRAWS)  # one call instead of six: they cost more than the numbers
        label = int(draws[2] * len(self.permutations))
        gray = draws[3] < self.gray_share
        projected = not gray and draws[4] < self.projection_share
        pixels = self.crop(image, draws[:2])
        corners = self.corners(draws[5:])[self.permutations[label]]  # of the tile of each slot
        tiles = self._cut_gray(pixels, corners) if gray else self._cut(pixels, corners)
        return tiles, np.int32(label), np.bool_(projected)

    def crop(self, image, draws):
        """The square of the puzzle, uint8 (crop_size, crop_size, 3); ``draws``: two numbers in [0, 1), its place."""
        width, height = image.size
        shorter = min(width, height)
        side = shorter * self.crop_size / self.resize
        free = shorter - side
        across, down = draws * free if self.random_crop else (free / 2, free / 2)
        left, top = (width - shorter) / 2 + across, (height - shorter) / 2 + down
        if side == self.crop_size:  # no scaling: stay on the pixel grid
            left, top = round(left), round(top)
            return np.asarray(image.crop((left, top, left + self.crop_size, top + self.crop_size)))
        box = (left, top, min(left + side, width), min(top + side, height))  # rounding may lead out by a hair
        return np.asarray(image.resize((self.crop_size, self.crop_size), Image.Resampling.BILINEAR, box=box))

    def corners(self, draws):
        """Upper left corners (y, x) of each channel of the tile of each cell, in the crop's pixels.

        Args:
            draws: 72 numbers in [0, 1): for each cell the tile's offset (y, x), then the shifts of the channels.

        Returns:
            int64 array (9, 3, 2).
        """
        cell = self.crop_size // GRID
        draws = draws.reshape(TILES, 4, 2)
        offsets = (draws[:, :1] * (cell - self.tile - self.channel_jitter + 1)).astype(np.int64)
        shifts = (draws[:, 1:] * (self.channel_jitter + 1)).astype(np.int64)
        return _CELLS * cell + offsets + shifts

    def _cut(self, pixels, corners):
        tile = self.tile
        tiles = np.empty((TILES, tile, tile, 3), np.uint8)
        for slot, channels in enumerate(corners.tolist()):
            if self.channel_jitter == 0:
                y, x = channels[0]
                tiles[slot] = pixels[y : y + tile, x : x + tile]
                continue
            for channel, (y, x) in enumerate(channels):
                tiles[slot, :, :, channel] = pixels[y : y + tile, x : x + tile, channel]
        return tiles

    def _cut_gray(self, pixels, corners):
        # A gray picture has no channels that could be shifted against each other: all follow the first.
        tile = self.tile
        total = pixels[..., 0].astype(np.uint16)
        total += pixels[..., 1]
        total += pixels[..., 2]
        gray = ((total + 1) // 3).astype(np.uint8)[..., None]
        tiles = np.empty((TILES, tile, tile, 3), np.uint8)
        for slot, (y, x) in enumerate(corners[:, 0].tolist()):
            tiles[slot] = gray[y : y + tile, x : x + tile]
        return tiles


def to_inputs(tiles, projected, *, normalization, projection=True):
    """Network inputs of puzzles as :class:`PuzzleSampler` cuts them.

    Args:
        tiles: uint8 (B, 9, t, t, 3), of known t.
        projected: bool (B,), which puzzles to project.
        normalization: see :func:`standardize`.
        projection: False where none is marked, to save the work.

    Returns:
        float32 (B, 9, t, t, 3).
    """
    tiles = tf.cast(tiles, tf.float32)
    return standardize(project(tiles, projected) if projection else tiles, normalization)


def project(tiles, projected):
    """Take the green - magenta component out of the marked puzzles; float32 (B, 9, t, t, 3) and bool (B,)."""
    matrix = tf.constant(projection_matrix(), tiles.dtype)
    return tf.where(projected[:, None, None, None, None], tf.linalg.matmul(tiles, matrix), tiles)


def standardize(tiles, normalization):
    """Bring tiles to the scale that the network expects.

    Args:
        tiles: float32 (B, 9, t, t, 3), levels in [0, 255].
        normalization: ``"channel"``: mean 0 and standard deviation 1 of each channel of each tile; ``"tile"``: of each
            tile as a whole; ``"none"``: the same fixed shift and scale for all.

    Returns:
        float32 (B, 9, t, t, 3). Where a tile is flat it is zero.
    """
    if normalization == "none":
        return (tiles - tf.constant(MEAN_COLOR)) / PIXEL_SCALE
    side = tiles.shape[2]
    groups, count = (3, side * side) if normalization == "channel" else (1, 3 * side * side)
    # Products with a 0-1 matrix sum the pixels of each channel and spread the results again: several times as fast as
    # reductions and broadcasts over an innermost axis of three.
    belongs = tf.constant(np.tile(np.eye(groups), (3 * side * side // groups, 1)), tf.float32)
    flat = tf.reshape(tiles, (-1, 3 * side * side))
    # Multiplied by the number of pixels, levels of whole numbers stay whole numbers below 2^24 and the mean is exact.
    centered = flat * float(count) - tf.matmul(tf.matmul(flat, belongs), belongs, transpose_b=True)
    deviation = tf.sqrt(tf.matmul(tf.square(centered), belongs) / float(count))
    scaled = centered * tf.matmul(1.0 / (deviation + 1e-6 * count), belongs, transpose_b=True)
    return tf.reshape(scaled, (-1, *tiles.shape[1:]))


def jigsaw_dataset(source, sampler, *, normalization, batch_size, training, seed, start, count, skipped, limit=None):
    """Batches of (tiles, label); arguments as :meth:`tfssl.methods.base.Method.dataset`.

    Args:
        sampler: a :class:`PuzzleSampler`.
        normalization: see :func:`standardize`.
        limit: use the first so many readable pictures; None for all.
    """
    batches = crop_batches(
        source,
        sampler,
        batch_size,
        training=training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
        limit=limit,
    )

    def example(tiles, label, projected):
        projection = sampler.projection_share > 0
        return to_inputs(tiles, projected, normalization=normalization, projection=projection), label

    return batches.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
