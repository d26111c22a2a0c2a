"""Color conversions and whitening."""

import keras
from keras import ops

from tfssl.layers.layer import Layer
from tfssl.ops.color import lightness_to_level, rgb_to_lab, rgb_to_lightness
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
class GrayLevel(Layer):
    """sRGB level of gray images: (B, H, W, 1), L in [0, 100] -> (B, H, W, 1) in [0, 1]."""

    takes = (("inputs", "B H W 1"),)

    def call(self, inputs):
        return lightness_to_level(inputs)


@keras.saving.register_keras_serializable(package="tfssl")
class StretchLightness(Layer):
    """Stretch the lightness of each image to the whole range: faded and dark photographs look like well exposed ones.

    The darkest and the lightest of the means over 4x4 pixels, in the middle 80 % of rows and columns, go to 0 and 100:
    grain, borders and small stamps hardly move them. What lies beyond is clipped.

    Args:
        least: the range is taken to be at least this large (L units), so that flat images are not blown up to noise.

    Input: float (B, H, W, 1), L in [0, 100], at least 4x4 pixels. Output: the same shape.
    """

    takes = (("inputs", "B H W 1"),)

    def __init__(self, least=25.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 < least <= 100:
            raise ValueError(f"`least` must lie in (0, 100]. Received: least={least!r}")
        self.least = least

    def call(self, inputs):
        means = ops.average_pool(inputs, 4, 4, padding="valid")
        rows, columns = (ops.shape(means)[axis] // 10 for axis in (1, 2))
        middle = means[:, rows : ops.shape(means)[1] - rows, columns : ops.shape(means)[2] - columns]
        low, high = (f(middle, axis=(1, 2, 3), keepdims=True) for f in (ops.min, ops.max))
        center, span = (low + high) / 2, ops.maximum(high - low, self.least)
        # An image of one tone stays where it is: dark ones dark, light ones light.
        low = ops.clip(center - span / 2, 0, 100 - span)
        return ops.clip((inputs - low) * (100 / span), 0, 100)


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
