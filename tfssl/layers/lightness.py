"""RGB to lightness, as a layer."""

import keras
from keras import layers

from tfssl.ops.color import rgb_to_lightness


@keras.saving.register_keras_serializable(package="tfssl")
class Lightness(layers.Layer):
    """CIE lightness of sRGB pictures. Input: (B, H, W, 3) in [0, 1]. Output: (B, H, W, 1), L in [0, 100]."""

    def call(self, inputs):
        return rgb_to_lightness(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)
