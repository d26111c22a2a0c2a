"""Examples of the task: photographs -> images in [-1, 1] and the damage that their features will get."""

import math

import numpy as np
from PIL import Image

from tfssl.data.crop import Crop

TEST_SIZE = 0.85
"""Side of the central square used in evaluation, as a fraction of the shorter side."""

_BRIGHTNESS, _SATURATION = 32 / 255, (0.5, 1.5)
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def min_size(method):
    """Pixels of the shorter side that decoding has to keep, for training and evaluation alike."""
    return max(_crop_of(method).min_size, math.ceil(method.crop_size / TEST_SIZE))


def _crop_of(method):
    return Crop(method.crop_size, area=method.crop_area)


def draw_damage(method, rng):
    """Which cells of the features are kept (1) or dropped (0), each by itself: uint8 (cells, cells, 1)."""
    return (rng.random((method.cells, method.cells, 1)) >= method.theta).astype(np.uint8)


def cut(method, image, rng, training):
    """The crop of an image.

    In training a box with ``crop_area`` of the area and an aspect ratio of 3:4 to 4:3 is scaled to the crop, bilinearly
    or bicubically, half of the time each (where the image is reduced, with antialiasing, which the released code
    lacks); half of the crops are mirrored. In evaluation it is the central square of 85 % of the shorter side,
    bicubically.

    Args:
        method: a :class:`~tfssl.methods.SpotArtifacts`.
        image: ``PIL.Image``, RGB.
        rng: ``numpy.random.Generator``; not used in evaluation.
        training: see above.

    Returns:
        uint8 (crop_size, crop_size, 3).
    """
    shape = (method.crop_size, method.crop_size)
    if not training:
        size = min(image.size) * TEST_SIZE
        left, top = ((n - size) / 2 for n in image.size)
        return np.asarray(image.resize(shape, _FILTERS[1], box=(left, top, left + size, top + size)))
    box = _crop_of(method).box(*image.size, rng)
    image = image.resize(shape, _FILTERS[int(rng.integers(2))], box=box)
    return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image)


def draw_color(rng):
    """What to add to the brightness, to multiply the saturation by, and whether brightness comes first; None: nothing.

    float32 (3,).
    """
    if rng is None:
        return np.array([0.0, 1.0, 0.0], np.float32)
    brightness, saturation = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS), rng.uniform(*_SATURATION)
    return np.array([brightness, saturation, rng.integers(2)], np.float32)


def change_color(images, colors):
    """Change brightness and saturation of each image, then bring it to [-1, 1].

    Args:
        images: float32 tensor (B, H, W, 3) in [0, 1].
        colors: float32 tensor (B, 3), see :func:`draw_color`.

    Returns:
        float32 tensor (B, H, W, 3): ``2 x - 1``, clipped.
    """
    import tensorflow as tf

    brightness, saturation, first = (colors[:, i, None, None, None] for i in range(3))
    images = adjust_saturation(images + brightness * first, saturation) + brightness * (1 - first)
    return tf.clip_by_value(2.0 * images - 1.0, -1.0, 1.0)


def adjust_saturation(images, factors):
    """``tf.image.adjust_saturation`` with a factor for each image, without the detour over HSV.

    Value V is the largest of R, G, B and hue their order and proportions; both stay. The distance of each channel from
    V is multiplied by the factor, at most until the smallest channel is 0.

    Args:
        images: float32 tensor (B, H, W, 3).
        factors: float32 tensor (B, 1, 1, 1), not negative.

    Returns:
        float32 tensor (B, H, W, 3).
    """
    import tensorflow as tf

    value = tf.reduce_max(images, axis=-1, keepdims=True)
    below = value - images
    room = tf.math.divide_no_nan(tf.maximum(value, 0.0), tf.reduce_max(below, axis=-1, keepdims=True))
    return value - below * tf.minimum(factors, room)


def to_example(pixels, omega, colors):
    """Inputs and target of the networks, from batches of what the method's ``sample`` gives.

    Returns:
        ``({"images": x, "omega": damage}, x)``: float32 (B, S, S, 3) in [-1, 1] and (B, cells, cells, 1), 1 where kept.
    """
    import tensorflow as tf

    images = change_color(tf.cast(pixels, tf.float32) / 255.0, colors)
    return {"images": images, "omega": tf.cast(omega, tf.float32)}, images
