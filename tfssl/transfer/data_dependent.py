"""Initial weights from a handful of unlabeled images (Kraehenbuehl et al., ICLR 2016; philkr/magic_init)."""

import logging

import numpy as np
from keras import activations, layers

from tfssl.errors import ConfigError, ModelError
from tfssl.transfer.kernels import KINDS, draw_kernel, kernel_of, random_windows
from tfssl.transfer.rescale import rescale as equalize
from tfssl.transfer.strategies import copy
from tfssl.transfer.walk import BATCH, check_images, walk, weighted_layers

WINDOWS = 10_000
"""Windows of a layer's input that its kernel is drawn from, at most."""

log = logging.getLogger("tfssl")


def data_dependent_init(model, images, *, kind="kmeans", bias=0.1, rescale=True, seed=0):
    """New weights for a network, such that no layer is born saturated, dead or much faster than the others.

    From the input upwards the kernel W of each layer is drawn (section 3.1) and the images run through it. Where an
    output channel has the mean mu and the deviation sd over all images and positions, ``W /= sd`` and
    ``b = beta - mu / sd``: before its ReLU each channel has mean beta and deviation 1. Then
    :func:`tfssl.transfer.rescale.rescale` makes all layers change at the same rate (section 3.2).

    A batch normalization gets the statistics of its input as its moving ones, scale 1 and offset beta, so that it
    passes the same spread on in training and in inference. Such networks are not rescaled, for in training the
    normalization undoes any scale of the weights before it; a warning says so.

    Args:
        model: functional ``keras.Model`` whose layers with weights are ``Conv2D`` (grouped ones included), ``Dense``
            and ``BatchNormalization``, perhaps in models inside of it: any encoder or backbone. It stays as it is.
        images: float (N, H, W, C) in the range that the model takes, [0, 1] for encoders. The released code has 160.
        kind: how kernels are drawn, one of :data:`~tfssl.transfer.kernels.KINDS`.
        bias: beta (released code: 0.1).
        rescale: whether to make the layers' rates equal afterwards.
        seed: of kernels, windows and gradients.

    Returns:
        ``keras.Model`` of the same structure, with weights of its own. Layers without bias keep their mean. A layer
        that is called several times is set by its first call.

    Raises:
        ConfigError: for an unknown kind, or images that the model does not take.
        ModelError: for a layer with weights of another kind, or channels that no image moves.
    """
    if kind not in KINDS:
        raise ConfigError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    images = check_images(model, images)
    for layer in weighted_layers(model):
        _check_layer(layer)
    random, seen, new = np.random.default_rng(seed), set(), copy(model)

    def visit(layer, maps):
        if layer not in seen:
            seen.add(layer)
            if isinstance(layer, layers.BatchNormalization):
                _set_statistics(layer, maps, bias)
            else:
                _initialize(layer, maps, kind, bias, random)

    walk(new, images, visit)
    normalized = [one.name for one in weighted_layers(new) if isinstance(one, layers.BatchNormalization)]
    if rescale and normalized:
        log.warning("not rescaled: %s has batch normalization (%s), which undoes scales", model.name, normalized[0])
    return equalize(new, images, seed=seed) if rescale and not normalized else new


def _check_layer(layer):
    if isinstance(layer, layers.BatchNormalization):
        known = layer.axis in (-1, layer.input_spec.ndim - 1)
    else:
        known = isinstance(layer, layers.Dense) or (
            isinstance(layer, layers.Conv2D) and layer.data_format == "channels_last"
        )
    if not known:
        raise ModelError(
            f"{layer.name!r} is a {type(layer).__name__}; layers with weights must be Conv2D, Dense or "
            "BatchNormalization, with channels last"
        )


def _initialize(layer, maps, kind, bias, random):
    windows = random_windows(layer, maps, WINDOWS, random)
    outputs = layer.kernel.shape[-1] // len(windows)
    kernel = kernel_of(layer, [draw_kernel(kind, rows, outputs, random) for rows in windows])
    mean, deviation = _spread(layer, kernel, maps)
    flat = deviation <= 1e-6 * deviation.max()
    if flat.any():  # such as a center in a corner that only its own window reaches
        kernel[..., flat] = random.standard_normal(kernel[..., flat].shape)
        mean, deviation = _spread(layer, kernel, maps)
    if not (deviation > 1e-12).all():
        raise ModelError(f"{layer.name!r}: no image moves channel {int(np.argmin(deviation))}; give more varied ones")
    layer.kernel.assign(kernel / deviation)
    if layer.use_bias:
        layer.bias.assign(bias - mean / deviation)


def _spread(layer, kernel, maps):
    """Mean and deviation of each output channel without bias and activation, float64 (channels,)."""
    layer.kernel.assign(kernel)
    if layer.use_bias:
        layer.bias.assign(np.zeros(layer.bias.shape))
    kept, layer.activation = layer.activation, activations.linear
    try:
        return _moments(maps, lambda some: np.asarray(layer(some)))
    finally:
        layer.activation = kept


def _set_statistics(layer, maps, bias):
    mean, deviation = _moments(maps, np.asarray)
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(np.square(deviation))
    if layer.scale:
        layer.gamma.assign(np.ones(layer.gamma.shape))
    if layer.center:
        layer.beta.assign(np.full(layer.beta.shape, bias))


def _moments(maps, function):
    """Mean and deviation over everything but channels of ``function(maps)``, in two passes, float64 (channels,)."""

    def average(measure):
        total, count = 0.0, 0
        for begin in range(0, len(maps), BATCH):
            values = function(maps[begin : begin + BATCH])
            values = values.reshape(-1, values.shape[-1]).astype(np.float64)
            total, count = total + measure(values).sum(axis=0), count + len(values)
        return total / count

    mean = average(lambda values: values)
    return mean, np.sqrt(average(lambda values: np.square(values - mean)))
