"""Examples of the task: photographs -> pictures in [-1, 1] and the damage that their features will get."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.pipeline import crop_batches

TEST_AREA = 0.85
"""Side of the central square used in evaluation, as a share of the shorter side."""

_BRIGHTNESS, _SATURATION = 32 / 255, (0.5, 1.5)
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


@dataclasses.dataclass(frozen=True)
class DamageSampler:
    """Cuts a picture and draws its damage and its change of color; everything random comes from one generator.

    The generator is seeded by the run's seed and the position in the training stream, or in evaluation by the number of
    the picture: a run that starts again in the middle, or on several devices, gets the same.

    In training a box with 1/3 to all of the area (``crop_area``) and an aspect ratio of 3:4 to 4:3 is scaled to the
    crop, bilinearly or bicubically, half of the time each (where the picture is reduced, with antialiasing, which the
    released code lacks); half of the crops are mirrored. In evaluation it is the central square of 85 % of the shorter
    side, bicubically.

    Args:
        size: side of the crop in pixels.
        places: side of the map of damage.
        theta: probability that a place is dropped, each by itself, in [0, 1].
        crop_area: (smallest, largest) share of the picture's area.
        color_jitter: whether brightness and saturation change in training.
        training: whether to cut and change at random; damage is always random.
    """

    size: int
    places: int
    theta: float
    crop_area: tuple[float, float]
    color_jitter: bool
    training: bool

    random_in_evaluation: ClassVar[bool] = True
    """The damage is drawn in evaluation too."""

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels."""
        return self._crop.min_side if self.training else int(np.ceil(self.size / TEST_AREA))

    @property
    def spec(self):
        """Crop uint8 (size, size, 3), damage uint8 (places, places, 1), change of color float32 (3,)."""
        return (
            tf.TensorSpec((self.size, self.size, 3), tf.uint8),
            tf.TensorSpec((self.places, self.places, 1), tf.uint8),
            tf.TensorSpec((3,), tf.float32),
        )

    @property
    def _crop(self):
        return Crop(self.size, area=self.crop_area)

    def apply(self, image, rng):
        """Cut from a ``PIL.Image``; arrays as in :attr:`spec`."""
        omega = (rng.random((self.places, self.places, 1)) >= self.theta).astype(np.uint8)
        return self.cut(image, rng), omega, self.draw_color(rng)

    def cut(self, image, rng):
        """The crop, uint8 (size, size, 3)."""
        shape = (self.size, self.size)
        if not self.training:
            side = min(image.size) * TEST_AREA
            left, top = ((n - side) / 2 for n in image.size)
            return np.asarray(image.resize(shape, _FILTERS[1], box=(left, top, left + side, top + side)))
        box = self._crop.box(*image.size, rng)
        image = image.resize(shape, _FILTERS[int(rng.integers(2))], box=box)
        return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image)

    def draw_color(self, rng):
        """What is added to the brightness, what the saturation is multiplied by, and whether brightness comes first."""
        if not (self.training and self.color_jitter):
            return np.array([0.0, 1.0, 0.0], np.float32)
        brightness, saturation = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS), rng.uniform(*_SATURATION)
        return np.array([brightness, saturation, rng.integers(2)], np.float32)


def change_color(pictures, colors):
    """Change brightness and saturation of each picture, then bring it to [-1, 1].

    Args:
        pictures: float32 (B, H, W, 3) in [0, 1].
        colors: float32 (B, 3), see :meth:`DamageSampler.draw_color`.

    Returns:
        float32 (B, H, W, 3): ``2 x - 1``, clipped.
    """
    brightness, saturation, first = (colors[:, i, None, None, None] for i in range(3))
    pictures = adjust_saturation(pictures + brightness * first, saturation) + brightness * (1 - first)
    return tf.clip_by_value(2.0 * pictures - 1.0, -1.0, 1.0)


def adjust_saturation(pictures, factors):
    """``tf.image.adjust_saturation`` with a factor for each picture, without the detour over HSV.

    Value V is the largest of R, G, B and hue their order and proportions; both stay. The distance of each channel from
    V is multiplied by the factor, at most until the smallest channel is 0.

    Args:
        pictures: float32 (B, H, W, 3).
        factors: float32 (B, 1, 1, 1), not negative.

    Returns:
        float32 (B, H, W, 3).
    """
    value = tf.reduce_max(pictures, axis=-1, keepdims=True)
    below = value - pictures
    room = tf.math.divide_no_nan(tf.maximum(value, 0.0), tf.reduce_max(below, axis=-1, keepdims=True))
    return value - below * tf.minimum(factors, room)


def damage_dataset(source, sampler, *, batch_size, seed, start, count, skipped):
    """Batches of ``({"images": x, "omega": damage}, x)``; arguments as :meth:`tfssl.methods.base.Method.dataset`.

    x: float32 (B, size, size, 3) in [-1, 1]; damage: float32 (B, places, places, 1), 1 where kept, 0 where dropped.

    Args:
        sampler: a :class:`DamageSampler`, which says whether this is for training.
    """
    batches = crop_batches(
        source,
        sampler,
        batch_size,
        training=sampler.training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
    )
    return batches.map(to_example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def to_example(pixels, omega, colors):
    """Inputs and target of the networks, from what :class:`DamageSampler` cuts, in batches."""
    pictures = change_color(tf.cast(pixels, tf.float32) / 255.0, colors)
    return {"images": pictures, "omega": tf.cast(omega, tf.float32)}, pictures
