"""Examples of colorization: crops of photographs -> (lightness, subsampled ab), and the sizes that networks take."""

import numpy as np

from tfssl.color.aging import age, frame
from tfssl.ops.bytes_lab import lightness

OUTPUT_STRIDE = {"paper": 4, "alexnet": 8, "small": 4, "efficientnet_lite0": 4}
"""Input pixels per output position."""

INPUT_MULTIPLE = {"paper": 8, "alexnet": 1, "small": 16, "efficientnet_lite0": 32}
"""Input height and width must be multiples of this for input and output to stay aligned."""

COLOR_BACKBONES = ("paper", "alexnet", "small")
"""Backbones whose first convolution may get a and b too, see :func:`tfssl.methods.colorization.network.see_colors`."""

OPEN_OUTPUT_STRIDE, OPEN_INPUT_MULTIPLE = 4, 32
"""The same of networks of others."""

_FRAMED = 0.3
"""Fraction of the aged crops that get a border, as the field ``aging`` counts them."""


def cut(method, image, rng, training):
    """A crop, uint8 (S, S, 3), and the lightness that the network sees of it, float32 (S, S, 1) in [0, 100]."""
    pixels = method.crop.apply(image, rng if training else None)
    strength = np.log1p(method.lightness_jitter)
    exposure = np.exp(rng.uniform(-strength, strength, 2)) if training and strength else np.ones(2)
    light = None
    if training and method.aging:
        if rng.random() < method.aging * _FRAMED:
            pixels = frame(pixels, rng)
        if rng.random() < method.aging:
            light = age(pixels, rng)
    light = (lightness(pixels) if light is None else light)[..., None]
    return pixels, light if (exposure == 1).all() else jitter_lightness(light, *exposure.astype(np.float32))


def jitter_lightness(light, exponent, contrast):
    """Change the exposure of an image: ``100 (L / 100)^exponent``, then contrast about the mean.

    The target keeps its colors, so the network learns not to depend on the exposure of a scan.

    Args:
        light: float32 (H, W, 1) in [0, 100], as the result.
        exponent, contrast: float32 numbers; 1 changes nothing.
    """
    bent = 100 * np.power(np.maximum(light, 1e-3) / 100, exponent)
    mean = bent.mean()
    return np.clip(mean + (bent - mean) * contrast, 0, 100)
