"""How far the frames of a decoder are from the true ones."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class FrameCrossEntropy(keras.losses.Loss):
    """``-y log s(z) - (1 - y) log(1 - s(z))``, s the sigmoid; summed over pixels, mean over frames and the batch.

    4096 ln 2 = 2839.13 for the answer 0.5 and frames of 64 x 64 pixels.

    Call: ``y_true`` y in [0, 1] and ``y_pred`` logits z, float (B, T, H, W, C).
    """

    def __init__(self, name="frame_cross_entropy", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        return _per_clip(y_true, y_pred, lambda y, z: ops.binary_crossentropy(y, z, from_logits=True))


@keras.saving.register_keras_serializable(package="tfssl")
class FrameSquaredError(keras.losses.Loss):
    """``0.5 (y - z)^2``, summed over pixels, mean over frames and the batch.

    Call: ``y_true`` y and ``y_pred`` z, float (B, T, H, W, C).
    """

    def __init__(self, name="frame_squared_error", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        return _per_clip(y_true, y_pred, lambda y, z: 0.5 * ops.square(y - z))


LOSSES = {"cross_entropy": FrameCrossEntropy, "squared_error": FrameSquaredError}
"""Field ``loss`` -> class."""


def _per_clip(y_true, y_pred, of_pixels):
    check_shapes(y_true=(y_true, "B T H W C"), y_pred=(y_pred, "B T H W C"))
    pixels = of_pixels(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))
    return ops.mean(ops.sum(pixels, axis=(2, 3, 4)), axis=1)
