"""How an encoder learns what its layers take from data: vocabularies of descriptors, not weights of a training."""

import keras
import numpy as np
from keras import ops

from tfssl.errors import ConfigError, ModelError

SAMPLES = 50_000  # descriptors that a layer learns from at most, drawn evenly from all images
_BATCH = 32  # images of an array that go through together


def vocabularies(network):
    """Layers of a network, nested ones included, that learn by ``adapt`` from what reaches them."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from vocabularies(layer)
        elif hasattr(layer, "adapted"):
            yield layer


def no_vocabulary(name):
    """The error of what is used before it was adapted, one line also where it happens inside other networks."""
    error = ModelError(f"{name}: learn its vocabulary first: encoder.adapt(images)")
    error._keras_call_info_injected = True  # or Keras would write its own lines around this one
    return error


def adapt_layers(network, images, seed):
    """Let each such layer learn from the inputs that images give it, the first layers first.

    Networks inside it that have learned already stay as they are.
    """
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            if not all(inner.adapted for inner in vocabularies(layer)):
                adapt_layers(layer, images, seed)
        elif hasattr(layer, "adapted"):
            below = keras.Model(network.input, layer.input)
            layer.adapt(_drawn(below, layer.samples, images, seed), seed)


def image_batches(images):
    """Images as batches that can be read again: an array (N, H, W, 3), or an iterable of batches (B, H, W, 3)."""
    if hasattr(images, "shape"):
        return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    if iter(images) is images:
        raise ConfigError("`images` are read more than once; give an array, a list of batches or a dataset")
    return images


def _drawn(below, samples, images, seed):
    """At most :data:`SAMPLES` rows, each with the same probability: those with the smallest of random keys."""
    random, rows, keys = np.random.default_rng(seed), None, None
    for batch in images:
        found = samples(ops.convert_to_numpy(below(batch, training=False)))
        fresh = random.random(len(found))
        rows = found if rows is None else np.concatenate([rows, found])
        keys = fresh if keys is None else np.concatenate([keys, fresh])
        if len(rows) > SAMPLES:
            kept = np.argpartition(keys, SAMPLES)[:SAMPLES]
            rows, keys = rows[kept], keys[kept]
    if rows is None:
        raise ConfigError("`images` must hold at least one batch (B, H, W, 3). Received: none")
    return rows
