"""Examples of denoising: crops of photographs -> (corrupted, clean), with weights where the loss is emphasized."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.pipeline import crop_dataset
from tfssl.methods.denoising_autoencoder.network import prepare


@dataclasses.dataclass(frozen=True)
class PatchSampler:
    """Cuts square patches from a picture, with a key for the random numbers of their corruption.

    Args:
        size: side of a patch in pixels.
        resize: the shorter side of the picture is scaled to that many pixels first; None keeps its size, unless that
            is smaller than a patch.
        patches: number of patches of a picture.
        training: places anywhere and half of the patches mirrored; otherwise a single patch is the center, and several
            lie anywhere.
    """

    size: int
    resize: int | None
    patches: int
    training: bool

    random_in_evaluation: ClassVar[bool] = True
    """Evaluation corrupts as well, each picture by its number."""

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels; None for all of it."""
        return None if self.resize is None else max(self.resize, self.size)

    @property
    def spec(self):
        """Patches uint8 (patches, size, size, 3), key int64 (2,)."""
        return (
            tf.TensorSpec((self.patches, self.size, self.size, 3), tf.uint8),
            tf.TensorSpec((2,), tf.int64),
        )

    def apply(self, image, rng):
        """Cut the patches of a ``PIL.Image``; arrays as in :attr:`spec`."""
        key = rng.integers(0, 2**31, 2)
        shorter = max(self.size, self.resize or min(image.size))
        if min(image.size) != shorter:
            scale = shorter / min(image.size)
            image = image.resize(
                tuple(max(self.size, round(side * scale)) for side in image.size), Image.Resampling.BICUBIC
            )
        pixels = np.asarray(image)
        free = np.array(pixels.shape[:2]) - self.size
        central = not self.training and self.patches == 1
        corners = free[None] // 2 if central else rng.integers(0, free + 1, (self.patches, 2))
        cuts = [pixels[y : y + self.size, x : x + self.size] for y, x in corners.tolist()]
        if self.training:
            cuts = [
                cut[:, ::-1] if mirror else cut for cut, mirror in zip(cuts, rng.random(len(cuts)) < 0.5, strict=True)
            ]
        return np.stack(cuts), key


def corrupt(pictures, corruption, key):
    """Corrupt a batch by random numbers that follow from a key alone.

    Args:
        pictures: float tensor (B, H, W, C), of known H, W and C.
        corruption: a :class:`tfssl.ops.corruption.Corruption`.
        key: int tensor (2,).

    Returns:
        ``(corrupted, J)``, both of the shape of the pictures.
    """
    keys = iter(tf.unstack(tf.random.split(tf.cast(key, tf.int32), 2)))
    return corruption.apply(
        pictures,
        uniform=lambda shape: tf.random.stateless_uniform(shape, next(keys)),
        normal=lambda shape: tf.random.stateless_normal(shape, next(keys)),
    )


def denoising_dataset(source, method, *, batch_size, training, seed, start, count, skipped, limit=None):
    """Batches of (corrupted, clean), or (corrupted, clean, weights); arguments as ``Method.dataset``.

    The clean pictures are the targets, float32 (B, side, side, C). The weights of an emphasized loss have their shape.
    Every presentation is corrupted anew, from a key that follows from seed and position in the training stream, so
    that a resumed run sees what an unbroken one would; in evaluation from the number of the picture.

    Args:
        method: a :class:`~tfssl.methods.DenoisingAutoencoder`.
        limit: use the first so many readable pictures; None for all.
    """
    per_picture = method.patches
    first = 0 if start is None else start * batch_size  # example to start with
    pictures = crop_dataset(
        source,
        method.sampler(training),
        training=training,
        seed=seed,
        start=None if start is None else first // per_picture,
        count=None if count is None else -(-(first % per_picture + count * batch_size) // per_picture),
        skipped=skipped,
    )
    if limit is not None:
        pictures = pictures.take(limit)
    total = int(pictures.cardinality()) * per_picture - first % per_picture

    def examples(pixels, key):
        clean = prepare(tf.cast(pixels, tf.float32) / 255.0, color=method.color, preprocess=method.preprocess)
        clean = tf.ensure_shape(clean, (per_picture, *method.picture_shape))
        corrupted, mask = corrupt(clean, method.corruption_rule(), key)
        if method.alpha == method.beta == 1:
            return corrupted, clean
        return corrupted, clean, method.beta + (method.alpha - method.beta) * mask

    dataset = pictures.map(examples, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).unbatch()
    dataset = dataset.skip(first % per_picture).batch(batch_size, drop_remainder=training)
    if count is not None:
        dataset = dataset.take(count)
    if training and total > 0:
        length = total // batch_size if count is None else count
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(tf.data.AUTOTUNE)
