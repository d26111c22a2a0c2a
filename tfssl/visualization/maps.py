"""What networks answer to pictures: a tap's maps, and vectors of them."""

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError

BATCH = 64
"""Pictures that go through a network together."""


def pick_tap(network, tap=None, name="network"):
    """The tap to look at: the asked one, or the last one of the network.

    Args:
        network: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        tap: its name, or None.
        name: what to call the network in messages.

    Raises:
        ConfigError: if the network has no such tap.
    """
    taps = list(network.output)
    if tap is None:
        return taps[-1]
    if tap not in taps:
        raise ConfigError(f"`tap`: {name} has no {tap!r}; it has {', '.join(taps)}")
    return tap


def map_function(network, tap):
    """A compiled function of pictures, uint8 (B, H, W, 3), to the map of a tap, float32 (B, h, w, c)."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    def compute(images):
        return tf.cast(network(tf.cast(images, tf.float32) / 255.0, training=False)[tap], tf.float32)

    return compute


def batches(images, size=BATCH):
    """Yield the first index and the slice of each batch."""
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


def vectors(network, tap, images, *, cells=1):
    """Describe each picture by the map of a tap, averaged over a grid.

    Args:
        network: as :func:`pick_tap`.
        tap: name of a tap.
        images: uint8 (N, H, W, 3).
        cells: side of the grid in cells; the map's own size where that is smaller.

    Returns:
        float32 (N, cells * cells * c).

    Raises:
        ModelError: if the map holds NaN or infinity.
    """
    compute, rows = map_function(network, tap), []
    for _, batch in batches(images):
        maps = compute(batch)
        grid = [min(cells, side) for side in maps.shape[1:3]]
        rows.append(tf.reshape(tf.image.resize(maps, grid, method="area"), (len(batch), -1)).numpy())
        if not np.isfinite(rows[-1]).all():
            raise ModelError(f"tap {tap!r} holds NaN or infinity")
    return np.concatenate(rows)


def normalized(rows):
    """Rows of length 1, float32; rows of zeros, which a dead layer gives, stay zero."""
    rows = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)
