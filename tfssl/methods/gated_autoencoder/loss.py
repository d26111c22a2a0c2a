"""How far both reconstructions are from the pair."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class PairReconstruction(keras.losses.Loss):
    """``0.5 |x - x^|^2 + 0.5 |y - y^|^2``, summed over the components of a pair, averaged over the batch.

    Call: ``y_true`` the pair and ``y_pred`` its reconstructions, float (B, 2, D).
    """

    def __init__(self, name="pair_reconstruction", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B 2 D"), y_pred=(y_pred, "B 2 D"))
        return 0.5 * ops.sum(ops.square(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")), axis=(1, 2))
