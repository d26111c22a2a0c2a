"""Examples of inpainting: crops of photographs -> (image with a hole, what was there)."""

import functools
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.decode import open_image
from tfssl.errors import ConfigError
from tfssl.ops.masks import FILL, center_mask, pattern_mask, pattern_noise, random_blocks, random_region

_UNLABELED = 255  # the border of objects in PASCAL VOC's masks
_SHAPE_SIZE = 128  # shapes are kept at this size (pixels)
_SMALLEST_SHAPE = 64  # pixels that a shape needs


def draw_mask(method, rng):
    """A mask of a :class:`~tfssl.methods.ContextEncoder`, bool (crop_size, crop_size), True where dropped."""
    size = method.crop_size
    if method.mask == "center":
        return center_mask(size, method.overlap)
    if method.mask == "blocks":
        return random_blocks(size, rng)
    if method.mask == "regions":
        return random_region(size, rng, load_shapes(method.shapes) if method.shapes else ())
    return pattern_mask(size, rng, pattern_noise())


@functools.lru_cache(maxsize=4)
def load_shapes(folder):
    """The shapes of objects in a folder of segmentation masks.

    Args:
        folder: searched recursively for PNG files whose pixels are class numbers (indexed or gray): 0 is background,
            255 unlabeled, as in PASCAL VOC's ``SegmentationClass`` and ``SegmentationObject``.

    Returns:
        Tuple of bool arrays (h, w), at most 128 pixels a side: one for each class in each mask.
    """
    if not os.path.isdir(folder):
        raise ConfigError(f"`shapes` must be a folder of segmentation masks (PNG). Received: shapes={folder!r}")
    found = []
    for path in sorted(Path(folder).rglob("*.png")):
        try:
            with open_image(path) as image:
                numbers = np.asarray(image if image.mode in ("P", "L") else image.convert("L"))
        except ValueError as error:
            raise ConfigError(f"`shapes`: {str(path)!r} cannot be read: {error}") from None
        found += [_cut_out(numbers == k) for k in np.unique(numbers) if k not in (0, _UNLABELED)]
    found = tuple(shape for shape in found if shape.sum() >= _SMALLEST_SHAPE)
    if not found:
        raise ConfigError(
            f"`shapes`: no object in the PNG files of {folder!r}; their pixels must be class numbers, 0 for background"
        )
    return found


def _cut_out(shape):
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    cut = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray(np.where(cut, np.uint8(255), np.uint8(0)))
    image.thumbnail((_SHAPE_SIZE, _SHAPE_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(image) >= 128


def cut_hole(method, image, rng, training):
    """A crop uint8 (S, S, 3), its mask bool (S, S), and whether the whole batch gets the mask of its first image.

    The mask is random in evaluation too.
    """
    pixels = method.crop.apply(image, rng if training else None)
    return pixels, draw_mask(method, rng), np.bool_(training and method.mask_per == "batch")


def to_example(pixels, dropped, whole):
    """The network's input and target, of uint8 (B, S, S, 3) and bool (B, S, S); see :func:`target_part`.

    Returns:
        ``(inputs, targets)``: float32 (B, S, S, 3), in [-1, 1] with the mean color where dropped; float32
        (B, T, T, 4), the true colors and 1 where dropped.
    """
    import tensorflow as tf

    truth = tf.cast(pixels, tf.float32) / 127.5 - 1.0
    hole = tf.cast(dropped, tf.float32)[..., None]
    inputs = tf.where(hole > 0, tf.constant(FILL), truth)
    return inputs, target_part(tf.concat([truth, hole], axis=-1), whole)


def target_part(images, whole):
    """What of images (B, S, S, C) the network predicts: all of it, or the central half."""
    if whole:
        return images
    size = images.shape[1]
    middle = slice(size // 4, size // 4 + size // 2)
    return images[:, middle, middle]
