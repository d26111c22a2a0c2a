"""Every patch of every image on a dense grid, embedded once: what object discovery searches in."""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.data.images import image_source
from tfssl.errors import ConfigError, SourceError

MAX_BYTES = 16 << 30
"""Largest matrix of embeddings that is built (16 GiB); a guard, the matrix is held in memory."""

_PATCHES_AT_ONCE = 1024
_FIRST_ESTIMATE = 32


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where patches are cut."""

    side: int  # of the patches that the network takes, in pixels
    steps: int = 2  # grid positions per patch: with 1 they touch, with 2 they overlap by half
    scales: tuple[float, ...] = (1.0,)  # sizes of the patches in the images, as multiples of ``side``
    # (smallest, largest) number of pixels that an image keeps: others are first scaled to the nearer end, so that a
    # patch shows about as much as in training. None leaves all as they are.
    area: tuple[int, int] | None = None

    def __post_init__(self):
        if not 1 <= self.steps <= self.side:
            raise ConfigError(f"`steps` must lie in [1, {self.side}]. Received: steps={self.steps}")
        if not self.scales or not all(0.1 <= scale <= 10 for scale in self.scales):
            raise ConfigError(f"`scales` must be numbers in [0.1, 10]. Received: scales={self.scales}")

    def sizes(self, width, height):
        """(width, height) to which an image is brought for each scale, in pixels."""
        pixels = width * height
        zoom = 1.0 if self.area is None else np.sqrt(np.clip(pixels, *self.area) / pixels)
        return [(max(1, round(width * zoom / s)), max(1, round(height * zoom / s))) for s in self.scales]

    def positions(self, length):
        """Left (or upper) edges of the patches along ``length`` pixels, as many right of the middle as left of it.

        Positions ``steps`` apart lie exactly one patch size apart, whether or not ``steps`` divides it.
        """
        edges = np.arange(max(0, (length - self.side) * self.steps // self.side + 1)) * self.side // self.steps
        return edges + (length - self.side - edges[-1]) // 2 if edges.size else edges


@dataclasses.dataclass(frozen=True, eq=False)
class PatchIndex:
    """Embedded patches of all images that serve. Rows of one image are adjacent."""

    embeddings: np.ndarray  # unit vectors, float16 (P, D); rounding changes a cosine by less than 0.001
    centers: np.ndarray  # (x, y) in pixels of the patch's image, float32 (P, 2)
    sides: np.ndarray  # in the same pixels, float32 (P,)
    starts: np.ndarray  # first row of each image, and P, int64 (n + 1,)
    images: tuple[int, ...]  # number in the source of each
    squares: np.ndarray  # rows of every four touching patches: upper left, upper right, lower ones, int32 (M, 4)
    skipped: dict[str, str]  # {name: reason} of the images that do not serve

    def image_of(self, rows):
        return np.searchsorted(self.starts, rows, side="right") - 1


def build_index(data, embed, grid, *, limit=None, progress=None):
    """Cut and embed the patches of a source.

    Args:
        data: see :func:`tfssl.data.images.image_source`; the first ``limit`` images, None for all.
        embed: function from uint8 patches (N, side, side, 3) to unit vectors, float array (N, D).
        grid: a :class:`Grid`.
        progress: called with (images done, images in all) after each image.

    Returns:
        A :class:`PatchIndex`. Images that cannot be read, or hold less than 2 x 2 patches at every scale, are in
        its ``skipped``. Memory is 2 * P * D bytes, and a few megabytes while it is built.

    Raises:
        SourceError: if no image serves.
        ConfigError: if the embeddings would take more than :data:`MAX_BYTES`.
    """
    source, skipped = image_source(data), {}
    total = len(source) if limit is None else min(limit, len(source))
    images, starts, embeddings, waiting, geometry = [], [0], [], [], []
    for number in range(total):
        try:
            parts = _cut(source.example(number)["image"], grid)
        except (ValueError, OSError) as error:
            skipped[source.name(number)] = str(error)
        else:
            images.append(number)
            rows = starts[-1]
            for patches, centers, sides, squares in parts:
                waiting.append(patches)
                geometry.append((centers, sides, squares + rows))
                rows += len(patches)
            starts.append(rows)
            if sum(map(len, waiting)) >= _PATCHES_AT_ONCE:
                embeddings.append(np.asarray(embed(np.concatenate(waiting)), np.float16))
                waiting = []
        _check_memory(embeddings, number + 1, total)
        if progress is not None:
            progress(number + 1, total)
    if not images:
        few = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:3])
        raise SourceError(f"`data` has no image that serves among {total} ({few}); give larger images")
    if waiting:
        embeddings.append(np.asarray(embed(np.concatenate(waiting)), np.float16))
    centers, sides, squares = map(np.concatenate, zip(*geometry, strict=True))
    centers, sides, squares = centers.astype(np.float32), sides.astype(np.float32), squares.astype(np.int32)
    return PatchIndex(_join(embeddings), centers, sides, np.array(starts), tuple(images), squares, skipped)


def _cut(image, grid):
    sizes = grid.sizes(*image.size)
    parts = [cut_patches(image, size, grid) for size in sizes]
    if not any(len(squares) for _, _, _, squares in parts):
        width, height = sizes[int(np.argmin(grid.scales))]
        raise ValueError(f"{width}x{height} pixels hold less than 2 x 2 patches of {grid.side}")
    return parts


def _join(blocks):
    """Like ``np.concatenate``, but empties the list on the way: the matrix is never held twice."""
    joined = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), blocks[0].dtype)
    first = 0
    while blocks:
        block = blocks.pop(0)
        joined[first : first + len(block)] = block
        first += len(block)
    return joined


def cut_patches(image, size, grid):
    """All patches of a grid in an image, a ``PIL.Image`` brought to ``size`` (width, height) first.

    Returns:
        ``(patches, centers, sides, squares)``: uint8 (N, s, s, 3), (x, y) in pixels of the image (N, 2), sizes in
        the same (N,), and numbers of each four touching patches (M, 4), upper left first, lower right last.
    """
    side, steps = grid.side, grid.steps
    x, y = (grid.positions(length) for length in size)
    if not (x.size and y.size):
        return np.empty((0, side, side, 3), np.uint8), np.empty((0, 2)), np.empty(0), np.empty((0, 4), int)
    scaled = np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BICUBIC))
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (side, side), axis=(0, 1))
    patches = windows[y[:, None], x].transpose(0, 1, 3, 4, 2).reshape(-1, side, side, 3)
    zoom = np.divide(image.size, size)
    corners = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    sides = np.full(len(patches), side * np.sqrt(zoom.prod()))
    rows = np.arange(len(patches)).reshape(y.size, x.size)
    squares = (rows[:-steps, :-steps], rows[:-steps, steps:], rows[steps:, :-steps], rows[steps:, steps:])
    return patches, (corners + side / 2) * zoom, sides, np.stack(squares, axis=-1).reshape(-1, 4)


def _check_memory(embeddings, done, total):
    """Refuse early: from the first images follows about how much all will take."""
    if done < min(total, _FIRST_ESTIMATE):
        return
    expected = sum(block.nbytes for block in embeddings) * total / done
    if expected > MAX_BYTES:
        raise ConfigError(
            f"the embeddings of {total} images would take about {expected / 2**30:.0f} GiB of memory, more than the "
            f"limit of {MAX_BYTES >> 30}; give fewer `steps` or `scales`, or a `limit`"
        )
