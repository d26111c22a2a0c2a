"""Losses of hypercolumn colorization at sparse locations: divergences of histograms, and the squared error of ab."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes
from tfssl.ops.hue_chroma import AB_DEVIATION


def divergence(histogram, scores):
    """Kullback-Leibler divergence ``sum_k y_k (log y_k - log softmax(s)_k)`` of (..., K) from logits: (...), nats."""
    check_shapes(histogram=(histogram, "... K"), scores=(scores, "... K"))
    y = ops.cast(histogram, "float32")
    entropy = ops.where(y > 0, y * ops.log(ops.maximum(y, 1e-30)), 0.0)
    return ops.sum(entropy - y * ops.log_softmax(ops.cast(scores, "float32"), axis=-1), axis=-1)


def gray_weight(gray):
    """``3 min(g, 1/3, 1 - g)`` of levels in [0, 1]: 1 in the middle, 0 at black and white, which have no chroma."""
    return 3.0 * ops.minimum(ops.minimum(gray, 1.0 - gray), 1.0 / 3.0)


@keras.saving.register_keras_serializable(package="tfssl")
class HueChromaDivergence(keras.losses.Loss):
    """``w KL(chroma) + 5 C KL(hue)``, averaged over all locations (paper, equation 3).

    C is the true chroma at the location: hue means nothing without. w is :func:`gray_weight`, which the released code
    has and the paper has not, or 1.

    Args:
        bins: K, of hue and of chroma.
        hue_weight: lambda_H (paper: 5, about one over the mean chroma).
        gray_weighting: whether chroma is weighted by the gray level.

    Call: ``y_true`` (B, N, 2 K + 2), histograms of hue and of chroma, then C and the gray level, both in [0, 1];
    ``y_pred`` logits (B, N, 2 K).
    """

    def __init__(self, bins=32, hue_weight=5.0, gray_weighting=True, name="hue_chroma_divergence", **kwargs):
        super().__init__(name=name, **kwargs)
        self.bins, self.hue_weight, self.gray_weighting = bins, hue_weight, gray_weighting

    def call(self, y_true, y_pred):
        k = self.bins
        check_shapes(y_true=(y_true, f"B N {2 * k + 2}"), y_pred=(y_pred, f"B N {2 * k}"))
        y_true = ops.cast(y_true, "float32")
        hue = divergence(y_true[..., :k], y_pred[..., :k])
        chroma = divergence(y_true[..., k : 2 * k], y_pred[..., k:])
        weight = gray_weight(y_true[..., 2 * k + 1]) if self.gray_weighting else 1.0
        return weight * chroma + self.hue_weight * y_true[..., 2 * k] * hue

    def get_config(self):
        own = {"bins": self.bins, "hue_weight": self.hue_weight, "gray_weighting": self.gray_weighting}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="tfssl")
class HistogramDivergence(keras.losses.Loss):
    """Sum of the divergences of one or several histograms, averaged over all locations (paper, equation 2).

    Args:
        groups: bins of each histogram: (32, 32) for a and b, (256,) for both together.

    Call: ``y_true`` histograms one behind the other, (B, N, sum of groups); ``y_pred`` logits of the same shape.
    """

    def __init__(self, groups=(32, 32), name="histogram_divergence", **kwargs):
        super().__init__(name=name, **kwargs)
        self.groups = tuple(groups)

    def call(self, y_true, y_pred):
        total = sum(self.groups)
        check_shapes(y_true=(y_true, f"B N {total}"), y_pred=(y_pred, f"B N {total}"))
        loss, first = 0.0, 0
        for bins in self.groups:
            loss = loss + divergence(y_true[..., first : first + bins], y_pred[..., first : first + bins])
            first += bins
        return loss

    def get_config(self):
        return super().get_config() | {"groups": list(self.groups)}


@keras.saving.register_keras_serializable(package="tfssl")
class AbRegression(keras.losses.Loss):
    """``|ab - ab'|^2`` in units of 25, averaged over all locations (paper, equation 1; it does not state its scale).

    Call: ``y_true`` and ``y_pred`` ab (B, N, 2), ab units.
    """

    def __init__(self, name="ab_regression", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B N 2"), y_pred=(y_pred, "B N 2"))
        difference = (ops.cast(y_pred, "float32") - ops.cast(y_true, "float32")) / AB_DEVIATION
        return ops.sum(ops.square(difference), axis=-1)
