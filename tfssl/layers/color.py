"""Color conversions and whitening."""

import keras
from keras import ops

from tfssl.layers.layer import Layer
from tfssl.ops.color import rgb_to_lab, rgb_to_lightness
from tfssl.ops.whitening import MARGIN, check_room, whitening_kernel


@keras.saving.register_keras_serializable(package="tfssl")
class Lab(Layer):
    """CIE Lab of sRGB images: (B, H, W, 3) in [0, 1] -> (B, H, W, 3), L in [0, 100], a and b."""

    takes = (("inputs", "B H W 3"),)

    def call(self, inputs):
        return rgb_to_lab(inputs)


@keras.saving.register_keras_serializable(package="tfssl")
class Lightness(Layer):
    """CIE lightness of sRGB images: (B, H, W, 3) in [0, 1] -> (B, H, W, 1), L in [0, 100]."""

    takes = (("inputs", "B H W 3"),)

    def call(self, inputs):
        return rgb_to_lightness(inputs)

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="tfssl")
class Whitening(Layer):
    """:func:`tfssl.ops.whitening.whiten` as a layer: (B, H, W, 1) -> (B, H - 8, W - 8, 1). Without weights."""

    takes = (("inputs", "B H W 1"),)

    def call(self, inputs):
        check_room(inputs.shape)
        kernel = ops.cast(whitening_kernel()[..., None, None], inputs.dtype)
        return ops.conv(inputs, kernel, padding="valid")

    def _output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, *(None if n is None else n - 2 * MARGIN for n in (height, width)), channels
