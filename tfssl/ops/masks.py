"""Which pixels of an image are dropped: the masks of learning by inpainting, as boolean arrays, True where dropped.

Sections are of Pathak et al. (2016). A mask follows from its arguments and the generator's state alone.
"""

import functools

import numpy as np
from PIL import Image

from tfssl.ops.arguments import check_integers, check_shapes
from tfssl.ops.patches import MEAN_COLOR

MAX_AREA = 0.25
"""Largest fraction of an image that random blocks and regions drop (section 3.3)."""

PATTERN_AREA = (0.20, 0.30)
"""Fraction of an image that the pattern mask drops, both limits excluded (released code)."""

FILL = tuple(2.0 * level / 255.0 - 1.0 for level in MEAN_COLOR)
"""What dropped pixels get, in [-1, 1]: the mean color of ImageNet. (The released code gives 117, 104, 123 to the
channels of an RGB image; networks trained with it expect that.)"""

MEAN_AREA = {"blocks": 0.225, "regions": 0.188, "pattern": 0.23}
"""Fraction of an image that each random mask drops on average (measured)."""

_BLOCK_SIZES = (1 / 8, 1 / 3)  # of a random block, as fractions of the image's size
_MAX_BLOCKS = 16
_MIN_REGION = 1 / 8  # fraction of an image
_BLOB_CELLS = (3, 7)  # noise values along an axis: smallest, and largest plus one
_SHAPE_AREA = (0.03, 0.15)  # fraction of an image that one pasted shape covers
_MAX_STRETCH = 1.4
_MAX_PASTES = 30

_PATTERN_SIZE, _PATTERN_CELLS, _PATTERN_LEVEL = 10_000, 600, 0.25  # released code: resolution 0.06


def center_mask(size, overlap=0):
    """A square in the middle, half as wide as the image less ``overlap`` pixels on each size (section 3.3).

    Returns:
        bool array (size, size); for an even size and overlap 0 exactly 1/4 of it is True.
    """
    check_integers(2, size=size)
    check_integers(0, overlap=overlap)
    hole = size // 2 - 2 * overlap
    if hole < 1:
        raise ValueError(f"`overlap` must be 0 to {(size // 2 - 1) // 2} for size={size}. Received: overlap={overlap}")
    start = (size - hole) // 2
    mask = np.zeros((size, size), bool)
    mask[start : start + hole, start : start + hole] = True
    return mask


def random_blocks(size, rng):
    """Several rectangles that may overlap, together at most 1/4 of the image (section 3.3): bool (size, size).

    The paper gives neither their number nor their sizes. Here the sides of each are uniform between 1/8 and 1/3 of
    the image's, and blocks are added until the next one would exceed 1/4. ``size`` is at least 8 pixels.
    """
    check_integers(8, size=size)
    mask = np.zeros((size, size), bool)
    smallest, largest = max(1, round(_BLOCK_SIZES[0] * size)), int(_BLOCK_SIZES[1] * size)
    for draws in rng.random((_MAX_BLOCKS, 4)):
        height, width = smallest + (draws[:2] * (largest - smallest + 1)).astype(int)
        top, left = (draws[2:] * (size - height + 1, size - width + 1)).astype(int)
        larger = mask.copy()
        larger[top : top + height, left : left + width] = True
        if larger.sum() > MAX_AREA * size**2:
            break
        mask = larger
    return mask


def random_region(size, rng, shapes=()):
    """Arbitrary shapes anywhere, together 1/8 to 1/4 of the image (section 3.3: "up to 1/4"): bool (size, size).

    With ``shapes``, bool arrays (h, w), they are those of objects, each mirrored, turned, scaled and stretched at
    random and pasted where its center lies inside the image. Without, they are blobs: smooth noise below the level that
    gives the area. ``size`` is at least 8 pixels.
    """
    check_integers(8, size=size)
    for shape in shapes:
        check_shapes(shapes=(shape, "h w"))
    return _pasted(size, rng, shapes) if len(shapes) else _blobs(size, rng)


def _blobs(size, rng):
    cells = int(rng.integers(*_BLOB_CELLS))
    noise = Image.fromarray(rng.random((cells, cells), np.float32))
    field = np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC)).ravel()
    count = int(rng.uniform(_MIN_REGION, MAX_AREA) * size**2)
    mask = np.zeros(size**2, bool)
    mask[np.argpartition(field, count)[:count]] = True
    return mask.reshape(size, size)


def _pasted(size, rng, shapes):
    mask = np.zeros((size, size), bool)
    for _ in range(_MAX_PASTES):
        larger = mask.copy()
        _paste(larger, _deformed(shapes[rng.integers(len(shapes))], size, rng), rng)
        if larger.sum() <= MAX_AREA * size**2:
            mask = larger
        if mask.sum() >= _MIN_REGION * size**2:
            break
    return mask if mask.any() else _blobs(size, rng)


def _deformed(shape, size, rng):
    """A shape mirrored, scaled, stretched and turned, bool (h, w)."""
    image = Image.fromarray(np.where(shape, np.uint8(255), np.uint8(0)))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = np.sqrt(rng.uniform(*_SHAPE_AREA) * size**2 / shape.sum())
    stretch = _MAX_STRETCH ** rng.uniform(-0.5, 0.5)
    stretched = zip(image.size, (stretch, 1 / stretch), strict=True)
    scaled = image.resize(
        [max(1, min(2 * size, round(n * scale * s))) for n, s in stretched], Image.Resampling.BILINEAR
    )
    turned = scaled.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR, expand=True)
    return np.asarray(turned) >= 128


def _paste(mask, shape, rng):
    """Set ``mask`` where ``shape`` lies, its center anywhere inside; what leaves the image is cut off."""
    corner = [int(rng.integers(n)) - m // 2 for n, m in zip(mask.shape, shape.shape, strict=True)]
    inside = [slice(max(c, 0), min(c + m, n)) for c, m, n in zip(corner, shape.shape, mask.shape, strict=True)]
    part = [slice(s.start - c, s.stop - c) for s, c in zip(inside, corner, strict=True)]
    mask[tuple(inside)] |= shape[tuple(part)]


@functools.lru_cache(maxsize=4)
def pattern_noise(seed=0):
    """The noise behind the pattern of :func:`pattern_mask`: a ``PIL.Image`` of 600 x 600 uniform floats."""
    return Image.fromarray(np.random.default_rng((seed, 600)).random((_PATTERN_CELLS, _PATTERN_CELLS), np.float32))


def pattern_mask(size, rng, noise):
    """A window of a large random pattern that covers 20 to 30 % of the image (released code): bool (size, size).

    The pattern is 10,000 pixels wide: ``noise``, of :func:`pattern_noise`, scaled up bicubically, dropped where it lies
    below 0.25. A window is taken at random until its area fits. Only the window is scaled, not the whole pattern of
    100 megapixels. ``size`` is 32 to 1000 pixels.
    """
    check_integers(32, 1000, size=size)
    step = _PATTERN_CELLS / _PATTERN_SIZE
    while True:
        left, top = rng.integers(0, _PATTERN_SIZE - size + 1, 2)
        box = (left * step, top * step, (left + size) * step, (top + size) * step)
        mask = np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC, box=box)) < _PATTERN_LEVEL
        if PATTERN_AREA[0] < mask.mean() < PATTERN_AREA[1]:
            return mask
