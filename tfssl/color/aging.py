"""What old photographs and their scans look like: for training and for tests on kept-out photographs.

Only the lightness ages. Colors stay true, so a network learns to find them behind the damage.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

from tfssl.data.decode import open_image
from tfssl.ops.bytes_lab import lightness

GRAIN = 0.06
"""Largest deviation of the grain, as a fraction of white."""

_SPREAD = ((0.40, 0.90), (0.15, 0.55), (-0.20, 0.20))
"""Weights of B, G and (what is left) R that old emulsions gave, uncertain: film before 1930 hardly saw red."""


def age(pixels, rng):
    """Lightness of a photograph as if it were old: each effect by chance, each in random strength.

    In this order: film blind to red, the film's curve, lens blur, uneven light, vignette, grain of at most
    :data:`GRAIN`, fading (less contrast, a raised black point), JPEG of the scan.

    Args:
        pixels: uint8 (H, W, 3), sRGB.
        rng: ``numpy.random.Generator``.

    Returns:
        float32 (H, W), L in [0, 100].
    """
    chosen = rng.random(8) < (0.25, 0.6, 0.5, 0.35, 0.35, 0.5, 0.6, 0.5)
    film, curve, soft, uneven, vignette, grainy, faded, compressed = chosen
    light = _film(pixels, rng) if film else lightness(pixels) / np.float32(100)
    if curve:
        light = light ** np.exp(rng.uniform(-0.5, 0.75))  # up to three stops too dark
        steep = rng.uniform(-0.4, 0.6)  # toward a smooth step: crushed shadows and blown lights, or the reverse
        light = light + steep * (light * light * (3 - 2 * light) - light)
    if soft:
        light = _blur(light, rng.uniform(0.2, 0.018 * min(light.shape) + 0.2))
    if uneven or vignette:
        light = light * _illumination(light.shape, rng, uneven, vignette)
    if grainy:
        light = light + _grain(light.shape, rng)
    if faded:
        black, white = rng.uniform(0, 0.4), rng.uniform(0.6, 1)
        light = black + np.clip(light, 0, 1) * (max(white, black + 0.2) - black)
    light = np.clip(light, 0, 1).astype(np.float32)
    if compressed:
        light = _jpeg(light, int(rng.integers(25, 92)))
    return light * np.float32(100)


def frame(pixels, rng):
    """A photograph with the flat border of a print or a scan around it, uint8 (H, W, 3), as a copy.

    The border is gray in truth too: it hides what was there, and should stay without color.
    """
    pixels = pixels.copy()
    height, width = pixels.shape[:2]
    level = rng.choice([rng.integers(0, 40), rng.integers(200, 256)])
    for rows, size in ((True, height), (True, height), (False, width), (False, width)):
        n = int(rng.integers(0, max(2, size // 7)))
        part = pixels if rows else pixels.transpose(1, 0, 2)
        end = slice(0, n) if rng.random() < 0.5 else slice(size - n, size)
        part[end] = level
    return pixels


def _film(pixels, rng):
    blue, green, red = (rng.uniform(*bounds) for bounds in _SPREAD)
    weights = np.clip([red + 0.1, green, blue], 0, None)
    return (pixels @ (weights / weights.sum() / 255)).astype(np.float32)


def _illumination(shape, rng, uneven, vignette):
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    light = np.ones(shape, np.float32)
    if uneven:
        angle = rng.uniform(0, 2 * np.pi)
        light += rng.uniform(0, 0.3) * (np.cos(angle) * x + np.sin(angle) * y)
    if vignette:
        cx, cy = rng.uniform(-0.4, 0.4, 2)
        light *= 1 - rng.uniform(-0.15, 0.5) * np.clip((x - cx) ** 2 + (y - cy) ** 2, 0, 2.5) / 2
    return light


def _grain(shape, rng):
    grain = rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.5:  # clumps, as of an enlarged or reduced scan
        grain = _blur_floats(grain)
        grain /= max(float(grain.std()), 1e-6)
    return grain * np.float32(rng.uniform(0, GRAIN))


def _blur_floats(values):
    for axis in (0, 1):
        values = 0.5 * values + 0.25 * (np.roll(values, 1, axis) + np.roll(values, -1, axis))
    return values


def _blur(light, sigma):
    image = Image.fromarray(_bytes(light)).filter(ImageFilter.GaussianBlur(float(sigma)))
    return np.asarray(image, np.float32) / 255


def _jpeg(light, quality):
    stream = io.BytesIO()
    Image.fromarray(_bytes(light)).save(stream, "JPEG", quality=quality)
    with open_image(stream) as image:
        return np.asarray(image, np.float32) / 255


def _bytes(light):
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)
