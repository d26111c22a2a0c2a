"""How much of the image a cell of a feature map can see, by arithmetic along the graph."""

import dataclasses
import math

from keras import layers

from tfssl.visualization.graph import Graph, Place


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
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
        """Center of what a cell sees: ``start + cell * jump``."""
        return self.start + cell * self.jump

    def after(self, kernel, stride=1, padding=0.0, dilation=1):
        """The field behind one more window.

        ``size + (k - 1) d jump``, ``jump s``, ``start + ((k - 1) d / 2 - p) jump``.

        Args:
            kernel: k, size of the window.
            stride: s.
            padding: p, rows added before the first one.
            dilation: d.
        """
        reach = (kernel - 1) * dilation
        start = self.start + (reach / 2 - padding) * self.jump
        return ReceptiveField(self.size + reach * self.jump, self.jump * stride, start)


def chain(windows):
    """The field behind several windows, each ``(kernel, stride)``, ``(kernel, stride, padding)`` or with dilation."""
    field = ReceptiveField()
    for window in windows:
        field = field.after(*window)
    return field


def receptive_field(network, tap, image_size):
    """The field of a tap's rows, read off the network's graph; where branches meet it covers all of them.

    Statistics of the whole image in layers that prepare it (standardizing) do not count. Rows and columns are
    alike in every window known here.

    Args:
        network: functional ``keras.Model``, RGB (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        tap: name of a tap.
        image_size: H in pixels; ``"same"`` padding depends on it.

    Returns:
        :class:`ReceptiveField`, or None where the graph has an operation whose windows are not known here.
    """
    graph, goal, known = Graph(), Place(network.output[tap]), {}
    waiting = [goal]
    # A stack of its own, for networks deeper than Python's.
    while waiting:
        place = waiting[-1]
        operation, read = graph.producer(place)
        missing = [p for p in read if p.key not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        known[place.key] = (
            (ReceptiveField(), image_size) if operation is None else _apply(operation, [known[p.key] for p in read])
        )
    return known[goal.key] and known[goal.key][0]


# What works on each cell by itself, and how the normalizing layers of a network count.
_POINTWISE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.Identity,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.Normalization,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
)
_POINTWISE_NAMES = ("Lightness", "LocalResponseNormalization", "ScaleToRMS", "Standardize")
_MERGING = (layers.Add, layers.Average, layers.Concatenate, layers.Maximum, layers.Multiply, layers.Subtract)
_ARITHMETIC_NAMES = ("Add", "Concatenate", "Divide", "Maximum", "Minimum", "Multiply", "Relu", "Subtract", "GetItem")
_GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def _apply(operation, inputs):
    """(field, length) behind an operation, from those of what it reads; None if one is unknown."""
    if not inputs or any(state is None for state in inputs):
        return None
    if isinstance(operation, _GLOBAL):
        return ReceptiveField(math.inf, inputs[0][0].jump, inputs[0][0].start), 1
    if hasattr(operation, "convolutions"):  # a stack of windows in one layer
        state = inputs[0]
        for part in operation.convolutions:
            state = _slide(part, *state)
        return state
    if isinstance(operation, layers.ZeroPadding2D):
        (before, after), (field, length) = operation.padding[0], inputs[0]
        return field.after(1, 1, before), length + before + after
    if isinstance(operation, (layers.Conv2D, layers.DepthwiseConv2D)) and not isinstance(
        operation, layers.Conv2DTranspose
    ):
        return _slide(operation, *inputs[0])
    if hasattr(operation, "pool_size"):
        return _slide(operation, *inputs[0])
    name = type(operation).__name__
    if isinstance(operation, (*_POINTWISE, *_MERGING)) or name in (*_POINTWISE_NAMES, *_ARITHMETIC_NAMES):
        return _join(inputs)
    return None


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
