"""Equal rates of change for all layers of a network, fresh or pretrained, without changing what it computes."""

import logging

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.errors import ModelError
from tfssl.transfer.kernels import groups_of
from tfssl.transfer.strategies import copy
from tfssl.transfer.walk import BATCH, check_images, joining, walk, weighted_layers

ROUNDS = 10
"""Scalings at most (released code)."""

TOLERANCE = 0.01
"""Largest distance of a layer's log ratio from the log of the target at which it is done."""

_DRIFT = 0.25  # log of the change of the outputs' deviation that homogeneous layers do not explain

log = logging.getLogger("tfssl")


def rescale(model, images, *, seed=0):
    """Scale the weights of each layer so that random gradients at the top change all layers by the same fraction.

    ``r_k = sqrt(mean (dL/dW_k)^2 / mean W_k^2)`` for a gradient of N(0, 1) at the last output;
    ``target = geometric mean of r_k * output_std^(1 / K)``; ``W_k`` and ``b_k`` are multiplied by
    ``sqrt(r_k / target)``, and ``b_k`` by the change of the layer's input as well (Kraehenbuehl et al. 2016, section
    3.2). Convolutions, dense layers, ReLU and pooling are homogeneous, so the outputs change by one factor only, which
    brings their deviation to 1. This is repeated until ``|log r_k - log target| < 0.01`` everywhere, ten times at most.
    (The released code tests ``log r_k / log target``, which means nothing where the target is near 1.)

    A local response normalization is homogeneous only nearly. A warning tells if the deviation of the outputs is off
    by more than exp(0.25) from what the scales explain, or if the ratios did not settle. Where branches are
    concatenated (inception modules) their channels may have been scaled differently, and the weights that read them
    take that back; the ratios come nearer to each other there and cannot become equal.

    Args:
        model: functional ``keras.Model`` whose layers with weights are ``Conv2D`` and ``Dense``, with one input. Of
            several outputs the last one gets the gradient: the deepest tap of an encoder. Layers that do not lead
            there keep their scale. It stays as it is.
        images: float (N, H, W, C) in the range that the model takes.
        seed: of the gradient.

    Returns:
        ``keras.Model`` of the same structure, with weights of its own.

    Raises:
        ConfigError: for images that the model does not take.
        ModelError: for a layer with weights of another kind, or branches that are joined other than by
            ``Concatenate``. Batch normalization has to be folded first, with
            :func:`tfssl.backbones.rebuilding.fold_batch_normalization`: in training it undoes the scales.
    """
    images = check_images(model, images)
    _check_layers(model)
    branched, model = bool(joining(model)), copy(model)
    magnitudes, deviation = _scale(model, images, {}, None)
    for rounds in range(ROUNDS + 1):
        ratios = gradient_ratios(model, images, seed=seed)
        factors, target = equalizing_factors(list(ratios.values()), deviation)
        worst = max(abs(np.log(ratio / target)) for ratio in ratios.values())
        if worst < TOLERANCE or rounds == ROUNDS:
            break
        expected = deviation * np.prod(factors)
        magnitudes, deviation = _scale(model, images, dict(zip(ratios, factors, strict=True)), magnitudes)
        if not branched and abs(np.log(deviation / expected)) > _DRIFT:
            log.warning(
                "%s is not homogeneous: scaled outputs should have deviation %.3g and have %.3g",
                model.name,
                expected,
                deviation,
            )
    if worst >= TOLERANCE:
        log.warning("%s: after %d rounds a ratio of gradients is off by exp(%.3g)", model.name, ROUNDS, worst)
    return model


def equalizing_factors(ratios, output_std):
    """Factors of the weights of K layers with ratios r_k > 0, float64 (K,), and the ratio that they aim at.

    ``target = (prod r_k)^(1/K) * output_std^(1/K)``; ``s_k = sqrt(r_k / target)``. Ratios 4 and 1 with deviation 1:
    target 2, factors sqrt(2) and 1 / sqrt(2).
    """
    logs = np.log(np.asarray(ratios, np.float64))
    target = np.mean(logs) + np.log(output_std) / len(logs)
    return np.exp(0.5 * (logs - target)), float(np.exp(target))


