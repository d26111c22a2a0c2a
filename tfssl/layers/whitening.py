"""Whitening of natural images, as a layer."""

import keras
from keras import layers, ops

from tfssl.ops.whitening import MARGIN, whitening_kernel


@keras.saving.register_keras_serializable(package="tfssl")
class Whitening(layers.Layer):
    """:func:`tfssl.ops.whitening.whiten` as a layer: (B, H, W, 1) -> (B, H - 8, W - 8, 1). Without weights."""

    def call(self, inputs):
        kernel = ops.cast(whitening_kernel()[..., None, None], inputs.dtype)
        return ops.conv(inputs, kernel, padding="valid")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, *(None if side is None else side - 2 * MARGIN for side in (height, width)), channels
