"""The loss of odometry: cross-entropy with classes of a number."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class ClassCrossEntropy(keras.losses.Loss):
    """Cross-entropy between probabilities of classes and the class, or the two classes, that a number belongs to.

    Call: ``y_true`` (B,), numbers; ``y_pred`` (B, bins), probabilities.

    Args:
        edges: borders of the classes, bins + 1 rising numbers; what lies beyond them belongs to the ends.
        soft: a number between the centers of two classes belongs to both, in inverse proportion to its distances: then
            the mean of the centers is the number. Otherwise it belongs to the class that it lies in.
    """

    def __init__(self, edges, soft=True, name="class_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.edges = [float(edge) for edge in edges]
        self.soft = soft

    def call(self, y_true, y_pred):
        bins = len(self.edges) - 1
        check_shapes(y_true=(y_true, "B"), y_pred=(y_pred, f"B {bins}"))
        weights = class_weights(ops.cast(y_true, y_pred.dtype), self.edges, self.soft)
        return -ops.sum(weights * ops.log(ops.maximum(y_pred, 1e-7)), axis=-1)

    def get_config(self):
        return {**super().get_config(), "edges": self.edges, "soft": self.soft}


def class_weights(values, edges, soft=True):
    """How much each class counts for numbers (B,), see :class:`ClassCrossEntropy`: (B, bins), rows that sum to 1."""
    check_shapes(values=(values, "B"))
    borders = ops.convert_to_tensor(edges, values.dtype)
    bins = len(edges) - 1
    if not soft:
        number = ops.sum(ops.cast(ops.expand_dims(values, 1) >= borders[1:-1], "int32"), axis=1)
        return ops.one_hot(number, bins, dtype=values.dtype)
    centers = (borders[1:] + borders[:-1]) / 2
    values = ops.expand_dims(ops.clip(values, centers[0], centers[-1]), 1)
    gaps = centers[1:] - centers[:-1]
    end = ops.convert_to_tensor([1.0], values.dtype)  # beyond the ends lies nothing any more
    below, above = ops.concatenate([end, gaps], axis=0), ops.concatenate([gaps, end], axis=0)
    return ops.maximum(1 - ops.where(values < centers, (centers - values) / below, (values - centers) / above), 0)
