"""Examples of the task: photographs -> images in [-1, 1] and the damage that their features will get."""

import numpy as np
from PIL import Image

from tfssl.data.crop import Crop

TEST_SIZE = 0.85
"""The central square used in evaluation, as a fraction of the shorter side."""

_BRIGHTNESS, _SATURATION = 32 / 255, (0.5, 1.5)
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def crop_of(method):
    """The :class:`~tfssl.data.crop.Crop` of training."""
    return Crop(method.crop_size, area=method.crop_area)


def cut(method, image, rng, training):
    """The crop of an image, uint8 (crop_size, crop_size, 3).

    In training a box with ``crop_area`` of the area and an aspect ratio of 3:4 to 4:3 is scaled to the crop, bilinearly
    or bicubically, half of the time each (where the image is reduced, with antialiasing, which the released code
    lacks); half of the crops are mirrored. In evaluation it is the central square of 85 % of the shorter side,
    bicubically.
    """
    shape = (method.crop_size, method.crop_size)
    if not training:
        size = min(image.size) * TEST_SIZE
        left, top = ((n - size) / 2 for n in image.size)
        return np.asarray(image.resize(shape, _FILTERS[1], box=(left, top, left + size, top + size)))
    box = crop_of(method).box(*image.size, rng)
    image = image.resize(shape, _FILTERS[int(rng.integers(2))], box=box)
    return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image)


def draw_color(rng):
    """What is added to the brightness, what multiplies the saturation, whether brightness comes first: float32 (3,)."""
    if rng is None:
        return np.array([0.0, 1.0, 0.0], np.float32)
    brightness, saturation = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS), rng.uniform(*_SATURATION)
    return np.array([brightness, saturation, rng.integers(2)], np.float32)


def change_color(images, colors):
    """Change brightness and saturation of each image, (B, H, W, 3) in [0, 1], then bring it to [-1, 1].

    ``colors`` are (B, 3), see :func:`draw_color`.
    """
    import tensorflow as tf

    brightness, saturation, first = (colors[:, i, None, None, None] for i in range(3))
    images = adjust_saturation(images + brightness * first, saturation) + brightness * (1 - first)
    return tf.clip_by_value(2.0 * images - 1.0, -1.0, 1.0)


def adjust_saturation(images, factors):
    """``tf.image.adjust_saturation`` of (B, H, W, 3) with a factor for each image, without the detour over HSV.

    Value V is the largest of R, G, B and hue their order and proportions; both stay. The distance of each channel from
    V is multiplied by the factor, at most until the smallest channel is 0. Factors are (B, 1, 1, 1), not negative.
    """
    import tensorflow as tf

    value = tf.reduce_max(images, axis=-1, keepdims=True)
    below = value - images
    room = tf.math.divide_no_nan(tf.maximum(value, 0.0), tf.reduce_max(below, axis=-1, keepdims=True))
    return value - below * tf.minimum(factors, room)
