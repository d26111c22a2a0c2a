"""Whitening of natural pictures, as a layer."""

import keras
from keras import layers

from tfssl.ops.whitening import MARGIN, whiten


@keras.saving.register_keras_serializable(package="tfssl")
class Whitening(layers.Layer):
    """:func:`tfssl.ops.whitening.whiten`: (B, H, W, 1) -> (B, H - 8, W - 8, 1). Without weights."""

    def call(self, inputs):
        return whiten(inputs)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, *(None if side is None else side - 2 * MARGIN for side in (height, width)), channels
