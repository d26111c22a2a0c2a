"""Neighboring patches on a jittered grid, and what is done to patches so that only content can tell where they lie.

The geometry of Doersch, Gupta and Efros (2015), as the released code has it: x grows to the right, y downwards, patches
of a grid are numbered row by row.
"""

import functools

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

OFFSETS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
"""Label -> (dx, dy), the cell of the second patch relative to the first's. Swapping the patches makes it 7 - label."""

DIRECTIONS = ("above left", "above", "above right", "left", "right", "below left", "below", "below right")
"""Label -> where the second patch lies, in words."""

NUM_LABELS = len(OFFSETS)

NO_PAIR = -1
"""Label of rows that an image has left when it has fewer pairs than there is room for."""

MEAN_COLOR, PIXEL_SCALE = (123.0, 117.0, 104.0), 58.0
"""Fixed shift and scale, in RGB levels of 0 ... 255, of patches that are not standardized."""


@functools.lru_cache(maxsize=1024)
def grid_pairs(columns, rows, count=None):
    """All ordered pairs of 8-neighbors among the first ``count`` (None: all) patches of a grid.

    There are ``2 [(nx - 1) ny + nx (ny - 1) + 2 (nx - 1) (ny - 1)]`` of them: every two neighbors in both orders.

    Returns:
        ``(pairs, labels)``: int32 (n, 2), numbers of the first and second patch, and int32 (n,), indices of
        :data:`OFFSETS`. Read-only: results are cached.
    """
    check_integers(0, columns=columns, rows=rows)
    count = columns * rows if count is None else count
    check_integers(0, columns * rows, count=count)
    x = np.arange(count) % columns
    pairs, labels = [], []
    for label, (dx, dy) in enumerate(OFFSETS):
        second = np.arange(count) + dy * columns + dx
        there = (x + dx >= 0) & (x + dx < columns) & (second >= 0) & (second < count)
        pairs.append(np.stack([np.arange(count), second], axis=1)[there])
        labels.append(np.full(there.sum(), label))
    pairs, labels = np.concatenate(pairs).astype(np.int32), np.concatenate(labels).astype(np.int32)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, labels = pairs[order], labels[order]
    for array in (pairs, labels):
        array.flags.writeable = False
    return pairs, labels


def grid_size(width, height, origin, patch_size, gap):
    """(nx, ny), how many whole patches of ``patch_size`` pixels (paper: 96), ``gap`` apart (48), fit in an image.

    ``nx = floor((W + gap - gx) / (patch_size + gap))``, and ny likewise; ``origin`` (gx, gy) is the upper left corner
    of the first patch before jitter.
    """
    check_integers(1, patch_size=patch_size)
    check_integers(0, gap=gap)
    check_shapes(origin=(origin, "2"))
    pitch = patch_size + gap
    return (width + gap - origin[0]) // pitch, (height + gap - origin[1]) // pitch


@functools.lru_cache(maxsize=1024)
def grid_cells(columns, count):
    """(x, y) of the first patches of a grid, row by row, int (count, 2). Read-only: cached."""
    check_integers(1, columns=columns)
    check_integers(0, count=count)
    y, x = np.divmod(np.arange(count), columns)
    cells = np.stack([x, y], axis=1)
    cells.flags.writeable = False
    return cells


def corners(size, cells, origins, jitter, patch_size, gap):
    """Upper left corners (left, top) of patches, int (n, 2), jittered, then moved into the image where they leave it.

    ``size`` is (width, height) of the image; ``cells`` int (n, 2), (x, y) of each patch in its grid; ``origins`` int
    (n, 2) or (2,), (gx, gy) of its grid; ``jitter`` int (n, 2); all but cells in pixels.
    """
    check_shapes(size=(size, "2"), cells=(cells, "n 2"), jitter=(jitter, "n 2"))
    if min(size) < patch_size:
        raise ConfigError(f"`patch_size` must fit into the image. Received: patch_size={patch_size}, size={size}")
    return np.clip(cells * (patch_size + gap) + origins + jitter, 0, np.subtract(size, patch_size))


def small_side(uniform, patch_size, smallest):
    """Size to which a patch is shrunk before it is enlarged again, from u uniform in [0, 1): its area is uniform.

    ``s = floor(sqrt(u ((p - 1)^2 - m^2) + m^2))``: 10 to 94 for patches of p = 96 pixels and m = 10, at most p - 2.
    """
    check_integers(1, patch_size - 2, smallest=smallest)
    low, high = smallest**2, (patch_size - 1) ** 2
    # In float64 u (high - low) + low can round up to high, whose root would be out of range.
    return np.minimum(np.sqrt(np.asarray(uniform) * (high - low) + low).astype(int), patch_size - 2)


@functools.lru_cache(maxsize=256)
def down_up_matrix(patch_size, size):
    """Shrinking ``patch_size`` pixels to ``size`` and enlarging them back, as one matrix for each axis of a patch.

    Both ways by Pillow's antialiased bilinear filter. float32 (patch_size, patch_size), rows sum to 1; ``A @ column``
    and ``row @ A.T``. Read-only: cached.
    """
    check_integers(1, patch_size=patch_size, size=size)
    matrix = (_triangle_filter(size, patch_size) @ _triangle_filter(patch_size, size)).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _triangle_filter(before, after):
    """Matrix (after, before) of an antialiased bilinear resize along one axis."""
    scale = before / after
    centers = (np.arange(after) + 0.5) * scale
    distance = np.abs(np.arange(before) + 0.5 - centers[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


def projection_matrix():
    """``rgb @ B`` removes the green-against-magenta axis of color, along which lateral chromatic aberration shows.

    ``B = I - a^T a / (a a^T)`` with a = [-1, 2, -1] (paper, section 3.1). Symmetric, idempotent, of rank 2; gray stays
    gray.
    """
    a = np.array([[-1.0, 2.0, -1.0]])
    return np.eye(3) - a.T @ a / (a @ a.T)
