"""Examples of colorization: crops of photographs -> (lightness, subsampled ab)."""

import tensorflow as tf

from tfssl.data.pipeline import crop_dataset
from tfssl.ops.bytes_lab import ab, lightness


def to_example(pixels, *, stride):
    """Split crops into the network's input and target.

    Args:
        pixels: uint8 tensor (B, H, W, 3), sRGB, of known H and W.
        stride: the target keeps pixels 0, stride, 2 stride, ... (point sampling, as the released code).

    Returns:
        ``(L, ab)``: float32 (B, H, W, 1) in [0, 100] and (B, ceil(H / stride), ceil(W / stride), 2), ab units.
    """

    def split(crops):
        return lightness(crops)[..., None], ab(crops[:, ::stride, ::stride])

    # By tables on the host: several times as fast as the same conversion as graph operators, and data preparation is
    # what keeps a fast network waiting.
    inputs, targets = tf.numpy_function(split, [pixels], [tf.float32, tf.float32], stateful=False)
    batch, height, width, _ = pixels.shape
    inputs.set_shape((batch, height, width, 1))
    targets.set_shape((batch, -(-height // stride), -(-width // stride), 2))
    return inputs, targets


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
        inputs, targets = to_example(pixels, stride=stride)
        if training and jitter > 0:
            # The batch number, not a generator's state, makes the jitter the same after a resume.
            inputs = jitter_lightness(inputs, tf.stack([tf.cast(seed, tf.int64), number]), jitter)
        return inputs, targets

    # Colour conversion works on whole batches: one vectorised call instead of one per picture.
    batches = batches.enumerate(start or 0).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)
