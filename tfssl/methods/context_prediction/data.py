"""Examples of context prediction: pictures -> patches of jittered grids, and pairs of neighbors with their labels.

All that is random belongs to the picture, the place of its noise as well: an example does not depend on the batch that
it is in. Patches stay bytes, of the one channel that is kept, until a whole batch of them becomes floats at once.
"""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.pipeline import crop_batches
from tfssl.methods.context_prediction.loss import NO_PAIR
from tfssl.methods.context_prediction.prepare import draw_starts, prepare
from tfssl.ops.patches import corners, down_up_matrix, grid_cells, grid_pairs, grid_size, small_side

PAIRS_PER_PATCH = 6
"""Room for pairs: a 3x3 grid has 4.4 for each patch, a 4x3 grid 4.8, a 5x5 grid 5.8."""

_ROWS_AT_ONCE = (
    24  # of a matrix product: BLAS shares larger ones among threads, which here only get in each other's way
)


@dataclasses.dataclass(frozen=True)
class NeighborSampler:
    """Cuts patches and pairs from one picture; a sampler of :func:`tfssl.data.pipeline.crop_batches`.

    Args:
        area: (smallest, largest) number of pixels that the picture is scaled to, keeping its aspect.
        patch_size: side of a patch in pixels.
        gap: between two patches of a grid, in pixels.
        jitter: largest displacement of a patch along each axis, in pixels.
        patches: P, patches of a picture.
        downsample_share: share of patches that are shrunk and enlarged again.
        smallest: smallest side to which they are shrunk, in pixels.
        colors: whether to cut all three channels of a patch, or a random one.
    """

    area: tuple[int, int]
    patch_size: int
    gap: int
    jitter: int
    patches: int
    downsample_share: float
    smallest: int
    colors: bool

    random_in_evaluation: ClassVar[bool] = True

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels: that of a square of the largest area."""
        return int(np.ceil(np.sqrt(self.area[1])))

    @property
    def spec(self):
        """Patches, number of the channel, start of the noise, pairs, labels."""
        side, pairs = self.patch_size, PAIRS_PER_PATCH * self.patches
        channels = (3,) if self.colors else ()
        return (
            tf.TensorSpec((self.patches, *channels, side, side), tf.uint8),
            tf.TensorSpec((self.patches,), tf.int32),
            tf.TensorSpec((self.patches,), tf.int32),
            tf.TensorSpec((pairs, 2), tf.int32),
            tf.TensorSpec((pairs,), tf.int32),
        )

    def apply(self, image, rng):
        """Draw an example.

        Args:
            image: ``PIL.Image`` in RGB.
            rng: ``numpy.random.Generator``; the same one gives the same patches with and without colors.

        Returns:
            Arrays as :attr:`spec`. Pairs are numbers of patches; where there are fewer pairs than places, they are
            repeated with label -1, so that what the network computes of them is what it computes of others.

        Raises:
            ValueError: if the picture is too narrow for two patches beside each other.
        """
        image = image.resize(self.draw_size(*image.size, rng), Image.Resampling.BILINEAR)
        places, pairs, labels = self.draw_grids(*image.size, rng)
        pairs, labels = self._fill_up(pairs, labels, rng)
        kept = rng.integers(0, 3, self.patches, np.int32)
        starts = draw_starts(rng, self.patches, self.patch_size)
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(image), (self.patch_size,) * 2, axis=(0, 1))
        corner = places[:, 1], places[:, 0]
        patches = windows[corner] if self.colors else windows[*corner, kept]
        self._blur_some(patches, rng)
        return patches, kept, starts, pairs, labels

    def draw_size(self, width, height, rng):
        """(width, height) of a random area at which the picture holds at least two patches in both directions.

        The released code draws again until that is so: the area is uniform between the smallest that does and the
        largest.
        """
        least = 2 * self.patch_size + self.gap + self.jitter  # the released code asks for more than that
        enough = int(np.ceil((least + 1) ** 2 * max(width, height) / min(width, height)))
        if enough > self.area[1]:
            raise ValueError(
                f"{width}x{height} is too narrow: a grid of patches needs more than {least} pixels on the shorter side "
                f"of a picture of {self.area[1]} pixels"
            )
        scale = np.sqrt(rng.integers(max(enough, self.area[0]), self.area[1] + 1) / (width * height))
        return max(int(width * scale), least + 1), max(int(height * scale), least + 1)

    def draw_grids(self, width, height, rng):
        """Whole grids, one after the other, until there are P patches; of the last one the first that fit.

        Returns:
            ``(places, pairs, labels)``: (left, top) of each patch, int (P, 2), and all pairs of neighbors within a
            grid, int (n, 2) and (n,).
        """
        origins = rng.integers(0, self.patch_size + self.gap, (self.patches, 2))
        jitter = rng.integers(-self.jitter, self.jitter + 1, (self.patches, 2))
        cells, pairs, labels, counts, first = [], [], [], [], 0
        for origin in origins.tolist():
            columns, rows = grid_size(width, height, origin, self.patch_size, self.gap)
            counts.append(min(columns * rows, self.patches - first))
            cells.append(grid_cells(columns, counts[-1]))
            of_grid = grid_pairs(columns, rows, counts[-1])
            pairs.append(of_grid[0] + first)
            labels.append(of_grid[1])
            first += counts[-1]
            if first == self.patches:
                break
        origins = np.repeat(origins[: len(counts)], counts, axis=0)  # of each patch
        places = corners((width, height), np.concatenate(cells), origins, jitter, self.patch_size, self.gap)
        return places, np.concatenate(pairs), np.concatenate(labels)

    def _blur_some(self, patches, rng):
        """Shrink and enlarge a random share of the patches, in place."""
        chosen = np.flatnonzero(rng.random(self.patches) < self.downsample_share)
        sides = small_side(rng.random(chosen.size), self.patch_size, self.smallest)
        if not chosen.size:
            return
        matrices = np.stack([down_up_matrix(self.patch_size, side) for side in sides.tolist()])
        matrices = matrices[:, None] if self.colors else matrices
        sharp = patches[chosen].astype(np.float32)
        for first in range(0, self.patch_size, _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            patches[chosen, ..., rows, :] = np.rint(matrices[..., rows, :] @ sharp @ matrices.swapaxes(-1, -2))

    def _fill_up(self, pairs, labels, rng):
        """Pairs and labels of fixed number: a random choice of them, or all and then repetitions labeled -1."""
        places = PAIRS_PER_PATCH * self.patches
        if len(pairs) > places:
            chosen = np.sort(rng.choice(len(pairs), places, replace=False))
            return pairs[chosen], labels[chosen]
        filled = np.zeros((places, 2), np.int32) if not len(pairs) else np.resize(pairs, (places, 2))
        return filled, np.concatenate([labels, np.full(places - len(labels), NO_PAIR, np.int32)])


def context_dataset(source, sampler, *, batch_size, training, seed, start, count, skipped, **preparation):
    """Batches of ``({"patches", "pairs"}, labels)``.

    Args:
        source, batch_size, training, seed, start, count, skipped: as :meth:`tfssl.methods.base.Method.dataset`.
        sampler: a :class:`NeighborSampler`.
        **preparation: ``color``, ``noise`` and ``rms`` of :func:`tfssl.methods.context_prediction.prepare.prepare`.
    """
    planes, _, _, pairs, labels = sampler.spec
    patches = tf.TensorSpec((*planes.shape[:1], sampler.patch_size, sampler.patch_size, 3))

    batches = crop_batches(
        source,
        sampler,
        batch_size,
        training=training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
        convert=functools.partial(_to_batch, **preparation),
        spec=(patches, pairs, labels),
    )

    def example(patches, pairs, labels):
        return {"patches": patches, "pairs": pairs}, labels

    return batches.map(example).prefetch(tf.data.AUTOTUNE)


def _to_batch(planes, kept, starts, pairs, labels, **preparation):
    return prepare_batch(planes, kept, starts, **preparation), pairs, labels


def prepare_batch(planes, kept, starts, **preparation):
    """:func:`~tfssl.methods.context_prediction.prepare.prepare` for several pictures at once: (B, P, ...) arrays."""
    patches = prepare(planes.reshape(-1, *planes.shape[2:]), kept.ravel(), starts.ravel(), **preparation)
    return patches.reshape(*planes.shape[:2], *patches.shape[1:])
