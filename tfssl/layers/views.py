"""The two sides of several views of a scene, in gray."""

import keras
from keras import ops

from tfssl.layers.layer import Layer

_LUMA = (0.299, 0.587, 0.114)  # as Pillow's mode L


@keras.saving.register_keras_serializable(package="tfssl")
class GrayViews(Layer):
    """Which views stand against which: RGB views of a scene to two gray maps whose channels are views.

    Args:
        first: (begin, end) of the views of the first side.
        second: of the second side.
        offset: pixels by which the second side is moved to the right; both lose as many columns where they have no
            partner.

    Input: float (B, views, H, W, 3) in [0, 1]. Output: a list of (B, H, W - offset, end - begin), two of them.
    """

    takes = (("inputs", "B views H W 3"),)

    def __init__(self, first, second, offset=0, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = tuple(first), tuple(second)
        self.offset = offset

    def call(self, inputs):
        gray = ops.transpose(ops.dot(inputs, ops.convert_to_tensor(_LUMA, inputs.dtype)), (0, 2, 3, 1))
        width = ops.shape(gray)[2]
        first, second = (gray[..., begin:end] for begin, end in (self.first, self.second))
        return [first[:, :, self.offset :], second[:, :, : width - self.offset]]

    def _output_shape(self, input_shape):
        batch, _, height, width, _ = input_shape
        width = None if width is None else width - self.offset
        return [(batch, height, width, end - begin) for begin, end in (self.first, self.second)]