def gradient_ratios(model, images, *, seed=0):
    """How fast each layer changes, compared with its size: ``{layer: r_k}`` for the kernels below the last output."""
    found = [layer for layer in weighted_layers(model) if hasattr(layer, "kernel")]
    random, sums = np.random.default_rng(seed), {}
    for begin in range(0, len(images), BATCH):
        with tf.GradientTape() as tape:
            for layer in found:
                tape.watch(layer.kernel.value)
            top = _last(model, model(images[begin : begin + BATCH], training=False))
        noise = random.standard_normal(top.shape).astype(np.float32)
        gradients = tape.gradient(top, [layer.kernel.value for layer in found], output_gradients=tf.constant(noise))
        for layer, gradient in zip(found, gradients, strict=True):
            if gradient is not None:
                sums[layer] = sums.get(layer, 0.0) + np.asarray(gradient, np.float64)
    ratios = {}
    for layer in found:
        if layer in sums:
            size = np.mean(np.square(np.asarray(layer.kernel, np.float64)))
            ratio = np.sqrt(np.mean(np.square(sums[layer])) / size) if size else np.nan
            if not 0 < ratio < np.inf:
                raise ModelError(f"{layer.name!r} is dead: its weights, or their gradient, are zero or not finite")
            ratios[layer] = float(ratio)
    return ratios


def _scale(model, images, factors, before):
    """Scale each layer in turn; the magnitude of each layer's input, and the deviation of the outputs, afterwards."""
    magnitudes = {}

    def visit(layer, maps):
        if layer in magnitudes:
            return  # called again: scaled already
        magnitudes[layer] = np.abs(maps).reshape(-1, maps.shape[-1]).mean(axis=0, dtype=np.float64)
        if before is not None:
            _scale_layer(layer, factors.get(layer, 1.0), magnitudes[layer], before[layer])

    top = _last(model, walk(model, images, visit))
    deviation = np.std(top.reshape(-1, top.shape[-1]), axis=0, dtype=np.float64).mean()
    if not 0 < deviation < np.inf:
        raise ModelError(f"{model.name!r}: the deviation of its outputs is {deviation}; nothing can be rescaled")
    return magnitudes, deviation


def _scale_layer(layer, factor, now, before):
    alive = (now > 0) & (before > 0)
    change = now[alive].sum() / before[alive].sum() if alive.any() else 1.0
    channels = np.ones(len(now))
    channels[alive] = change * before[alive] / now[alive]  # 1 but where branches with other scales were joined
    kernel = np.asarray(layer.kernel, np.float64)
    parts = zip(np.split(kernel, groups_of(layer), axis=-1), np.split(channels, groups_of(layer)), strict=True)
    layer.kernel.assign(np.concatenate([part * (factor * own[:, None]) for part, own in parts], axis=-1))
    if layer.use_bias:
        layer.bias.assign(np.asarray(layer.bias, np.float64) * factor * change)


def _last(model, outputs):
    """The last output of a model, in the order in which a dict of taps is given."""
    if isinstance(model.output, dict):
        return outputs[list(model.output)[-1]]
    return keras.tree.flatten(outputs)[-1]


def _check_layers(model):
    for layer in weighted_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            raise ModelError(
                f"{layer.name!r} is a BatchNormalization, which undoes scales in training; fold it first with "
                "tfssl.backbones.rebuilding.fold_batch_normalization"
            )
        if not isinstance(layer, (layers.Conv2D, layers.Dense)):
            raise ModelError(f"{layer.name!r} is a {type(layer).__name__}; layers with weights must be Conv2D or Dense")
    sums = [one for one in joining(model) if not isinstance(one, layers.Concatenate)]
    if sums:
        raise ModelError(f"{sums[0].name!r} joins branches, which may be scaled differently; only Concatenate may")
