"""Folding batch normalization into the weights before it."""

import numpy as np
from keras import activations, layers

from tfssl.backbones.graph import has_one_reader, producer, rebuild


def fold_batch_normalization(model):
    """The same network without the batch normalizations that follow a convolution or a dense layer.

    ``w' = w s, b' = (b - mean) s + beta`` with ``s = gamma / sqrt(variance + epsilon)`` and the moving statistics,
    so that outputs equal those of ``model`` in inference. Doersch et al. (2015) publish their network like this, for
    frameworks and transfer protocols that know no normalization. Conditions are not met where the layer before has
    an activation or another reader, or is of another kind: those normalizations stay.

    Args:
        model: functional ``keras.Model``, such as ``tfssl.backbones.build`` returns.

    Returns:
        ``keras.Model`` with the same inputs, outputs and layer names, the folded layers left out, and weights of
        its own. Convolutions and dense layers that a normalization was folded into have a bias.

    Raises:
        ModelError: if the model is not functional, or has a model inside.

    Reference:
        C. Doersch, A. Gupta, A. A. Efros: Unsupervised Visual Representation Learning by Context Prediction.
        ICCV 2015.
    """
    replace, skipped = {}, set()
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, layers.BatchNormalization):
            before = producer(layer)
            if _takes_folding(before, model) and layer.axis in (-1, len(layer.input.shape) - 1):
                config = {**before.get_config(), "use_bias": True}
                replace[before.name] = (type(before).from_config(config), _folded(before, layer))
                skipped.add(layer.name)
    return rebuild(model, replace, skipped)


def _takes_folding(layer, model):
    return (
        isinstance(layer, (layers.Conv2D, layers.Dense))
        and layer.activation is activations.linear
        and has_one_reader(layer, model)
    )


def _folded(layer, normalization):
    kernel, bias = (np.asarray(v, np.float64) for v in _with_bias(layer))
    statistics = normalization.get_weights()  # gamma, beta (where there are any), mean, variance
    gamma = statistics.pop(0) if normalization.scale else 1.0
    beta = statistics.pop(0) if normalization.center else 0.0
    mean, variance = (np.asarray(v, np.float64) for v in statistics)
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return [kernel * scale, (bias - mean) * scale + beta]


def _with_bias(layer):
    weights = layer.get_weights()
    return weights if layer.use_bias else [*weights, np.zeros(weights[0].shape[-1])]
