"""Bilinear resize of a feature map to the grid that a strided sampling of another map has."""

import keras
from keras import layers, ops

from tfssl.ops.resize import resize_bilinear


@keras.saving.register_keras_serializable(package="tfssl")
class ResizeToStride(layers.Layer):
    """Resize the first input bilinearly to ceil(H / stride) x ceil(W / stride) of the second.

    Args:
        stride: input pixels per output position.

    Inputs: ``[x, reference]``, (B, h, w, C) and (B, H, W, any). Output: (B, ceil(H/stride), ceil(W/stride), C).
    """

    def __init__(self, stride, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(stride, int) or stride < 1:
            raise ValueError(f"`stride` must be a positive integer. Received: stride={stride!r}")
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

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}
