"""The log loss of pairs, and how many are told."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class ContextCrossEntropy(keras.losses.Loss):
    """Log loss of the logit that a pair comes from one context: at its least the logit is PMI, plus the log odds of
    positives.

    Call: ``y_true`` (B, 1), 1 for one context; ``y_pred`` logits (B, 1).
    """

    def __init__(self, name="context_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B 1"), y_pred=(y_pred, "B 1"))
        return ops.mean(ops.softplus(y_pred) - ops.cast(y_true, y_pred.dtype) * y_pred, axis=-1)


@keras.saving.register_keras_serializable(package="tfssl")
class ContextAccuracy(keras.metrics.Mean):
    """Fraction of pairs whose logit has the right sign; called as :class:`ContextCrossEntropy`."""

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, "B 1"), y_pred=(y_pred, "B 1"))
        right = ops.equal(ops.cast(y_true, "float32") > 0.5, y_pred > 0)
        super().update_state(ops.cast(right, "float32"))
