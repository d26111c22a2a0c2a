"""What networks answer to images: a tap's maps, and vectors of them."""

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError

BATCH = 64
"""Images that go through a network together."""


def pick_tap(network, tap=None, name="network"):
    """The tap to look at: the asked one, or the last one of the network that is a map.

    Args:
        network: an encoder: functional ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``; taps
            that are vectors (B, c) count as maps of one cell.
        tap: its name, or None.
        name: what to call the network in messages.

    Raises:
        ConfigError: if the network has no such tap.
    """
    taps = {key: len(tensor.shape) for key, tensor in network.output.items()}
    if tap is None:
        return next((key for key in reversed(taps) if taps[key] == 4), list(taps)[-1])
    if tap not in taps:
        raise ConfigError(f"`tap`: {name} has no {tap!r}; it has {', '.join(taps)}")
    return tap


def answer(network, tap, images):
    """The map of a tap, float32 (B, h, w, c), of images in [0, 1], float32 (B, H, W, 3)."""
    found = tf.cast(network(images, training=False)[tap], tf.float32)
    return found if len(found.shape) == 4 else found[:, None, None]


def map_function(network, tap):
    """A compiled function of images, uint8 (B, H, W, 3), to the map of a tap, float32 (B, h, w, c)."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    def compute(images):
        return answer(network, tap, tf.cast(images, tf.float32) / 255.0)

    return compute


def batches(images):
    """Slices of :data:`BATCH` images."""
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def vectors(network, tap, images, *, cells=1):
    """Describe each image by the map of a tap, averaged over a grid.

    Args:
        network, tap: as of :func:`pick_tap`.
        images: uint8 (N, H, W, 3).
        cells: cells along each axis of the grid; the map's own size where that is smaller.

    Returns:
        float32 (N, cells * cells * c).

    Raises:
        ModelError: if the map holds NaN or infinity.
    """
    compute, rows = map_function(network, tap), []
    for batch in batches(images):
        maps = compute(batch)
        grid = [min(cells, length) for length in maps.shape[1:3]]
        rows.append(tf.reshape(tf.image.resize(maps, grid, method="area"), (len(batch), -1)).numpy())
        if not np.isfinite(rows[-1]).all():
            raise ModelError(f"tap {tap!r} holds NaN or infinity")
    return np.concatenate(rows)
