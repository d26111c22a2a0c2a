"""Styles that a photograph can be rendered in: haze, tone mapping, black and white, blur, dots, strokes.

Each is a function of an image, float64 (H, W, 3) in [0, 1], a strength in [0, 1] and a ``numpy.random.Generator``, and
gives an image of the same shape, which may leave [0, 1] a little. At strength 0 there is little or nothing of it.
"""

import numpy as np
from PIL import Image, ImageDraw

LUMA = np.array([0.299, 0.587, 0.114])

_STEPS = 16  # positions that a moving camera is averaged over
_FINE = 4  # dots are drawn so many times larger, for smooth edges


def hazy(image, strength, rng):
    """Light of the air over the image, more of it the higher up."""
    air = rng.uniform(0.75, 0.95) * np.array([0.98, 1.0, 1.03])
    rows = np.linspace(1.0, rng.uniform(0.4, 0.9), len(image))[:, None, None]
    return image + 0.75 * strength * rows * (air - image)


def hdr(image, strength, rng):
    """Tones spread within each region (CLAHE), edges sharpened, colors stronger."""
    from skimage.exposure import equalize_adapthist
    from skimage.filters import unsharp_mask

    gray = np.clip(image @ LUMA, 0, 1)
    tone = unsharp_mask(equalize_adapthist(gray, clip_limit=0.02 + 0.04 * rng.random()), radius=2, amount=1.5)
    color = (image - gray[..., None]) * (1 + 0.8 * strength)
    return (gray + strength * (tone - gray))[..., None] + color


def noir(image, strength, rng):
    """Black and white, hard contrast, dark corners."""
    gray = (image @ LUMA)[..., None]
    hard = 1 / (1 + np.exp(-(4 + 8 * strength) * (gray - rng.uniform(0.4, 0.55))))
    dark = 1 - 0.8 * strength * np.square(_distance(image, 0.5, 0.5))
    return np.repeat(hard * np.clip(dark, 0, 1), 3, axis=-1)


def pastel(image, strength, rng):
    """Light and soft: tones lifted, colors paler, a breath of one hue over all."""
    lifted = 1 - (1 - image) * (1 - 0.6 * strength)
    tint = 0.75 + 0.25 * rng.random(3)
    return lifted + 0.2 * strength * (tint - lifted)


def vintage(image, strength, rng):
    """Sepia, faded blacks, grain."""
    sepia = np.clip((image @ LUMA)[..., None] * np.array([1.08, 0.9, 0.68]), 0, 1)
    mixed = image + (0.3 + 0.6 * strength) * (sepia - image)
    faded = 0.14 * strength + (1 - 0.2 * strength) * mixed
    return faded + 0.05 * strength * rng.normal(size=(*image.shape[:2], 1))


def bokeh(image, strength, rng):
    """Sharp about one point, ever more blurred away from it; bright spots spread, as in a lens."""
    from scipy.ndimage import gaussian_filter

    sigma = strength * min(image.shape[:2]) / 20
    blurred = np.clip(gaussian_filter(np.power(image, 3), (sigma, sigma, 0)), 0, 1) ** (1 / 3)
    away = np.clip(2.5 * _distance(image, *rng.uniform(0.35, 0.65, 2)) - 0.4, 0, 1)[..., :1]
    return image + away * (blurred - image)


def long_exposure(image, strength, rng):
    """Blurred along a straight line, at any angle, as long as a quarter of the image at most."""
    from scipy.ndimage import shift

    length, angle = strength * min(image.shape[:2]) / 4, rng.uniform(0, np.pi)
    places = np.linspace(-0.5, 0.5, _STEPS) * length
    moved = (shift(image, (p * np.sin(angle), p * np.cos(angle), 0), order=1, mode="reflect") for p in places)
    return sum(moved) / _STEPS


def minimal(image, strength, rng):
    """The image small, somewhere on a large even ground of the color of its border."""
    size = [max(1, round(n * (0.75 - 0.45 * strength))) for n in image.shape[:2]]
    ground = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).mean(axis=0)
    found = np.broadcast_to(ground + rng.uniform(0.2, 0.8) * (1 - ground), image.shape).copy()
    top, left = (int(rng.integers(0, n - s + 1)) for n, s in zip(image.shape, size, strict=False))
    small = _pil(image).resize(size[::-1], Image.Resampling.BICUBIC)
    found[top : top + size[0], left : left + size[1]] = np.asarray(small) / 255
    return found


def pointillism(image, strength, rng):
    """Dots of paint on paper, each in the color of its place, more or less."""
    height, width = image.shape[:2]
    radius = (1 + 2 * strength) * min(height, width) / 96
    rows, columns = (np.arange(0, n, 1.3 * radius) for n in (height, width))
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    places = rng.permutation(places + rng.normal(0, 0.4 * radius, places.shape))
    paper = Image.new("RGB", (_FINE * width, _FINE * height), (244, 240, 228))
    draw = ImageDraw.Draw(paper)
    nearest = np.clip(np.rint(places).astype(int), 0, (height - 1, width - 1))
    colors = _levels(image[nearest[:, 0], nearest[:, 1]] + rng.normal(0, 0.06, (len(places), 3)))
    for (y, x), color in zip(_FINE * (places + 0.5), colors.tolist(), strict=True):
        r = _FINE * radius * 0.8
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(color))
    return np.asarray(paper.resize((width, height), Image.Resampling.BOX)) / 255


def edge_sketch(image, strength, rng):
    """Pencil strokes where the image has edges: its gray divided by what surrounds it."""
    from scipy.ndimage import gaussian_filter

    gray = image @ LUMA
    around = gaussian_filter(gray, rng.uniform(1.5, 3.0) * min(gray.shape) / 96)
    strokes = np.clip((gray + 0.05) / (around + 0.05), 0, 1)
    paper = rng.uniform(0.9, 1.0) * np.array([1.0, 0.99, 0.96])
    return np.power(strokes, 1 + 4 * strength)[..., None] * paper


STYLES = {
    style.__name__: style
    for style in (hazy, hdr, noir, pastel, vintage, bokeh, long_exposure, minimal, pointillism, edge_sketch)
}
"""Name -> rendering."""


def render(image, style, strength, rng):
    """A ``PIL.Image`` in RGB, rendered in a style: another one of the same size."""
    return _pil(STYLES[style](np.asarray(image, np.float64) / 255, strength, rng))


def _distance(image, y, x):
    """Distance of each pixel from a place, (H, W, 1); 1 is from the middle to a corner."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in image.shape[:2])
    return np.hypot(rows[:, None] - y, columns - x)[..., None] / np.sqrt(0.5)


def _levels(values):
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _pil(image):
    return Image.fromarray(_levels(image))
