"""A network as an export stores it: float32 computation, weights in float32 or float16, each under its Keras path."""

import keras
import numpy as np
import tensorflow as tf

from tfssl import runtime
from tfssl.backbones.encoder import Encoder
from tfssl.errors import ModelError
from tfssl.training.runs import assign_weights

SCOPE = "network"  # name scope of the operators of a :class:`StoredNetwork`, below it one scope a layer


def served_network(method, model):
    """What an export of ``model`` stores, computing in float32.

    A model trained with mixed_bfloat16 holds its weights in float32 but computes in bfloat16, which few CPUs and no
    phone can do. It is built anew and every weight copied by its path.

    Args:
        model: its trained ``keras.Model``, or what an earlier export of it stored.
    """
    network = model if isinstance(model, Encoder) else method.served(model)
    if all(layer.compute_dtype == "float32" for layer in inner_layers(network)):
        return network
    return network_from_values(method, {variable.path: variable for variable in network.weights}, "the model")


def network_from_values(method, values, source):
    """The network that ``method`` serves, in float32, with ``{variable path: value}``; a ModelError unless all fit."""
    network = new_network(method)
    if any(variable.path not in values for variable in network.weights):
        values = {**_unread(network), **values}
    assign_weights(network, values, source)
    unknown = sorted(set(values) - {variable.path for variable in network.variables})
    if unknown:
        named = f"{len(unknown)} unknown ones: {', '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''}"
        raise ModelError(f"{str(source)!r} fits {len(network.variables)} weights but holds {named}")
    return network


def _unread(network):
    """Variables that the network has but never reads, ``{path: variable}``: a SavedModel does not hold them.

    Such as the bias of the way back of a tied layer, in an encoder.
    """
    specs = keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), network.input)
    traced = tf.function(lambda inputs: network(inputs, training=False), autograph=False).get_concrete_function(specs)
    read = {id(variable) for variable in traced.graph.variables}
    return {variable.path: variable for variable in network.weights if id(variable.value) not in read}


def new_network(method):
    """The network that ``method`` serves, untrained, in float32."""
    with runtime.precision():
        return method.served(method.model())


def inner_layers(model):
    """All layers of a ``keras.Model`` in order, those of models inside it in their place."""
    parts = ([layer] if not isinstance(layer, keras.Model) else inner_layers(layer) for layer in model.layers)
    return [layer for part in parts for layer in part]


def sensitive_layers(model):
    """Names of layers whose few weights and activations decide about much; quantized exports leave them in float32.

    - What rescales or resizes (a layer without weights that Keras does not have).
    - All up to the first convolution: its input has one channel, whose error every later layer would see.
    - A vector pooled over the whole image, what is made of it and where it is added: its error moves the color of
      every pixel the same way instead of averaging out. Not where a layer holds over a twentieth of all weights, as
      those around the bottleneck of an inpainter: little would be left to store in fewer bits.
    - Depthwise convolutions, whose every channel has a range of its own, and kernels of less than a two-hundredth of
      all weights: they are the first ones, at high resolution.

    On a trained small network, 124 kB more took the mean error of float16 from 0.031 to 0.0025 ab, and of int8 from
    1.2 to 0.34; on EfficientNet-Lite0 with a decoder, 0.4 MB more took that of float16 from 0.041 to 0.005 ab, and of
    dynamic from 1.0 to 0.24; of one that decodes at T = 0.38, a thousandth left 0.42 and a two-hundredth 0.30.
    """
    layers = inner_layers(model)
    first = next((i for i, layer in enumerate(layers) if hasattr(layer, "kernel")), -1)

    def pooled(layer):
        ends = keras.tree.flatten([layer.input, layer.output])
        return 20 * layer.count_params() <= model.count_params() and any(x.shape[1:3] == (1, 1) for x in ends)

    return [
        layer.name
        for i, layer in enumerate(layers)
        if i <= first
        or isinstance(layer, keras.layers.Rescaling)
        or (not layer.weights and not type(layer).__module__.startswith("keras."))
        or pooled(layer)
        or isinstance(layer, keras.layers.DepthwiseConv2D)
        or (hasattr(layer, "kernel") and 200 * layer.count_params() < model.count_params())
    ]


class StoredNetwork:
    """A callable stand-in for a ``keras.Model`` whose weights are ``tf.Variable`` objects named by Keras path.

    A graph-mode loader and a converter find these variables; those of a Keras 3 model inside another module they
    do not. With float16 weights each call casts them to float32 first, which takes a fraction of a millisecond.

    Args:
        model: a built ``keras.Model`` in float32, kept as the attribute ``model``.
        weights: ``"float32"`` or ``"float16"``. Kernels are halved; vectors (biases, scales, statistics) and the
            :func:`sensitive_layers` stay in float32. A ModelError says which kernel does not fit.
    """

    def __init__(self, model, weights="float32"):
        self.model = model
        halved = set()
        if weights == "float16":
            kept = sensitive_layers(model)
            halved = {v.path for layer in inner_layers(model) if layer.name not in kept for v in layer.variables}
        self.variables = [_store(variable, variable.path in halved) for variable in model.variables]
        names = [variable.name.partition(":")[0] for variable in self.variables]
        if len(set(names)) != len(names):
            raise ModelError("two weights of the model have the same path; give its layers distinct names")

    def get_layer(self, name):
        """A stand-in for a model inside the model, with the same variables."""
        part = object.__new__(StoredNetwork)
        stored = {id(own): variable for own, variable in zip(self.model.variables, self.variables, strict=True)}
        part.model = self.model.get_layer(name)
        part.variables = [stored[id(own)] for own in part.model.variables]
        return part

    def __call__(self, inputs, training=False):
        model = self.model
        values = {id(own): tf.cast(v, own.dtype) for own, v in zip(model.variables, self.variables, strict=True)}
        trainable, fixed = model.trainable_variables, model.non_trainable_variables
        states = ([values[id(variable)] for variable in part] for part in (trainable, fixed))
        with tf.name_scope(SCOPE):
            return model.stateless_call(*states, inputs, training=training)[0]


def _store(variable, halved):
    value = np.asarray(variable)
    if halved and value.ndim >= 2 and value.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if not np.isfinite(half).all():
            reason = f"reaches {np.abs(value).max():.3g}, more than float16 holds"
            raise ModelError(f'weight {variable.path} {reason}; use weights="float32"')
        value = half
    return tf.Variable(value, trainable=False, name=variable.path)
