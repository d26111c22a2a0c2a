"""The loss of the synchrony autoencoder."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class SumOfSquares(keras.losses.Loss):
    """``|x - x^|^2 + |y - y^|^2``: squared errors summed over the components of both sides, mean over the batch.

    Call: ``y_true`` and ``y_pred``, (B, n): both sides behind each other.
    """

    def __init__(self, name="sum_of_squares", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        return ops.sum(ops.square(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)
