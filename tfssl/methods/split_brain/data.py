"""Examples of cross-channel prediction: a crop in Lab, and the mean Lab of the places that a network predicts."""

import functools

import numpy as np
import tensorflow as tf

from tfssl.data.pipeline import crop_batches
from tfssl.evaluation.features import cell_weights
from tfssl.ops.bytes_lab import ab, lightness


def lab_dataset(source, crop, *, places, batch_size, training, seed, start, count, skipped, limit=None):
    """Batches of :func:`to_example`; arguments as :meth:`tfssl.methods.base.Method.dataset`.

    Args:
        crop: a :class:`tfssl.data.pipeline.Crop`.
        places: along a side, which the network predicts.
        limit: use the first so many readable pictures; None for all.
    """
    batches = crop_batches(
        source,
        crop,
        batch_size,
        training=training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
        limit=limit,
        convert=functools.partial(to_example, places=places),
        spec=(tf.TensorSpec((crop.size, crop.size, 3)), tf.TensorSpec((places, places, 3))),
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def to_example(pixels, places):
    """Inputs and targets of crops.

    Targets are averages over equally large cells; the paper does not say how it reduced them.

    Args:
        pixels: uint8 (B, H, W, 3).
        places: cells along each axis.

    Returns:
        Two float32 arrays, (B, H, W, 3) and (B, places, places, 3): L in [0, 100], a and b.
    """
    lab = np.concatenate([lightness(pixels)[..., None], ab(pixels)], axis=-1)
    height, width = lab.shape[1:3]
    rows = cell_weights(height, places) @ lab.reshape(len(lab), height, width * 3)
    columns = cell_weights(width, places) @ rows.reshape(-1, width, 3)
    return lab, columns.reshape(len(lab), places, places, 3)
