"""Examples of context prediction: images -> patches of jittered grids, and pairs of neighbors with their labels.

All that is random belongs to the image, its noise included: an example does not depend on its batch. Patches stay
bytes until a whole batch becomes floats, one after the other: each fits into a processor's cache, a batch does not.
"""

import functools

import numpy as np
from PIL import Image

from tfssl.ops.patches import (
    NO_PAIR,
    corners,
    down_up_matrix,
    grid_cells,
    grid_pairs,
    grid_size,
    projection_matrix,
    small_side,
)

PAIRS_PER_PATCH = 6
"""Room for pairs: a 3x3 grid has 4.4 for each patch, a 4x3 grid 4.8, a 5x5 grid 5.8."""

# Rows of a matrix product: BLAS divides larger ones among threads, which here only get in each other's way.
_ROWS_AT_ONCE = 24
_PAPER_DEVIATION = 1 / 100  # of the kept channel's
_TABLE_ROWS = 2**19
_TABLE_SEED = 0


def cut_patches(method, image, rng, training, colors=None):
    """Draw P patches and the pairs among them; only training patches are blurred.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        image: ``PIL.Image``, RGB.
        rng: ``numpy.random.Generator``; the same one gives the same patches with and without colors.
        training: whether to shrink and enlarge some patches.
        colors: whether patches keep all channels, or a random one; None: unless colors are dropped.

    Returns:
        Patches uint8 (P, s, s) or (P, 3, s, s); number of the kept channel int32 (P,); start of the noise int32 (P,);
        pairs int32 (6 P, 2), numbers of patches; labels int32 (6 P,). Missing pairs are filled up by repeated ones
        with label -1, so that what the network computes of them is what it computes of others.

    Raises:
        ValueError: if the image is too narrow for two patches beside each other.
    """
    count, size = method.patches_per_image, method.patch_size
    colors = method.color != "dropping" if colors is None else colors
    image = image.resize(draw_size(method, *image.size, rng), Image.Resampling.BILINEAR)
    positions, pairs, labels = draw_grids(method, *image.size, rng)
    pairs, labels = _fill_up(pairs, labels, PAIRS_PER_PATCH * count, rng)
    kept = rng.integers(0, 3, count, np.int32)
    starts = draw_starts(rng, count, size)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(image), (size, size), axis=(0, 1))
    corner = positions[:, 1], positions[:, 0]
    patches = windows[corner] if colors else windows[*corner, kept]
    _blur_some(patches, method.downsample_fraction if training else 0.0, method.downsample_size, rng)
    return patches, kept, starts, pairs, labels


def draw_size(method, width, height, rng):
    """(width, height) of a random area at which the image holds at least two patches in both directions.

    As the released code, which draws again until that is so.
    """
    least = 2 * method.patch_size + method.gap + method.jitter  # the released code asks for more than that
    smallest, largest = method.area
    enough = int(np.ceil((least + 1) ** 2 * max(width, height) / min(width, height)))
    if enough > largest:
        raise ValueError(
            f"{width}x{height} is too narrow: a grid of patches needs more than {least} pixels on the shorter side "
            f"of an image of {largest} pixels"
        )
    scale = np.sqrt(rng.integers(max(enough, smallest), largest + 1) / (width * height))
    return max(int(width * scale), least + 1), max(int(height * scale), least + 1)


def draw_grids(method, width, height, rng):
    """Whole grids, one after the other, until there are P patches; of the last one the first that fit.

    Returns:
        (left, top) of each patch, int (P, 2); all pairs of neighbors within a grid, int (n, 2); their labels (n,).
    """
    count, size, gap = method.patches_per_image, method.patch_size, method.gap
    origins = rng.integers(0, size + gap, (count, 2))
    jitter = rng.integers(-method.jitter, method.jitter + 1, (count, 2))
    cells, pairs, labels, counts, first = [], [], [], [], 0
    for origin in origins.tolist():
        columns, rows = grid_size(width, height, origin, size, gap)
        counts.append(min(columns * rows, count - first))
        cells.append(grid_cells(columns, counts[-1]))
        of_grid = grid_pairs(columns, rows, counts[-1])
        pairs.append(of_grid[0] + first)
        labels.append(of_grid[1])
        first += counts[-1]
        if first == count:
            break
    origins = np.repeat(origins[: len(counts)], counts, axis=0)  # of each patch
    positions = corners((width, height), np.concatenate(cells), origins, jitter, size, gap)
    return positions, np.concatenate(pairs), np.concatenate(labels)


