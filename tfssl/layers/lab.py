"""RGB to Lab, as a layer."""

import keras
from keras import layers

from tfssl.ops.color import rgb_to_lab


@keras.saving.register_keras_serializable(package="tfssl")
class Lab(layers.Layer):
    """CIE Lab of sRGB pictures. Input: (B, H, W, 3) in [0, 1]. Output: (B, H, W, 3), L in [0, 100], a and b."""

    def call(self, inputs):
        return rgb_to_lab(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape
