"""The contrastive loss of pairs and triples, and how many far ones still count in it."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class TupleContrastive(keras.losses.Loss):
    """Mean of ``D = p d + (1 - p) max(delta - d, 0)`` over the tuples of a batch (section 3 of the paper).

    With d the squared distance this is the older form of Caffe's contrastive loss, which is linear in d.

    Args:
        delta: distance from which on a far tuple costs nothing.
        contrast: whether far tuples cost anything.

    Call: ``y_true`` p, 1 for near and 0 for far (B, n); ``y_pred`` the distances d (B, n).
    """

    def __init__(self, delta=1.0, contrast=True, name="tuple_contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.delta, self.contrast = delta, contrast

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        near = ops.cast(y_true, y_pred.dtype)
        cost = near * y_pred
        if self.contrast:
            cost = cost + (1.0 - near) * ops.relu(self.delta - y_pred)
        return ops.mean(cost, axis=-1)

    def get_config(self):
        return {**super().get_config(), "delta": self.delta, "contrast": self.contrast}


@keras.saving.register_keras_serializable(package="tfssl")
class ActiveFraction(keras.metrics.Mean):
    """Fraction of far tuples whose distance is below ``delta``; called as :class:`TupleContrastive`."""

    def __init__(self, delta=1.0, name="active", **kwargs):
        super().__init__(name=name, **kwargs)
        self.delta = delta

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        far = 1.0 - ops.cast(y_true, "float32")
        super().update_state(ops.cast(y_pred < self.delta, "float32"), sample_weight=far)

    def get_config(self):
        return {**super().get_config(), "delta": self.delta}
