"""Looking around in the graph of a functional model, and rebuilding it with other layers."""

import keras
from keras import layers

from tfssl.errors import ModelError


def producer(layer):
    """The layer whose output ``layer`` reads, or None where it reads several or is called several times."""
    if len(layer._inbound_nodes) != 1 or not isinstance(layer.input, keras.KerasTensor):
        return None
    return layer.input._keras_history.operation


def has_one_reader(layer, model):
    """Whether one other layer, and no output of the model, reads the output of ``layer``."""
    is_output = any(layer.output is tensor for tensor in keras.tree.flatten(model.outputs))
    return not is_output and len(layer._outbound_nodes) == 1


def rebuild(model, replace, skipped, inputs=None):
    """A copy of a functional model with some layers replaced or left out, and the weights of all others.

    Args:
        model: functional ``keras.Model`` without models inside.
        replace: ``{layer name: (layer to put in its place, its weights)}``.
        skipped: names of layers whose input takes the place of their output.
        inputs: KerasTensor to build on; None for inputs as the model's own.

    Returns:
        ``keras.Model`` that shares no variable with ``model``.

    Raises:
        ModelError: if the model is not functional, or has a model inside.
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
        if not layer.weights:
            continue
        weights = replace[layer.name][1] if layer.name in replace else model.get_layer(layer.name).get_weights()
        layer.set_weights(weights)
    return rebuilt
