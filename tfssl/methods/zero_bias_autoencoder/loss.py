"""How far a reconstruction is from its patch."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class HalfSquaredError(keras.losses.Loss):
    """``0.5 |x - y|^2``, summed over the components of a patch, averaged over the batch.

    Call: ``y_true`` x and ``y_pred`` y, float (B, n).
    """

    def __init__(self, name="half_squared_error", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        return 0.5 * ops.sum(ops.square(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")), axis=-1)
