"""How much of the image a unit of a network sees: by arithmetic along the graph, and as occluders measure it."""

import dataclasses
import functools
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.errors import ConfigError
from tfssl.visualization.maps import answer

BATCH = 100  # occluded copies that go through a network together

FIELD_THRESHOLD = 0.2
"""Fraction of the largest mean change from which a pixel belongs to the field; the paper names none."""


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a graph, seen from the outermost network.

    ``inputs`` is what stands for the inputs of the inner network that it belongs to, ``{id: Value}``.
    """

    tensor: keras.KerasTensor
    inputs: dict | None = None

    @property
    def key(self):
        """Equal for two that hold the same values, of one :class:`Graph`."""
        return id(self.tensor), id(self.inputs)


class Graph:
    """The operations of a functional network, from its outputs to its input."""

    def __init__(self):
        self._entered = {}  # each use of an inner network: what stands for its inputs

    def producer(self, value):
        """``(operation, [Value, ...])`` that make a tensor, inner networks stepped into; None for the input."""
        while True:
            operation, node_number, output_number = value.tensor._keras_history
            node = operation._inbound_nodes[node_number]
            if node.is_input:
                outer = (value.inputs or {}).get(id(value.tensor))
                if outer is None:
                    return None, []
                value = outer
                continue
            read = [Value(tensor, value.inputs) for tensor in node.input_tensors]
            if not isinstance(operation, keras.Model) or not getattr(operation, "inputs", None):
                return operation, read
            use = (id(operation), node_number, id(value.inputs))
            if use not in self._entered:
                own = keras.tree.flatten(operation.inputs)
                self._entered[use] = {id(tensor): there for tensor, there in zip(own, read, strict=True)}
            value = Value(keras.tree.flatten(operation.outputs)[output_number], self._entered[use])

    def upstream(self, values):
        """Yield (operation, what it reads) for all that tensors depend on, each tensor once, outputs first."""
        waiting, seen = list(values), set()
        while waiting:
            value = waiting.pop()
            if value.key in seen:
                continue
            seen.add(value.key)
            operation, read = self.producer(value)
            if operation is not None:
                yield operation, read
            waiting += read


class ReceptiveField(NamedTuple):
    """What the cells of a map see of the image, along one axis, in pixels of the image.

    Args:
        size: pixels that a cell depends on; infinite where it sees the whole image.
        jump: distance between the centers of neighboring cells.
        start: center of cell 0, where 0 is the middle of the first pixel.
    """

    size: float = 1.0
    jump: float = 1.0
    start: float = 0.0

    def center(self, cell):
        return self.start + cell * self.jump

    def after(self, kernel, stride=1, padding=0.0, dilation=1):
        """The field behind one more window, with ``padding`` rows before the first one."""
        reach = (kernel - 1) * dilation
        start = self.start + (reach / 2 - padding) * self.jump
        return ReceptiveField(self.size + reach * self.jump, self.jump * stride, start)


def receptive_field(network, tap, image_size):
    """The :class:`ReceptiveField` of a tap's rows, read off the graph; where branches meet it covers all of them.

    None where the graph has an operation whose windows are not known here. Statistics of the whole image in layers
    that prepare it (standardizing) do not count. ``"same"`` padding depends on ``image_size``, in pixels.
    """
    graph, goal, known = Graph(), Value(network.output[tap]), {}
    waiting = [goal]
    # A stack of its own, for networks deeper than Python's.
    while waiting:
        value = waiting[-1]
        operation, read = graph.producer(value)
        missing = [p for p in read if p.key not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        known[value.key] = (
            (ReceptiveField(), image_size) if operation is None else _apply(operation, [known[p.key] for p in read])
        )
    return known[goal.key] and known[goal.key][0]


# What works on each cell by itself, or on those of several maps; so do the normalizing layers of a network count.
_CELLWISE = (
    *(layers.Activation, layers.BatchNormalization, layers.Dropout, layers.ELU, layers.Identity),
    *(layers.LayerNormalization, layers.LeakyReLU, layers.Normalization, layers.PReLU, layers.ReLU),
    *(layers.Rescaling, layers.Softmax, layers.Add, layers.Average, layers.Concatenate, layers.Maximum),
    *(layers.Multiply, layers.Subtract),
)
_CELLWISE_NAMES = (
    *("Lightness", "LocalResponseNormalization", "ScaleToRMS", "Standardize"),
    *("Add", "Concatenate", "Divide", "Maximum", "Minimum", "Multiply", "Relu", "Subtract", "GetItem"),
)
_GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def _apply(operation, inputs):
    """(field, length) behind an operation, from those of what it reads; None if one is unknown."""
    if not inputs or any(state is None for state in inputs):
        return None
    if isinstance(operation, _GLOBAL):
        return ReceptiveField(math.inf, inputs[0][0].jump, inputs[0][0].start), 1
    if hasattr(operation, "convolutions"):  # a stack of windows in one layer
        return functools.reduce(lambda state, part: _slide(part, *state), operation.convolutions, inputs[0])
    if isinstance(operation, layers.ZeroPadding2D):
        (before, after), (field, length) = operation.padding[0], inputs[0]
        return field.after(1, 1, before), length + before + after
    window = is_convolution(operation) or isinstance(operation, layers.DepthwiseConv2D)
    if window or hasattr(operation, "pool_size"):
        return _slide(operation, *inputs[0])
    return _join(inputs) if isinstance(operation, _CELLWISE) or type(operation).__name__ in _CELLWISE_NAMES else None


def is_convolution(operation):
    """Whether it is a ``Conv2D`` and no transposed one."""
    return isinstance(operation, layers.Conv2D) and not isinstance(operation, layers.Conv2DTranspose)


def _slide(layer, field, length):
    kernel = _first(getattr(layer, "kernel_size", None) or layer.pool_size)
    stride, dilation = _first(layer.strides), _first(getattr(layer, "dilation_rate", 1))
    reach = (kernel - 1) * dilation
    if layer.padding == "same":
        after = -(-length // stride)
        padding = max(0, (after - 1) * stride + reach + 1 - length) // 2
    else:
        padding = layer.padding if isinstance(layer.padding, int) else 0
        sizes = getattr(layer, "output_size", lambda n: (n + 2 * padding - reach - 1) // stride + 1)
        after = sizes(length)
    return field.after(kernel, stride, padding, dilation), after


def _join(states):
    """The smallest field that covers several; one cell that stands for the whole image is spread over all."""
    length = max(n for _, n in states)
    jumps = {field.jump for field, n in states if n == length}
    if len(jumps) > 1 or any(n not in (1, length) for _, n in states):
        return None
    fields = [field for field, n in states if n == length]
    low = min(field.start - field.size / 2 for field in fields)
    high = max(field.start + field.size / 2 for field in fields)
    if any(math.isinf(field.size) for field, _ in states):
        return ReceptiveField(math.inf, fields[0].jump, fields[0].start), length
    return ReceptiveField(high - low, fields[0].jump, (low + high) / 2), length


def _first(value):
    return value if isinstance(value, int) else value[0]


class EmpiricalField(NamedTuple):
    """The receptive field of a unit as measured.

    Args:
        change: float32 (2 S + 1, 2 S + 1) for images of S pixels: mean absolute change of the activation when the
            occluder's center is there, relative to the center of the cell where the unit is strongest; 0 where
            nothing was measured.
        size: side in pixels of a square as large as the area where the change is at least :data:`FIELD_THRESHOLD` of
            the largest; 0 if nothing changes.
        copies: occluded images that went through the network.
    """

    change: np.ndarray
    size: float
    copies: int


class FieldProbe:
    """Measures receptive fields of the units of a tap by the change that occluders of random pixels make.

    For each image and each position of the occluder: |activation with it - activation without|, at the cell where
    the unit was strongest. The maps are shifted so that the centers of these cells fall together, and averaged over
    the images that reach each pixel. Positions that do not touch the theoretical field, where that is known, cannot
    change anything and are left out.

    Args:
        image_size: S in pixels.
        occluder: height and width in pixels. Paper: 11 on 227 pixels with stride 3, 5329 copies; 5 with stride 2 on 64
            pixels are 900.
        stride: pixels between positions.

    Reference:
        B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba: Object Detectors Emerge in Deep Scene CNNs.
        ICLR 2015, section 3.2.
    """

    def __init__(self, network, tap, image_size, *, occluder=5, stride=2, seed=0):
        if not (1 <= occluder <= image_size and 1 <= stride <= occluder):
            raise ConfigError(
                f"`occluder` must be from 1 to {image_size} pixels, `stride` from 1 to it. Received: "
                f"occluder={occluder}, stride={stride}"
            )
        self.occluder, self.stride = occluder, stride
        self._noise = np.random.default_rng(seed).integers(0, 256, (occluder, occluder, 3), np.uint8)
        self._theory, self._centers = _theory(network, tap, image_size)

        @tf.function(
            input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((3,), tf.int32)],
            autograph=False,
        )
        def activation(images, where):
            return answer(network, tap, tf.cast(images, tf.float32) / 255.0)[:, where[0], where[1], where[2]]

        self._activation = activation.get_concrete_function()

    def measure(self, unit, images, cells):
        """The :class:`EmpiricalField` of a unit from its top images, uint8 (K, S, S, 3).

        ``cells``, int (K, 2), are row and column of the map where it is strongest in each.
        """
        total = np.zeros((2 * images.shape[1] + 1,) * 2)
        count, copies = np.zeros_like(total), 0
        for image, cell in zip(images, np.asarray(cells).tolist(), strict=True):
            center = [self._centers.center(c) for c in cell]
            corners = positions(len(image), self.occluder, self.stride, center, self._theory)
            changes = self._changes(image, corners, np.array([*cell, unit], np.int32))
            # Each change belongs to the stride x stride pixels about its occluder's center.
            offset = np.rint(corners + (self.occluder - self.stride) / 2 - center + len(total) // 2).astype(int)
            for value, start, end in zip(changes, np.maximum(0, offset), offset + self.stride, strict=True):
                part = tuple(map(slice, start, end))
                total[part] += value
                count[part] += 1
            copies += len(corners)
        change = (total / np.maximum(count, 1)).astype(np.float32)
        area = (change >= FIELD_THRESHOLD * change.max()).sum() if change.max() > 0 else 0
        return EmpiricalField(change, float(np.sqrt(area)), copies)

    def _changes(self, image, corners, where):
        whole = self._activation(image[None], where).numpy()[0]
        parts = []
        for start in range(0, len(corners), BATCH):
            batch = corners[start : start + BATCH]
            copies = np.repeat(image[None], len(batch), axis=0)
            for copy, (top, left) in zip(copies, batch.tolist(), strict=True):
                copy[top : top + self.occluder, left : left + self.occluder] = self._noise
            parts.append(np.abs(self._activation(copies, where).numpy() - whole))
        return np.concatenate(parts)


def positions(image_size, occluder, stride, center=None, field=None):
    """Upper left corners of the occluders, int (M, 2), row by row: those that touch a ``field`` about ``center``."""
    starts = np.arange(0, image_size - occluder + 1, stride)
    keep = [starts, starts]
    if field is not None:
        reach = (field.size - 1) / 2
        keep = [starts[(starts <= c + reach) & (starts + occluder - 1 >= c - reach)] for c in center]
    return np.stack(np.meshgrid(*keep, indexing="ij"), axis=-1).reshape(-1, 2)


def _theory(network, tap, image_size):
    """The theoretical field, or None where it is unknown or endless, and one that gives the centers of cells."""
    field = receptive_field(network, tap, image_size)
    if field is None:
        maps = answer(network, tap, tf.zeros((1, image_size, image_size, 3)))
        jump = image_size / maps.shape[1]
        return None, ReceptiveField(jump=jump, start=(jump - 1) / 2)
    return (field if np.isfinite(field.size) else None), field
