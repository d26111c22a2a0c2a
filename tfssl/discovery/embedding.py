"""Directions of patches: by a network's embedding, and by descriptors that learned nothing to hold it against."""

import keras
import numpy as np
import tensorflow as tf
from skimage.feature import hog
from sklearn.preprocessing import normalize

BASELINES = ("untrained", "pixels", "hog")
"""Descriptors to hold the learned one against: the same network with random weights, colors, gradients."""

_AT_ONCE = 512  # patches; more at a time are not faster
_MAX_PIXELS = 24  # along each axis of the descriptor of pixels


def embed(method, model):
    """A function from uint8 patches (N, s, s, 3) to the directions of their embeddings, float32 (N, D).

    Rows have length 1, or 0 where nothing is active, so that they match nothing. ``method.embedder(model)`` is a
    ``keras.Model`` of patches in [0, 1].
    """
    embedder = method.embedder(model)
    patches = tf.TensorSpec((None, method.patch_size, method.patch_size, 3))
    run = tf.function(lambda patches: embedder(patches, training=False), autograph=False).get_concrete_function(patches)

    def vectors(patches):
        parts = [patches[first : first + _AT_ONCE] for first in range(0, len(patches), _AT_ONCE)]
        return normalize(np.concatenate([np.asarray(run(_scaled(part))) for part in parts]))

    return vectors


def baseline_descriptor(name, method, seed=0):
    """One of :data:`BASELINES` as :func:`embed`; ``seed`` is that of the untrained network's weights."""
    descriptors = {"pixels": pixel_descriptor, "hog": hog_descriptor}
    return descriptors[name] if name in descriptors else _untrained_descriptor(method, seed)


def pixel_descriptor(patches):
    """Colors with the mean of the patch removed: the cosine is then the normalized correlation.

    Patches larger than 24 pixels are first averaged down to at most that.
    """
    block = -(-patches.shape[1] // _MAX_PIXELS)
    size = patches.shape[1] // block
    cut = patches[:, : size * block, : size * block]
    pixels = cut.reshape(len(patches), size, block, size, block, 3).mean(axis=(2, 4), dtype=np.float32)
    return normalize(pixels.reshape(len(patches), -1) - pixels.mean(axis=(1, 2, 3))[:, None])


def hog_descriptor(patches):
    """Histograms of oriented gradients: cells of 8 pixels, smaller where the patch would hold less than 2 x 2.

    Reference:
        Dalal and Triggs: Histograms of Oriented Gradients for Human Detection. CVPR 2005, section 6.
    """
    cell = min(8, patches.shape[1] // 2)
    options = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2), "channel_axis": -1}
    return normalize(np.stack([hog(patch.astype(np.float32), 9, **options) for patch in patches]))


def _untrained_descriptor(method, seed):
    model = method.model()
    draw_weights(model, np.random.default_rng(seed))
    vectors = embed(method, model)
    known = []

    def after_first_batch(patches):
        # With its initial statistics batch normalization does nothing. Those of the first patches are a network that
        # has seen the data and learned nothing.
        if not known:
            _set_statistics(method.embedder(model), _scaled(patches[:_AT_ONCE]))
            known.append(True)
        return vectors(patches)

    return after_first_batch


def draw_weights(model, rng):
    """Kernels anew, uniform with variance 1 / fan_in; without touching the generators of Keras."""
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            limit = np.sqrt(3 / np.prod(variable.shape[:-1]))
            variable.assign(rng.uniform(-limit, limit, variable.shape))


def _set_statistics(embedder, pixels):
    found = list(_batch_normalizations(embedder))
    momenta = [layer.momentum for layer in found]
    for layer in found:
        layer.momentum = 0.0
    embedder(pixels, training=True)
    for layer, momentum in zip(found, momenta, strict=True):
        layer.momentum = momentum


def _batch_normalizations(layer):
    if isinstance(layer, keras.layers.BatchNormalization):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _batch_normalizations(inner)


def _scaled(patches):
    return patches.astype(np.float32) / 255.0
