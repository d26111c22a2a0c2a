"""Examples of colorization: crops of photographs -> (lightness, subsampled ab), and the sizes that networks take."""

import numpy as np

from tfssl.ops.bytes_lab import ab, lightness

OUTPUT_STRIDE = {"paper": 4, "alexnet": 8, "small": 4}
"""Input pixels per output position."""

INPUT_MULTIPLE = {"paper": 8, "alexnet": 1, "small": 16}
"""Input height and width must be multiples of this for input and output to stay aligned."""

OPEN_OUTPUT_STRIDE, OPEN_INPUT_MULTIPLE = 4, 32
"""The same of networks of others."""


def cut(method, image, rng, training):
    """A crop, uint8 (S, S, 3), and the change of its exposure, float32 (2,): exponent and contrast, 1 for none."""
    pixels = method.crop.apply(image, rng if training else None)
    strength = np.log1p(method.lightness_jitter)
    exposure = np.exp(rng.uniform(-strength, strength, 2)) if training and strength else np.ones(2)
    return pixels, exposure.astype(np.float32)


def to_example(pixels, exposure, stride):
    """Split crops into the network's input and target, by tables, several times as fast as graph operators.

    Args:
        pixels: uint8 array (B, H, W, 3), sRGB.
        exposure: float32 (B, 2), see :func:`jitter_lightness`.
        stride: the target keeps pixels 0, stride, 2 stride, ... (point sampling, as the released code).

    Returns:
        ``(L, ab)``: float32 (B, H, W, 1) in [0, 100] and (B, ceil(H / stride), ceil(W / stride), 2), ab units.
    """
    light = lightness(pixels)[..., None]
    light = light if (exposure == 1).all() else jitter_lightness(light, exposure)
    return light, ab(pixels[:, ::stride, ::stride])


def jitter_lightness(light, exposure):
    """Change exposure of each image of a batch: ``100 (L / 100)^g``, then contrast about the mean.

    The target keeps its colors, so the network learns not to depend on the exposure of a scan.

    Args:
        light: float32 (B, H, W, 1) in [0, 100], as the result.
        exposure: float32 (B, 2), g and the contrast of each image.
    """
    gamma, contrast = (exposure[:, i, None, None, None] for i in range(2))
    bent = 100 * np.power(np.maximum(light, 1e-3) / 100, gamma)
    mean = bent.mean(axis=(1, 2), keepdims=True)
    return np.clip(mean + (bent - mean) * contrast, 0, 100)
