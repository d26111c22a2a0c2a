"""The triplet loss with the negatives of the released code, and how many triplets are right."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class TripletLoss(keras.losses.Loss):
    """``max(0, D(x, x+) - D(x, x-) + margin)`` of each pair with negatives of the batch, both ways.

    Candidates for negatives of a pair are the crops of other clips that violate the margin with its first crop as the
    anchor. Are there no more than N, all are taken. Else some of the nearest N are drawn, and the rest from all others.
    Each one that was drawn counts with either crop of the pair as anchor. The sum is divided by 2 N, also where fewer
    were there. Embeddings come normalized, so that D(a, b) = 1 - a b; equal ones have a loss of ``margin``.

    Args:
        margin: of the paper 0.5, of the released file 1.
        negatives: N.
        hard_fraction: of N, the fraction that is drawn from the nearest N.

    Call: ``y_true`` (B, 1 + 2 L): the number of the clip, then lots in [0, 1), by which negatives are drawn, L for each
    of the two draws: number j stands for crop j of the batch, and for crop j + L. ``y_pred`` (B, 2, D): embeddings.

    Reference:
        github.com/xiaolonw/caffe-video_triplet, rank_hard_loss_layer.cpp.
    """

    def __init__(self, margin=0.5, negatives=4, hard_fraction=0.5, name="triplet_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin, self.negatives, self.hard_fraction = margin, negatives, hard_fraction

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B 2 D"))
        first, second = distances(y_pred)
        together = ops.expand_dims(ops.sum(y_pred[:, 0] * y_pred[:, 1], axis=-1), 1)
        hinges = [ops.maximum(1.0 - together - to_all + self.margin, 0.0) for to_all in (first, second)]
        candidates = ops.logical_and(others(y_true), hinges[0] > 0)
        chosen = choose(candidates, first, y_true[:, 1:], self.negatives, self.hard_fraction)
        chosen = ops.cast(ops.stop_gradient(chosen), y_pred.dtype)
        return ops.sum(chosen * (hinges[0] + hinges[1]), axis=1) / (2.0 * self.negatives)

    def get_config(self):
        own = {"margin": self.margin, "negatives": self.negatives, "hard_fraction": self.hard_fraction}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="tfssl")
class TripletAccuracy(keras.metrics.Mean):
    """Fraction of all triplets of a batch with D(x, x+) < D(x, x-); called as :class:`TripletLoss`."""

    def __init__(self, name="triplets", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        check_shapes(y_true=(y_true, "B n"), y_pred=(y_pred, "B 2 D"))
        together = ops.expand_dims(1.0 - ops.sum(y_pred[:, 0] * y_pred[:, 1], axis=-1), 1)
        counts = ops.cast(others(y_true), "float32")
        right = ops.concatenate([ops.cast(together < to_all, "float32") for to_all in distances(y_pred)], axis=1)
        super().update_state(right, sample_weight=ops.concatenate([counts, counts], axis=1))


def distances(embeddings):
    """D of the first and of the second crop of each pair to all crops, first crops before second: (B, 2 B) twice.

    Args:
        embeddings: (B, 2, D), normalized.
    """
    check_shapes(embeddings=(embeddings, "B 2 D"))
    first, second = ops.unstack(embeddings, 2, axis=1)
    everything = ops.transpose(ops.concatenate([first, second], axis=0))
    return 1.0 - ops.matmul(first, everything), 1.0 - ops.matmul(second, everything)


def others(targets):
    """Which crops are of another clip than a pair, bool (B, 2 B); targets as of :class:`TripletLoss`."""
    check_shapes(targets=(targets, "B n"))
    clips = targets[:, 0]
    return ops.not_equal(ops.expand_dims(clips, 1), ops.expand_dims(ops.concatenate([clips, clips], axis=0), 0))


def choose(candidates, distance, lots, count, hard_fraction):
    """The negatives of each anchor, bool (B, M); none of them is no candidate, and none comes twice.

    Args:
        candidates: bool (B, M).
        distance: (B, M), from the anchor.
        lots: (B, 2 L), uniform in [0, 1).
        count: N, at most; all candidates where there are no more.
        hard_fraction: of N, the fraction drawn from the N nearest; the others are drawn from all that are left.
    """
    check_shapes(candidates=(candidates, "B M"), distance=(distance, "B M"), lots=(lots, "B n"))
    hard = round(count * hard_fraction)
    crops = ops.shape(distance)[1]
    half = lots.shape[1] // 2
    # A crop beyond the number of lots has that of another one.
    places = ops.arange(crops) % half
    first, second = (ops.take(lots[:, part], places, axis=1) for part in (slice(None, half), slice(half, None)))
    nearest = ops.logical_and(candidates, _rank(distance, candidates) < count)
    chosen = ops.logical_and(nearest, _rank(first, nearest) < hard)
    left = ops.logical_and(candidates, ops.logical_not(chosen))
    chosen = ops.logical_or(chosen, ops.logical_and(left, _rank(second, left) < count - hard))
    few = ops.sum(ops.cast(candidates, "int32"), axis=1, keepdims=True) <= count
    return ops.logical_or(chosen, ops.logical_and(few, candidates))


def _rank(values, among):
    """How many smaller values stand in the same row, among those that count; of others more than all of them."""
    return ops.argsort(ops.argsort(ops.where(among, values, 1e9), axis=1), axis=1)