def _blur_some(patches, fraction, smallest, rng):
    size = patches.shape[-1]
    chosen = np.flatnonzero(rng.random(len(patches)) < fraction)
    sizes = small_side(rng.random(chosen.size), size, smallest)
    if not chosen.size:
        return
    matrices = np.stack([down_up_matrix(size, small) for small in sizes.tolist()])
    matrices = matrices[:, None] if patches.ndim == 4 else matrices
    sharp = patches[chosen].astype(np.float32)
    for first in range(0, size, _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        patches[chosen, ..., rows, :] = np.rint(matrices[..., rows, :] @ sharp @ matrices.swapaxes(-1, -2))


def _fill_up(pairs, labels, room, rng):
    if len(pairs) > room:
        chosen = np.sort(rng.choice(len(pairs), room, replace=False))
        return pairs[chosen], labels[chosen]
    filled = np.resize(pairs, (room, 2)) if len(pairs) else np.zeros((room, 2), np.int32)
    return filled, np.concatenate([labels, np.full(room - len(labels), NO_PAIR, np.int32)])


def to_batch(method, planes, kept, starts):
    """:func:`prepare` for several images at once: arrays (B, P, ...) -> float32 (B, P, s, s, 3)."""
    options = {"color": method.color, "noise": method.noise, "rms": method.rms}
    patches = prepare(planes.reshape(-1, *planes.shape[2:]), kept.ravel(), starts.ravel(), **options)
    return patches.reshape(*planes.shape[:2], *patches.shape[1:])


def prepare(planes, kept, starts, *, color, noise, rms):
    """Make the network's input of cut patches.

    Args:
        planes: uint8; with dropping (N, s, s), the kept channel, otherwise (N, 3, s, s).
        kept, starts: int (N,), see :func:`cut_patches`; without dropping they have no effect.
        color, noise, rms: as :class:`~tfssl.methods.ContextPrediction`.

    Returns:
        float32 (N, s, s, 3), the mean of each channel removed.
    """
    if color == "dropping":
        return drop_channels(planes, kept, starts, noise=noise, rms=rms)
    return center_colors(planes, project=color == "projection", rms=rms)


def draw_starts(rng, count, patch_size):
    """Where in the table of noise the noise of each patch begins, int32 (count,)."""
    return rng.integers(0, _TABLE_ROWS - patch_size**2 + 1, count, np.int32)


def drop_channels(planes, kept, starts, *, noise, rms):
    """Patches (N, s, s) of one channel, and noise instead of the other two.

    The noise is cut from a long table at a random row: as independent of the image as fresh noise, and free.
    """
    count, size = planes.shape[:2]
    pixels = size * size
    x = planes.reshape(count, pixels).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    energy = np.vecdot(x, x)
    table, energy_before = _noise_table(noise)
    strength = _PAPER_DEVIATION * np.sqrt(energy / pixels) if noise == "paper" else np.ones(count, np.float32)
    of_channels = energy_before[starts + pixels] - energy_before[starts]  # (N, 3)
    of_channels[np.arange(count), kept] = 0
    scale = _scale(energy + strength**2 * of_channels.sum(axis=1), 3 * pixels, rms)
    prepared = np.empty((count, pixels, 3), np.float32)
    for i, (start, channel) in enumerate(zip(starts.tolist(), kept.tolist(), strict=True)):
        np.multiply(table[start : start + pixels], strength[i] * scale[i], out=prepared[i])
        np.multiply(x[i], scale[i], out=prepared[i, :, channel])
    return prepared.reshape(count, size, size, 3)


def center_colors(planes, *, project, rms):
    """Patches (N, 3, s, s) with all channels; ``project``: by :func:`tfssl.ops.patches.projection_matrix` first."""
    count, channels, size = planes.shape[:3]
    x = planes.reshape(count, channels, size * size).astype(np.float32)
    if project:
        x = projection_matrix().astype(np.float32) @ x  # B is symmetric
    x -= x.mean(axis=2, keepdims=True)
    x *= _scale(np.vecdot(x, x).sum(axis=1), channels * size * size, rms)[:, None, None]
    return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(count, size, size, channels)


def _scale(energy, count, rms):
    """Factor of each patch, float32 (N,), 1 without rms; a patch in which nothing varies stays zero."""
    if rms is None:
        return np.ones(len(energy), np.float32)
    return (rms / np.sqrt(np.maximum(energy / count, 1e-12))).astype(np.float32)


@functools.lru_cache(maxsize=2)
def _noise_table(noise):
    """Noise of three channels, float32 (R, 3), and the energy before each row, float64 (R + 1, 3)."""
    rng = np.random.default_rng(_TABLE_SEED)
    shape = (_TABLE_ROWS, 3)
    table = rng.random(shape, np.float32) - 0.5 if noise == "code" else rng.standard_normal(shape, np.float32)
    energy = np.cumsum(np.square(table, dtype=np.float64), axis=0)
    return table, np.concatenate([np.zeros((1, 3)), energy])
