"""Which pixels of a picture are dropped: the masks of learning by inpainting, as boolean arrays.

Everywhere True means dropped. A mask follows from its arguments and the generator's state alone.
"""

import functools

import numpy as np
from PIL import Image

from tfssl.ops.patches import MEAN_COLOR

MAX_AREA = 0.25
"""Largest share of a picture that random blocks and regions drop (paper, section 3.3)."""

PATTERN_AREA = (0.20, 0.30)
"""Share of a picture that the pattern mask drops, both limits excluded (released code)."""

FILL = tuple(2.0 * level / 255.0 - 1.0 for level in MEAN_COLOR)
"""What dropped pixels get, in [-1, 1]: the mean color of ImageNet. (The released code gives 117, 104, 123 to the
channels of an RGB image; networks trained with it expect that.)"""

MEAN_AREA = {"blocks": 0.225, "regions": 0.188, "pattern": 0.23}
"""Share of a picture that each random mask drops on average (measured)."""

_BLOCK_SIDES = (1 / 8, 1 / 3)  # of a random block, as shares of the picture's side
_MAX_BLOCKS = 16
_MIN_REGION = 1 / 8  # share of a picture
_BLOB_CELLS = (3, 7)  # noise values along a side of the picture: smallest, and largest plus one
_SHAPE_AREA = (0.03, 0.15)  # share of a picture that one pasted shape covers
_MAX_STRETCH = 1.4
_MAX_PASTES = 30

_PATTERN_SIDE, _PATTERN_CELLS, _PATTERN_LEVEL = 10_000, 600, 0.25  # released code: resolution 0.06


def center_mask(side, overlap=0):
    """A square in the middle, half as wide as the picture less ``overlap`` pixels on each side (paper, section 3.3).

    Args:
        side: of the picture in pixels.
        overlap: pixels along the inner border of the central half that stay visible.

    Returns:
        bool array (side, side); for an even side and overlap 0 exactly 1/4 of it is True.

    Raises:
        ValueError: if nothing is left to drop.
    """
    hole = side // 2 - 2 * overlap
    if overlap < 0 or hole < 1:
        raise ValueError(f"`overlap` must be 0 to {(side // 2 - 1) // 2} for side={side}. Received: overlap={overlap}")
    start = (side - hole) // 2
    mask = np.zeros((side, side), bool)
    mask[start : start + hole, start : start + hole] = True
    return mask


def random_blocks(side, rng):
    """Several rectangles that may overlap, together at most 1/4 of the picture (paper, section 3.3).

    The paper gives neither their number nor their sizes. Here the sides of each are uniform between 1/8 and 1/3 of
    the picture's side, and blocks are added until the next one would exceed 1/4.

    Args:
        side: of the picture in pixels, at least 8.
        rng: ``numpy.random.Generator``.

    Returns:
        bool array (side, side), at least one block.
    """
    mask = np.zeros((side, side), bool)
    smallest, largest = max(1, round(_BLOCK_SIDES[0] * side)), int(_BLOCK_SIDES[1] * side)
    for draws in rng.random((_MAX_BLOCKS, 4)):
        height, width = smallest + (draws[:2] * (largest - smallest + 1)).astype(int)
        top, left = (draws[2:] * (side - height + 1, side - width + 1)).astype(int)
        larger = mask.copy()
        larger[top : top + height, left : left + width] = True
        if larger.sum() > MAX_AREA * side**2:
            break
        mask = larger
    return mask


def random_region(side, rng, shapes=()):
    """Arbitrary shapes at random places, together 1/8 to 1/4 of the picture (paper, section 3.3: "up to 1/4").

    With ``shapes`` they are those of objects, each mirrored, turned, scaled and stretched at random and pasted where
    its center lies inside the picture. Without, they are blobs: smooth noise below the level that gives the area.

    Args:
        side: of the picture in pixels, at least 8.
        rng: ``numpy.random.Generator``.
        shapes: bool arrays (h, w) of any sizes, each with something True.

    Returns:
        bool array (side, side).
    """
    return _pasted(side, rng, shapes) if len(shapes) else _blobs(side, rng)


def _blobs(side, rng):
    cells = int(rng.integers(*_BLOB_CELLS))
    noise = Image.fromarray(rng.random((cells, cells), np.float32))
    field = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)).ravel()
    count = int(rng.uniform(_MIN_REGION, MAX_AREA) * side**2)
    mask = np.zeros(side**2, bool)
    mask[np.argpartition(field, count)[:count]] = True
    return mask.reshape(side, side)


def _pasted(side, rng, shapes):
    mask = np.zeros((side, side), bool)
    for _ in range(_MAX_PASTES):
        larger = mask.copy()
        _paste(larger, _deformed(shapes[rng.integers(len(shapes))], side, rng), rng)
        if larger.sum() <= MAX_AREA * side**2:
            mask = larger
        if mask.sum() >= _MIN_REGION * side**2:
            break
    return mask if mask.any() else _blobs(side, rng)


def _deformed(shape, side, rng):
    """A shape mirrored, scaled, stretched and turned, bool (h, w)."""
    image = Image.fromarray(np.where(shape, np.uint8(255), np.uint8(0)))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = np.sqrt(rng.uniform(*_SHAPE_AREA) * side**2 / shape.sum())
    stretch = _MAX_STRETCH ** rng.uniform(-0.5, 0.5)
    size = [
        max(1, min(2 * side, round(n * scale * s))) for n, s in zip(image.size, (stretch, 1 / stretch), strict=True)
    ]
    turned = image.resize(size, Image.Resampling.BILINEAR).rotate(
        rng.uniform(0, 360), Image.Resampling.BILINEAR, expand=True
    )
    return np.asarray(turned) >= 128


def _paste(mask, shape, rng):
    """Set ``mask`` where ``shape`` lies, its center anywhere inside; what leaves the picture is cut off."""
    corner = [int(rng.integers(n)) - m // 2 for n, m in zip(mask.shape, shape.shape, strict=True)]
    inside = [slice(max(c, 0), min(c + m, n)) for c, m, n in zip(corner, shape.shape, mask.shape, strict=True)]
    part = [slice(s.start - c, s.stop - c) for s, c in zip(inside, corner, strict=True)]
    mask[tuple(inside)] |= shape[tuple(part)]


@functools.lru_cache(maxsize=4)
def pattern_noise(seed=0):
    """The noise behind the pattern of :func:`pattern_mask`: a ``PIL.Image`` of 600 x 600 uniform floats."""
    return Image.fromarray(np.random.default_rng((seed, 600)).random((_PATTERN_CELLS, _PATTERN_CELLS), np.float32))


def pattern_mask(side, rng, noise):
    """A window of a large random pattern that covers 20 to 30 % of the picture (released code).

    The pattern is 10,000 pixels wide: uniform noise of 600 x 600 values, scaled up bicubically, dropped where it lies
    below 0.25. A window is taken at random until its area fits. Only the window is scaled, not the whole pattern of
    100 megapixels.

    Args:
        side: of the picture in pixels, 32 to 1000.
        rng: ``numpy.random.Generator``.
        noise: of :func:`pattern_noise`.

    Returns:
        bool array (side, side).
    """
    step = _PATTERN_CELLS / _PATTERN_SIDE
    while True:
        left, top = rng.integers(0, _PATTERN_SIDE - side + 1, 2)
        box = (left * step, top * step, (left + side) * step, (top + side) * step)
        mask = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC, box=box)) < _PATTERN_LEVEL
        if PATTERN_AREA[0] < mask.mean() < PATTERN_AREA[1]:
            return mask
