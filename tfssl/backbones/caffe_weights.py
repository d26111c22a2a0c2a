"""Weights in Caffe's layout, for the networks published in it."""

import numpy as np
from keras import layers

from tfssl.backbones.graph import producer
from tfssl.errors import ModelError


def load_caffe_weights(model, weights, *, bgr=True, skip=()):
    """Give a model the weights of a Caffe network.

    Caffe's kernels are (out, in / groups, rows, columns) and become (rows, columns, in / groups, out); its fully
    connected layers read maps in the order channels, rows, columns, ours rows, columns, channels; its first
    convolution reads blue, green, red. Nothing is changed unless everything fits.

    Args:
        model: ``keras.Model`` of a backbone, or any whose weight layers are named like the Caffe layers, with or
            without ``_conv`` or ``_dense`` at the end.
        weights: ``{Caffe layer: (kernel, bias)}`` of float arrays: kernels (out, in / groups, rows, columns) of
            convolutions, (out, in) of fully connected layers; biases (out,).
        bgr: whether the first convolution's input channels are turned round if it has three, so that the model
            reads RGB. Values stay Caffe's: 0 ... 255 minus the mean, (123, 117, 104) in RGB.
        skip: layers of the model that keep their values, such as ``("fc8",)``.

    Returns:
        None; the model is changed.

    Raises:
        ModelError: if a layer of the model has no weights here, weights have no layer, or a shape does not fit.
    """
    targets = {_caffe_name(layer): layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))}
    first = next((name for name, layer in targets.items() if isinstance(layer, layers.Conv2D)), None)
    targets = {name: layer for name, layer in targets.items() if name not in skip}
    for name in targets:
        if name not in weights:
            raise ModelError(f"weights lack the layer {name!r} of the model; name it in skip to keep its values")
    for name in weights:
        if name not in targets:
            raise ModelError(f"weights hold {name!r}, and the layers to load are {', '.join(targets)}; remove it")
    converted = {
        name: _converted(name, layer, *weights[name], turn=bgr and name == first) for name, layer in targets.items()
    }
    for name, layer in targets.items():
        layer.set_weights(converted[name])


def _caffe_name(layer):
    return layer.name.removesuffix("_conv").removesuffix("_dense")


def _converted(name, layer, kernel, bias, *, turn):
    kernel, bias = np.asarray(kernel), np.asarray(bias)
    expected = _caffe_shape(layer)
    if kernel.shape != expected or bias.shape != expected[:1] or not layer.use_bias:
        raise ModelError(
            f"weights of {name!r} are {kernel.shape} and {bias.shape}, the model needs {expected} and "
            f"{expected[:1] if layer.use_bias else 'no bias'}"
        )
    if isinstance(layer, layers.Conv2D):
        kernel = np.transpose(kernel, (2, 3, 1, 0))
        return [kernel[:, :, ::-1] if turn and kernel.shape[2] == 3 else kernel, bias]
    before = producer(layer)
    if isinstance(before, layers.Flatten) and len(before.input.shape) == 4:
        rows, columns, channels = before.input.shape[1:]
        kernel = kernel.reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    return [kernel.T, bias]


def _caffe_shape(layer):
    shape = tuple(layer.kernel.shape)
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
