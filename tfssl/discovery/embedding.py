"""Directions of patches in the layer fc6, and what to hold them against."""

import keras
import numpy as np
import tensorflow as tf

from tfssl.discovery.descriptors import hog_descriptor, pixel_descriptor, unit_length

BASELINES = ("untrained", "pixels", "hog")
"""Descriptors to hold the learned one against: the same network with random weights, colors, gradients."""

_AT_ONCE = 512  # patches; more at a time are not faster


def embed(method, model):
    """A function from uint8 patches to the directions of their embeddings.

    Args:
        method: the :class:`~tfssl.methods.ContextPrediction` that the model belongs to.
        model: its network.

    Returns:
        Function: uint8 (N, s, s, 3), s the method's patch_size -> float32 (N, D), rows of length 1 (of length 0
        where nothing in fc6 is active).
    """
    embedder = method.embedder(model)
    run = tf.function(lambda patches: embedder(patches, training=False), reduce_retracing=True)

    def vectors(patches):
        parts = [patches[first : first + _AT_ONCE] for first in range(0, len(patches), _AT_ONCE)]
        return unit_length(np.concatenate([np.asarray(run(_scaled(part))) for part in parts]))

    return vectors


def baseline_descriptor(name, method, seed=0):
    """A function from uint8 patches (N, s, s, 3) to unit vectors, float32 (N, D).

    Args:
        name: one of :data:`BASELINES`.
        method: the :class:`~tfssl.methods.ContextPrediction` whose untrained network is meant.
        seed: of the random weights.
    """
    descriptors = {"pixels": pixel_descriptor, "hog": hog_descriptor}
    return descriptors[name] if name in descriptors else _untrained_descriptor(method, seed)


def _untrained_descriptor(method, seed):
    model = method.model()
    _draw_weights(model, seed)
    vectors = embed(method, model)
    known = []

    def after_first_batch(patches):
        # With its initial statistics batch normalization does nothing. Those of the first patches are a network that
        # has seen the data and learned nothing.
        if not known:
            _set_statistics(model, method.embedder(model), _scaled(patches[:_AT_ONCE]))
            known.append(True)
        return vectors(patches)

    return after_first_batch


def _draw_weights(model, seed):
    """Kernels anew, uniform with variance 1 / fan_in; without touching the generators of Keras."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            limit = np.sqrt(3 / np.prod(variable.shape[:-1]))
            variable.assign(rng.uniform(-limit, limit, variable.shape))


def _set_statistics(model, embedder, pixels):
    """Moving averages of the tower's batch normalization = those of one batch."""
    found = [x for x in model.get_layer("tower").layers if isinstance(x, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in found]
    for layer in found:
        layer.momentum = 0.0
    embedder(pixels, training=True)
    for layer, momentum in zip(found, momenta, strict=True):
        layer.momentum = momentum


def _scaled(patches):
    return patches.astype(np.float32) / 255.0
