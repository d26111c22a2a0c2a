"""Examples of video triplets: crops that a track joins -> a pair, the number of its clip, lots for its negatives."""

import numpy as np
from PIL import Image, ImageEnhance

from tfssl.data.crop import Crop

LOTS = 256
"""Random numbers of an example: its negatives are drawn by them, so that a run that goes on draws the same ones."""

_FACTORS, _TURN = 0.8, 0.2
"""Largest changes at strength 1: of the factors of brightness, contrast and saturation, and of hue (1 is a turn)."""


def draw_pair(method, example, rng, training):
    """Both crops at the size of the network, each cut, mirrored and changed in color by draws of its own.

    Returns:
        uint8 (2, s, s, 3); float32 (1 + LOTS,): the number of the clip, then uniform numbers in [0, 1).
    """
    crops = []
    for frame in example["clip"].frames([0, 1]):
        crop = _cut(method, Image.fromarray(frame), rng, training)
        if training and method.mirror and rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if training and method.color_jitter:
            crop = change_color(crop, method.color_jitter * rng.uniform(-1, 1, 4))
        if training and method.gray_fraction and rng.random() < method.gray_fraction:
            crop = crop.convert("L").convert("RGB")
        crops.append(np.asarray(crop))
    targets = np.concatenate([[example["label"]], rng.random(LOTS)]).astype(np.float32)
    return np.stack(crops), targets


def _cut(method, image, rng, training):
    size, larger = method.crop_size, method.resize or method.crop_size
    if training and method.crop_area is not None:
        return Image.fromarray(Crop(size, area=method.crop_area, flip=False).apply(image, rng))
    image = image.resize((larger, larger), Image.Resampling.BILINEAR, reducing_gap=3.0)
    left, top = rng.integers(0, larger - size + 1, 2).tolist() if training else [(larger - size) // 2] * 2
    return image.crop((left, top, left + size, top + size))


def change_color(image, changes):
    """Change brightness, contrast, saturation and hue by so much of the largest change, ``changes`` in [-1, 1]."""
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for kind, change in zip(kinds, changes[:3], strict=True):
        image = kind(image).enhance(1 + _FACTORS * change)
    hue, saturation, value = image.convert("HSV").split()
    turn = round(256 * _TURN * changes[3])
    return Image.merge("HSV", (hue.point([(h + turn) % 256 for h in range(256)]), saturation, value)).convert("RGB")


def to_inputs(pairs):
    """Pairs float32 (B, 2, s, s, 3) in [0, 1]."""
    import tensorflow as tf

    return tf.cast(pairs, tf.float32) / 255.0
