"""Loss and accuracy of context prediction, over the pairs that there are."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes
from tfssl.ops.patches import NO_PAIR

NEIGHBORS = 8
"""Positions that a second patch can have around the first."""

_REDUCTIONS = {"sum": "sum", "mean": "sum_over_batch_size"}


@keras.saving.register_keras_serializable(package="tfssl", name="NeighbourCrossEntropy")  # as in finished runs
class NeighborCrossEntropy(keras.losses.Loss):
    """``-log softmax(s)[label]`` over the pairs of a batch; rows with label -1 do not count.

    Args:
        pairs: ``"sum"`` over all pairs of the batch, as the released code, whose learning rate is that small because of
            it; ``"mean"`` over the pairs of each image, then over images. An image without pairs counts as zero.

    Call: ``y_true`` int labels (B, Q) in [-1, 7], ``y_pred`` logits (B, Q, 8).
    """

    def __init__(self, pairs="mean", name="neighbor_cross_entropy", reduction=None, **kwargs):
        if pairs not in ("sum", "mean"):
            raise ValueError(f"`pairs` must be 'sum' or 'mean'. Received: pairs={pairs!r}")
        # Sums over images and means over images are what Keras shares out among devices correctly.
        super().__init__(name=name, reduction=reduction or _REDUCTIONS[pairs], **kwargs)
        self.pairs = pairs

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B Q"), y_pred=(y_pred, f"B Q {NEIGHBORS}"))
        labels, valid = split_labels(y_true)
        losses = ops.sparse_categorical_crossentropy(labels, ops.cast(y_pred, "float32"), from_logits=True)
        total = ops.sum(losses * valid, axis=-1)  # (B,)
        return total if self.pairs == "sum" else total / ops.maximum(ops.sum(valid, axis=-1), 1.0)

    def get_config(self):
        return {**super().get_config(), "pairs": self.pairs}


@keras.saving.register_keras_serializable(package="tfssl", name="NeighbourAccuracy")  # as in finished runs
class NeighborAccuracy(keras.metrics.Mean):
    """Fraction of pairs whose largest logit is that of their label; called as :class:`NeighborCrossEntropy`."""

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, "B Q"), y_pred=(y_pred, f"B Q {NEIGHBORS}"))
        labels, valid = split_labels(y_true)
        right = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), labels), "float32")
        super().update_state(right, sample_weight=valid)


def split_labels(y_true):
    """Labels with 0 in place of -1, int32 (B, Q), and 1.0 where there is a pair, float32 (B, Q)."""
    check_shapes(y_true=(y_true, "B Q"))
    labels = ops.cast(y_true, "int32")
    valid = ops.cast(ops.not_equal(labels, NO_PAIR), "float32")
    return ops.maximum(labels, 0), valid
