"""Running a network layer by layer over many images, with a look at what enters each layer."""

import dataclasses
from collections import Counter

import keras
import numpy as np

from tfssl.errors import ConfigError, ModelError

BATCH = 16
"""Images that pass a layer at a time."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Maps:
    """One tensor of the graph for all images; a leaf to Keras' trees, and told apart from constants in a call."""

    values: np.ndarray


def walk(model, images, visit=None):
    """Run a functional model over images, one layer after the other, as in inference; models inside it are entered.

    All images pass a layer before any enters the next, so ``visit`` may change the weights of a layer that it sees,
    and everything above sees the change.

    Args:
        model: functional ``keras.Model`` with one input; ModelError for others.
        images: float32 (N, ...), what the model takes.
        visit: called with (layer, float32 array (N, ...) that enters it) before each layer with weights, once for each
            time that the layer is called.

    Returns:
        What the model answers for all images, as float32 arrays in the structure of its outputs.
    """
    if len(_graph(model).inputs) != 1:
        raise ModelError(f"`model` must have one input. Received: {len(_graph(model).inputs)} of them")
    found = _run(model, [_Maps(np.asarray(images, np.float32))], len(images), visit)
    packed = keras.tree.pack_sequence_as(_graph(model).output, found)
    return keras.tree.map_structure(lambda maps: maps.values, packed)


def weighted_layers(model):
    """The layers of a model that have weights of their own, in the order of the graph, also inside of models in it."""
    found = []
    for node in _nodes(_graph(model)):
        layer = node.operation
        inner = weighted_layers(layer) if isinstance(layer, keras.Model) else [layer]
        found += [one for one in inner if getattr(one, "weights", None) and one not in found]
    return found


def joining(model):
    """Layers and operations of a model that read several tensors, also inside of models in it."""
    found = []
    for node in _nodes(_graph(model)):
        if isinstance(node.operation, keras.Model):
            found += joining(node.operation)
        elif len({id(tensor) for tensor in node.input_tensors}) > 1:
            found.append(node.operation)
    return found


def check_images(model, images):
    """The calibration images as a float32 array; ConfigError unless the model takes them and they are finite."""
    shape = _graph(model).inputs[0].shape
    array = np.asarray(images)
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape[1:], shape[1:], strict=True))
    if array.dtype.kind != "f" or not fits or len(array) < 2:
        wanted = ", ".join("any" if side is None else str(side) for side in shape[1:])
        raise ConfigError(
            f"`images` must be at least two float images (N, {wanted}), in the range that the model takes. "
            f"Received: {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ConfigError("`images` hold NaN or infinity")
    return array.astype(np.float32)


def _graph(model):
    graph = getattr(model, "_functional", model)  # a Sequential wraps one
    if not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(f"`model` must be a functional keras.Model. Received: {type(model).__name__} {model.name!r}")
    return graph


def _nodes(graph):
    """Calls of layers and operations in an order in which they can be computed."""
    by_depth = graph._nodes_by_depth
    nodes = (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth])
    return [node for node in nodes if node.operation is not None and not node.is_input]


def _run(model, inputs, count, visit):
    graph = _graph(model)
    nodes = _nodes(graph)
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(id(tensor) for tensor in graph.outputs)
    values = {id(tensor): maps for tensor, maps in zip(graph.inputs, inputs, strict=True)}
    for node in nodes:
        args, kwargs = node.arguments.fill_in(values)
        if isinstance(node.operation, keras.Model):
            outputs = _run(node.operation, keras.tree.flatten(args), count, visit)
        else:
            outputs = keras.tree.flatten(_call(node.operation, args, kwargs, count, visit))
        values.update((id(tensor), maps) for tensor, maps in zip(node.outputs, outputs, strict=True))
        for tensor in node.input_tensors:
            readers[id(tensor)] -= 1
            if not readers[id(tensor)]:
                values.pop(id(tensor), None)
    return [values[id(tensor)] for tensor in graph.outputs]


def _call(operation, args, kwargs, count, visit):
    if visit is not None and getattr(operation, "weights", None):
        visit(operation, next(leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, _Maps)).values)
    parts = []
    for begin in range(0, count, BATCH):

        def cut(leaf, begin=begin):
            if not isinstance(leaf, _Maps):
                return leaf
            rows = len(leaf.values) // count  # more than one where an image was cut into tiles
            return leaf.values[begin * rows : (begin + BATCH) * rows]

        some, named = keras.tree.map_structure(cut, (args, kwargs))
        parts.append(keras.tree.map_structure(np.asarray, operation(*some, **named)))
    return keras.tree.map_structure(lambda *arrays: _Maps(np.concatenate(arrays)), *parts)
