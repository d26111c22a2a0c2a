"""Bilinear resizing for sizes known only inside a graph."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_positive
from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class ResizeToStride(Layer):
    """Resize the first input bilinearly to ceil(H / stride) x ceil(W / stride) of the second.

    Inputs: ``[x, reference]``, (B, h, w, C) and (B, H, W, any). Output: (B, ceil(H/stride), ceil(W/stride), C).
    """

    takes = (("x", "B h w C"), ("reference", "B H W D"))

    def __init__(self, stride, **kwargs):
        super().__init__(**kwargs)
        check_positive(stride=stride)
        self.stride = stride

    def call(self, inputs):
        x, reference = inputs
        shape = ops.shape(reference)
        height, width = ((shape[axis] + self.stride - 1) // self.stride for axis in (1, 2))
        return resize_bilinear(x, height, width)

    def _output_shape(self, input_shape):
        x, reference = input_shape
        size = tuple(None if n is None else -(-n // self.stride) for n in reference[1:3])
        return (x[0], *size, x[-1])


@keras.saving.register_keras_serializable(package="tfssl")
class Upsample(Layer):
    """``keras.layers.UpSampling2D(interpolation="bilinear")`` that also takes sizes known only inside a graph."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        check_positive(factor=factor)
        self.factor = factor

    def call(self, inputs):
        return upsample(inputs, self.factor)

    def _output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(None if n is None else n * self.factor for n in (height, width)), channels)


@keras.saving.register_keras_serializable(package="tfssl")
class SampleMap(Layer):
    """Values of a map at a few pixels of the image that it was made of, bilinearly between its cells.

    Cell (i, j) lies at pixel (stride i, stride j), as in the sparse hypercolumns of Larsson et al. (2016), section 5.1:
    a pixel at (y, x) reads the map at (y / stride, x / stride), held at the last cell beyond it. Each value's gradient
    goes to the four cells that it is made of, with the same weights.

    Args:
        stride: pixels per cell, at least 1.

    Inputs: ``[map, locations]``, float (B, h, w, C), and int or float (B, N, 2), pixels (y, x). Under mixed precision
    give integers: floats are rounded. Output: (B, N, C).
    """

    takes = (("map", "B h w C"), ("locations", "B N 2"))

    def __init__(self, stride=1, **kwargs):
        super().__init__(**kwargs)
        check_positive(stride=stride)
        self.stride = stride

    def call(self, inputs):
        x, locations = inputs
        shape = ops.shape(x)
        position = ops.cast(locations, "float32") / self.stride
        last = ops.cast(ops.stack([shape[1] - 1, shape[2] - 1]), "float32")
        position = ops.clip(position, 0.0, last)
        low = ops.floor(position)
        weight = ops.cast(position - low, x.dtype)
        low, last = ops.cast(low, "int32"), ops.cast(last, "int32")
        high = ops.minimum(low + 1, last)
        cells = ops.reshape(x, (-1, shape[3]))
        first = ops.expand_dims(ops.arange(shape[0], dtype="int32") * (shape[1] * shape[2]), 1)
        sampled = 0
        for row, along_y in ((low[..., 0], 1 - weight[..., :1]), (high[..., 0], weight[..., :1])):
            for column, along_x in ((low[..., 1], 1 - weight[..., 1:]), (high[..., 1], weight[..., 1:])):
                values = ops.take(cells, first + row * shape[2] + column, axis=0)
                sampled = sampled + along_y * along_x * values
        return sampled

    def _output_shape(self, input_shape):
        x, locations = input_shape
        return (*locations[:2], x[-1])


def upsample(x, factor, first=None):
    """Upsample bilinearly by an integer factor: (B, h, w, C) -> (B, h * factor, w * factor, C).

    ``first`` is where input pixel 0 lands on the output, in output pixels, between 0 and (factor - 1) / 2. None is
    (factor - 1) / 2, the half-pixel convention of image resizing; 0 puts input pixel i on output pixel ``factor * i``.
    Beyond the outermost pixels their values are repeated.
    """
    check_shapes(x=(x, "B h w C"))
    check_positive(factor=factor)
    first = (factor - 1) / 2 if first is None else first
    for axis in (1, 2):
        x = _upsample_axis(x, factor, first, axis)
    return x


def _upsample_axis(x, factor, first, axis):
    def part(begin, size):
        begins, sizes = [0] * 4, list(ops.shape(x))
        begins[axis], sizes[axis] = begin, size
        return ops.slice(x, begins, sizes)  # its gradient pads; that of x[...] is ten times slower on TensorFlow

    last = ops.shape(x)[axis] - 1
    before = ops.concatenate([part(0, 1), part(0, last)], axis=axis)
    after = ops.concatenate([part(1, last), part(last, 1)], axis=axis)
    phases = []
    for phase in range(factor):
        offset = (phase - first) / factor  # of this output pixel from its input pixel, in input pixels
        neighbor = after if offset > 0 else before
        phases.append(x if offset == 0 else (1 - abs(offset)) * x + abs(offset) * neighbor)
    stacked = ops.stack(phases, axis=axis + 1)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * factor
    return ops.reshape(stacked, shape)


def resize_bilinear(x, height, width):
    """Resize (B, h, w, C) bilinearly to any size, ints or scalar tensors: half-pixel convention, no antialiasing."""
    check_shapes(x=(x, "B h w C"))
    for axis, size in ((1, height), (2, width)):
        old = ops.shape(x)[axis]
        scale = ops.cast(old, "float32") / ops.cast(size, "float32")
        position = (ops.arange(size, dtype="float32") + 0.5) * scale - 0.5
        position = ops.clip(position, 0.0, ops.cast(old - 1, "float32"))
        low = ops.cast(ops.floor(position), "int32")
        high = ops.minimum(low + 1, old - 1)
        fraction = ops.cast(position - ops.cast(low, "float32"), x.dtype)
        fraction = ops.reshape(fraction, (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1))
        x = (1 - fraction) * ops.take(x, low, axis=axis) + fraction * ops.take(x, high, axis=axis)
    return x
