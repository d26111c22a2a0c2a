"""Bilinear resizing for sizes known only inside a graph."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_positive
from tfssl.ops.resize import resize_bilinear, upsample


@keras.saving.register_keras_serializable(package="tfssl")
class ResizeToStride(Layer):
    """Resize the first input bilinearly to ceil(H / stride) x ceil(W / stride) of the second.

    Args:
        stride: input pixels per output position.

    Inputs: ``[x, reference]``, (B, h, w, C) and (B, H, W, any). Output: (B, ceil(H/stride), ceil(W/stride), C).
    """

    def __init__(self, stride, **kwargs):
        super().__init__(**kwargs)
        check_positive(stride=stride)
        self.stride = stride

    def call(self, inputs):
        x, reference = inputs
        shape = ops.shape(reference)
        height, width = ((shape[axis] + self.stride - 1) // self.stride for axis in (1, 2))
        return resize_bilinear(x, height, width)

    def compute_output_shape(self, input_shape):
        x, reference = input_shape
        size = tuple(None if n is None else -(-n // self.stride) for n in reference[1:3])
        return (x[0], *size, x[-1])


@keras.saving.register_keras_serializable(package="tfssl")
class Upsample(Layer):
    """``keras.layers.UpSampling2D(interpolation="bilinear")`` that also takes sizes known only inside a graph.

    Args:
        factor: output pixels per input pixel.

    Input: (B, H, W, C). Output: (B, H * factor, W * factor, C).

    Raises:
        ValueError: if factor is not a positive integer.
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        check_positive(factor=factor)
        self.factor = factor

    def call(self, inputs):
        return upsample(inputs, self.factor)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(None if n is None else n * self.factor for n in (height, width)), channels)
