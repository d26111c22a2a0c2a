"""Functional models changed: normalization folded away, dense layers as convolutions, weights in Caffe's layout.

ModelError is raised for a model that is not functional, or has a model inside.
"""

import keras
import numpy as np
from keras import activations, layers

from tfssl.errors import ModelError


def producer(layer):
    """The layer whose output ``layer`` reads, or None where it reads several or is called several times."""
    if len(layer._inbound_nodes) != 1 or not isinstance(layer.input, keras.KerasTensor):
        return None
    return layer.input._keras_history.operation


def rebuild(model, replace, skipped, inputs=None):
    """A copy of a functional model with some layers replaced or left out, and the weights of all others.

    Args:
        model: functional ``keras.Model`` without models inside.
        replace: ``{layer name: (layer to put in its place, its weights)}``.
        skipped: names of layers whose input takes the place of their output.
        inputs: KerasTensor to build on; None for inputs as the model's own.
    """
    if not hasattr(model, "operations") or isinstance(model, keras.Sequential):
        raise ModelError(f"model must be a functional keras.Model. Received: {type(model).__name__}")
    nested = [layer.name for layer in model.layers if isinstance(layer, (keras.Model, layers.Wrapper))]
    if nested:
        raise ModelError(f"model must hold plain layers only, and {nested[0]!r} holds a network: pass that one itself")

    def copy(layer):
        return replace[layer.name][0] if layer.name in replace else type(layer).from_config(layer.get_config())

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in skipped else layer(*args, **kwargs)

    rebuilt = keras.models.clone_model(model, input_tensors=inputs, clone_function=copy, call_function=call)
    for layer in rebuilt.layers:
        if layer.weights:
            name = layer.name
            layer.set_weights(replace[name][1] if name in replace else model.get_layer(name).get_weights())
    return rebuilt


def fold_batch_normalization(model):
    """The same network without the batch normalizations that follow a convolution or a dense layer, in inference.

    ``w' = w s, b' = (b - mean) s + beta`` with ``s = gamma / sqrt(variance + epsilon)`` and the moving statistics.
    Doersch et al. (2015) publish their network like this. Normalizations stay where the layer before has an activation
    or another reader, or is of another kind.

    Returns:
        ``keras.Model`` with the same inputs, outputs and layer names, the folded layers left out, and weights of
        its own. Convolutions and dense layers that a normalization was folded into have a bias.
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
    linear = isinstance(layer, (layers.Conv2D, layers.Dense)) and layer.activation is activations.linear
    return linear and len(layer._outbound_nodes) == 1 and not any(layer.output is one for one in model.outputs)


def _folded(layer, normalization):
    kernel, bias = (np.asarray(v, np.float64) for v in [*layer.get_weights(), 0.0][:2])
    statistics = normalization.get_weights()  # gamma, beta (where there are any), mean, variance
    gamma = statistics.pop(0) if normalization.scale else 1.0
    beta = statistics.pop(0) if normalization.center else 0.0
    mean, variance = (np.asarray(v, np.float64) for v in statistics)
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return [kernel * scale, (bias - mean) * scale + beta]


def fully_convolutional(model):
    """Turn the dense layers of a classifier into convolutions with the same weights.

    The first one gets a kernel as large as the map it flattens (6x6 in AlexNet, 7x7 in VGG), the others 1x1 (Long,
    Shelhamer and Darrell, 2015, section 3.1). On an image of the size that ``model`` was built for the outputs are
    equal; on larger ones they become maps, one position for each position of the window.

    Args:
        model: functional ``keras.Model`` with one image as its input, whose dense layers follow a ``Flatten``.

    Returns:
        ``keras.Model`` from images (B, H, W, C), H and W free, to the same outputs with (B, units) become
        (B, H', W', units). Layer names stay; weights are copies.
    """
    flatten = {layer.name for layer in getattr(model, "layers", ()) if isinstance(layer, layers.Flatten)}
    if not flatten:
        raise ModelError("model has no Flatten layer, so that no dense layer can become a convolution")
    replace = {}
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            before = producer(layer)
            size = before.input.shape[1:3] if isinstance(before, layers.Flatten) else (1, 1)
            replace[layer.name] = _as_convolution(layer, size)
    return rebuild(model, replace, flatten, layers.Input((None, None, model.inputs[0].shape[-1]), name="pictures"))


def _as_convolution(dense, size):
    convolution = layers.Conv2D(
        dense.units,
        size,
        activation=dense.activation,
        use_bias=dense.use_bias,
        dtype=dense.dtype_policy,
        name=dense.name,
    )
    kernel, *bias = dense.get_weights()
    return convolution, [kernel.reshape(*size, -1, dense.units), *bias]


def load_caffe_weights(model, weights, *, bgr=True, skip=()):
    """Give a model the weights of a Caffe network. Nothing is changed unless everything fits.

    Caffe's kernels are (out, in / groups, rows, columns) and become (rows, columns, in / groups, out); its fully
    connected layers read maps in the order channels, rows, columns, ours rows, columns, channels; its first
    convolution reads blue, green, red.

    Args:
        model: ``keras.Model`` whose weight layers are named like the Caffe layers, with or without ``_conv`` or
            ``_dense`` at the end.
        weights: ``{Caffe layer: (kernel, bias)}`` of float arrays.
        bgr: whether the first convolution's input channels are turned round if it has three, so that the model
            reads RGB. Values stay Caffe's: 0 ... 255 minus the mean, (123, 117, 104) in RGB.
        skip: layers of the model that keep their values, such as ``("fc8",)``.

    Raises:
        ModelError: if a layer of the model has no weights here, weights have no layer, or a shape does not fit.
    """
    found = (layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense)))
    targets = {layer.name.removesuffix("_conv").removesuffix("_dense"): layer for layer in found}
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


def _converted(name, layer, kernel, bias, *, turn):
    kernel, bias = np.asarray(kernel), np.asarray(bias)
    shape = tuple(layer.kernel.shape)
    expected = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
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
