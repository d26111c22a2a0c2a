"""Examples of colorization: crops of photographs -> (lightness, subsampled ab)."""

import functools

import numpy as np
import tensorflow as tf

from tfssl.data.pipeline import crop_dataset
from tfssl.ops.color import linear_to_lightness, rgb_to_lab


def to_example(pixels, *, stride):
    """Split crops into the network's input and target.

    Args:
        pixels: uint8 tensor (..., H, W, 3), sRGB.
        stride: the target keeps pixels 0, stride, 2 stride, ... (point sampling, as the released code).

    Returns:
        ``(L, ab)``: float32 (..., H, W, 1) in [0, 100] and (..., ceil(H / stride), ceil(W / stride), 2), ab units.
    """
    # Three times as fast as the whole Lab conversion: the sRGB curve from a table of its 256 levels, lightness alone
    # at full size, ab only where the target is sampled.
    lightness = linear_to_lightness(tf.gather(_linear_levels(), tf.cast(pixels, tf.int32)))
    sampled = tf.cast(pixels[..., ::stride, ::stride, :], tf.float32) / 255.0
    return lightness, rgb_to_lab(sampled)[..., 1:]


@functools.lru_cache(maxsize=1)
def _linear_levels():
    levels = np.arange(256, dtype=np.float64) / 255
    return np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92).astype(np.float32)


def jitter_lightness(lightness, seed, strength):
    """Change exposure of each picture of a batch: ``100 (L / 100)^g``, then contrast about the mean.

    The target keeps its colours, so the network learns not to depend on the exposure of a scan.

    Args:
        lightness: float32 (B, H, W, 1) in [0, 100].
        seed: int tensor (2,) for the stateless generator.
        strength: g and the contrast are drawn from [1 / (1 + strength), 1 + strength], log-uniformly.

    Returns:
        float32 (B, H, W, 1) in [0, 100].
    """
    limit = tf.math.log(1.0 + strength)
    shape = (2, tf.shape(lightness)[0], 1, 1, 1)
    gamma, contrast = tf.unstack(tf.exp(tf.random.stateless_uniform(shape, seed, -limit, limit)))
    bent = 100.0 * tf.pow(tf.maximum(lightness, 1e-3) / 100.0, gamma)
    mean = tf.reduce_mean(bent, axis=(1, 2), keepdims=True)
    return tf.clip_by_value(mean + (bent - mean) * contrast, 0.0, 100.0)


def colorization_dataset(source, crop, *, stride, batch_size, training, seed, start, count, skipped, jitter):
    """Batches of ``(L, ab)``; arguments as :meth:`tfssl.methods.base.Method.dataset`."""
    crops = crop_dataset(
        source,
        crop,
        training=training,
        seed=seed,
        start=None if start is None else start * batch_size,
        count=None if count is None else count * batch_size,
        skipped=skipped,
    )
    batches = crops.batch(batch_size, drop_remainder=training)

    def example(number, pixels):
        lightness, ab = to_example(pixels, stride=stride)
        if training and jitter > 0:
            # The batch number, not a generator's state, makes the jitter the same after a resume.
            lightness = jitter_lightness(lightness, tf.stack([tf.cast(seed, tf.int64), number]), jitter)
        return lightness, ab

    # Colour conversion works on whole batches: one vectorised call instead of one per picture.
    batches = batches.enumerate(start or 0).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)
