"""The losses of ego-motion and of slowness, and the accuracy of the former."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class MotionCrossEntropy(keras.losses.Loss):
    """Sum over the components of a motion of ``-log softmax(s)[class]``, mean over the batch.

    Args:
        heads: number of classes of each component.

    Call: ``y_true`` int classes (B, components), ``y_pred`` the logits of all components behind each other (B, n).
    """

    def __init__(self, heads, name="motion_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.heads = tuple(heads)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, f"B {len(self.heads)}"), y_pred=(y_pred, f"B {sum(self.heads)}"))
        parts = zip(ops.unstack(ops.cast(y_true, "int32"), axis=1), _split(y_pred, self.heads), strict=True)
        return sum(ops.sparse_categorical_crossentropy(y, s, from_logits=True) for y, s in parts)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="tfssl")
class MotionAccuracy(keras.metrics.Mean):
    """Fraction of components whose largest logit is that of their class; called as :class:`MotionCrossEntropy`."""

    def __init__(self, heads, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.heads = tuple(heads)

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, f"B {len(self.heads)}"), y_pred=(y_pred, f"B {sum(self.heads)}"))
        guesses = ops.stack([ops.argmax(part, axis=-1) for part in _split(y_pred, self.heads)], axis=1)
        super().update_state(ops.cast(ops.equal(guesses, ops.cast(y_true, guesses.dtype)), "float32"))

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="tfssl")
class Contrastive(keras.losses.Loss):
    """``d^2`` of near pairs and ``max(0, margin - d)^2`` of far ones, mean over the batch.

    Args:
        margin: distance from which on a far pair is far enough.

    Call: ``y_true`` (B, 1), 1 for near and 0 for far; ``y_pred`` the distances d (B, 1).

    Reference:
        R. Hadsell, S. Chopra, Y. LeCun: Dimensionality reduction by learning an invariant mapping. CVPR 2006.
    """

    def __init__(self, margin=1.0, name="contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B 1"), y_pred=(y_pred, "B 1"))
        near = ops.cast(y_true, y_pred.dtype)
        missing = ops.maximum(self.margin - y_pred, 0.0)
        return ops.sum(near * ops.square(y_pred) + (1.0 - near) * ops.square(missing), axis=-1)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


def _split(logits, heads):
    """The logits of each component, (B, n) -> list of (B, classes)."""
    ends = [sum(heads[: number + 1]) for number in range(len(heads) - 1)]
    return ops.split(logits, ends, axis=-1)
