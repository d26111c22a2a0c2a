"""Bilinear upsampling by an integer factor, for any input size."""

import keras
from keras import layers

from tfssl.ops.resize import upsample


@keras.saving.register_keras_serializable(package="tfssl")
class Upsample(layers.Layer):
    """``keras.layers.UpSampling2D(interpolation="bilinear")`` that also takes sizes known only inside a graph.

    Args:
        factor: output pixels per input pixel.

    Input: (B, H, W, C). Output: (B, H * factor, W * factor, C).

    Raises:
        ValueError: if factor is not a positive integer.
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"`factor` must be a positive integer. Received: factor={factor!r}")
        self.factor = factor

    def call(self, inputs):
        return upsample(inputs, self.factor)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, *(None if n is None else n * self.factor for n in (height, width)), channels)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
