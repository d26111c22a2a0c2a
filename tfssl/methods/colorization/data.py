"""Examples of colorization: crops of photographs -> (lightness, subsampled ab)."""

import functools

import tensorflow as tf

from tfssl.data.pipeline import crop_batches
from tfssl.ops.bytes_lab import ab, lightness


def to_example(pixels, *, stride):
    """Split crops into the network's input and target.

    By tables on the host: several times as fast as the same conversion as graph operators, and data preparation is
    what keeps a fast network waiting.

    Args:
        pixels: uint8 array (B, H, W, 3), sRGB.
        stride: the target keeps pixels 0, stride, 2 stride, ... (point sampling, as the released code).

    Returns:
        ``(L, ab)``: float32 (B, H, W, 1) in [0, 100] and (B, ceil(H / stride), ceil(W / stride), 2), ab units.
    """
    return lightness(pixels)[..., None], ab(pixels[:, ::stride, ::stride])


def jitter_lightness(lightness, seed, strength):
    """Change exposure of each picture of a batch: ``100 (L / 100)^g``, then contrast about the mean.

    The target keeps its colors, so the network learns not to depend on the exposure of a scan.

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
    cells = -(-crop.size // stride)
    batches = crop_batches(
        source,
        crop,
        batch_size,
        training=training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
        convert=functools.partial(to_example, stride=stride),
        spec=(tf.TensorSpec((crop.size, crop.size, 1)), tf.TensorSpec((cells, cells, 2))),
    )
    if training and jitter > 0:

        def jittered(number, example):
            # The batch number, not a generator's state, makes the jitter the same after a resume.
            return jitter_lightness(example[0], tf.stack([tf.cast(seed, tf.int64), number]), jitter), example[1]

        batches = batches.enumerate(start or 0).map(jittered, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)
