"""Losses of colorization: class-rebalanced cross-entropy over soft-encoded colors, and L2 regression.

Both take the true ab colors themselves, (B, h, w, 2), and encode them on the device: the host never holds the
dense (h, w, 313) target, which would be 150 times as large.
"""

import keras
import numpy as np
from keras import ops

from tfssl.ops.ab_bins import GRAY_THRESHOLD, NUM_BINS, SIGMA, soft_encode
from tfssl.ops.arguments import check_shapes


def colored_mask(ab, threshold=GRAY_THRESHOLD):
    """1 for images of ab (B, h, w, 2) with color, 0 for those that nowhere exceed ``threshold``; float32 (B, 1, 1)."""
    check_shapes(ab=(ab, "B h w 2"))
    largest = ops.max(ops.abs(ab), axis=(1, 2, 3), keepdims=True)
    return ops.cast(largest[..., 0] > threshold, "float32")


@keras.saving.register_keras_serializable(package="tfssl")
class ColorCrossEntropy(keras.losses.Loss):
    """Soft-target cross-entropy over the 313 bins, each pixel weighted by the rarity of its nearest bin.

    ``-v(Z) * sum_q Z_q log softmax(s)_q`` averaged over pixels and images (paper, equations 2 and 3). Gray
    images count as zeros. The released code multiplies gradients by v and reports the unweighted loss; a
    weighted loss has the same gradients.

    Args:
        class_weights: 313 weights w, or None for weight 1 everywhere (no rebalancing).
        neighbors: k of the soft encoding (code: 10, paper: 5).
        sigma: its width in ab units (paper: 5).
        lookup: how the encoding is looked up, see :func:`tfssl.ops.ab_bins.soft_encode`.

    Call: ``y_true`` ab (B, h, w, 2) in ab units, ``y_pred`` logits (B, h, w, 313).
    """

    def __init__(
        self, class_weights=None, neighbors=10, sigma=SIGMA, lookup="exact", name="color_cross_entropy", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        if class_weights is not None:
            class_weights = np.asarray(class_weights, dtype=np.float32)
            if class_weights.shape != (NUM_BINS,) or not (np.isfinite(class_weights) & (class_weights > 0)).all():
                raise ValueError(
                    f"`class_weights` must be {NUM_BINS} positive finite numbers. Received: shape={class_weights.shape}"
                )
        self.class_weights = class_weights
        self.neighbors = neighbors
        self.sigma = sigma
        self.lookup = lookup

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B h w 2"), y_pred=(y_pred, f"B h w {NUM_BINS}"))
        scores = ops.cast(y_pred, "float32")
        indices, weights = soft_encode(y_true, self.neighbors, self.sigma, self.lookup)
        # -sum_q Z_q log softmax(s)_q with sum Z = 1. Taking only the k scores would have a slow gradient.
        loss = ops.logsumexp(scores, axis=-1) - ops.sum(_dense(indices, weights) * scores, axis=-1)
        if self.class_weights is not None:
            loss = loss * ops.take(ops.convert_to_tensor(self.class_weights), indices[..., 0], axis=0)
        return loss * colored_mask(y_true)

    def get_config(self):
        weights = None if self.class_weights is None else self.class_weights.tolist()
        own = {"class_weights": weights, "neighbors": self.neighbors, "sigma": self.sigma, "lookup": self.lookup}
        return super().get_config() | own


def _dense(indices, weights):
    """Weights (B, h, w, k) of bins ``indices`` as (B, h, w, 313), zero elsewhere."""
    shape = ops.shape(indices)
    cells = shape[0] * shape[1] * shape[2]
    flat = ops.reshape(indices, (-1, shape[3])) + NUM_BINS * ops.expand_dims(ops.arange(cells, dtype="int32"), 1)
    dense = ops.scatter(ops.reshape(flat, (-1, 1)), ops.reshape(weights, (-1,)), (cells * NUM_BINS,))
    return ops.reshape(dense, (*shape[:3], NUM_BINS))


@keras.saving.register_keras_serializable(package="tfssl")
class ColorRegression(keras.losses.Loss):
    """The L2 baseline (paper, equation 1): mean of ``1/2 |ab - ab'|^2`` in units of (ab / 110)^2, gray images zero.

    Call: ``y_true`` and ``y_pred`` ab (B, h, w, 2), ab units.
    """

    def __init__(self, name="color_regression", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B h w 2"), y_pred=(y_pred, "B h w 2"))
        difference = (ops.cast(y_pred, "float32") - ops.cast(y_true, "float32")) / 110.0
        return 0.5 * ops.sum(ops.square(difference), axis=-1) * colored_mask(y_true)
