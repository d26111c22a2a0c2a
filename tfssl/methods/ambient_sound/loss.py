"""The losses of ambient sound: one cluster of several, or a code of bits."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class CodeCrossEntropy(keras.losses.Loss):
    """Sum of the sigmoid cross-entropies of all bits, mean over the batch.

    Call: ``y_true`` bits (B, n), 0 or 1; ``y_pred`` logits (B, n).
    """

    def __init__(self, name="code_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        bits = ops.cast(y_true, y_pred.dtype)
        return ops.sum(ops.binary_crossentropy(bits, y_pred, from_logits=True), axis=-1)


@keras.saving.register_keras_serializable(package="tfssl")
class CodeAccuracy(keras.metrics.Mean):
    """Fraction of bits whose logit has their sign; called as :class:`CodeCrossEntropy`."""

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B n"))
        right = ops.equal(y_pred > 0, ops.cast(y_true, "bool"))
        super().update_state(ops.mean(ops.cast(right, "float32"), axis=-1), sample_weight)


def of_targets(targets):
    """Loss and metric of a value of the field ``targets``: Keras' own of clusters."""
    if targets == "clusters":
        return (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        )
    return CodeCrossEntropy(), CodeAccuracy()
