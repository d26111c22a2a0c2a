"""The losses over a bag of words: multi-class, the same over a few words of each image, and one-versus-all."""

import keras
from keras import ops

from tfssl.ops.arguments import check_shapes

_NEVER = -1e9  # a score whose exponential is 0


@keras.saving.register_keras_serializable(package="tfssl")
class WordCrossEntropy(keras.losses.Loss):
    """``-sum_k y_k log softmax(s)_k`` over all words (equation of the multi-class loss), mean over the batch.

    The words of an image add up: the gradient on the scores is ``m softmax(s) - y`` for m words.

    Call: ``y_true`` int (B, P), the words of each image, -1 where there are no more; ``y_pred`` scores (B, K).
    """

    def __init__(self, name="word_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B P"), y_pred=(y_pred, "B K"))
        present, scores = _of_words(y_true, y_pred)
        return ops.sum(present, axis=1) * ops.logsumexp(y_pred, axis=1) - ops.sum(present * scores, axis=1)


@keras.saving.register_keras_serializable(package="tfssl")
class SampledCrossEntropy(keras.losses.Loss):
    """:class:`WordCrossEntropy` with the softmax over the few words C of each image that were scored.

    It never exceeds the loss over all words, of which C is a subset, and is that loss where C holds all.

    Call: ``y_true`` (B, T): 1 for words to tell, 0 for others, -1 for what is no word; ``y_pred`` their scores (B, T).
    """

    def __init__(self, name="sampled_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B T"), y_pred=(y_pred, "B T"))
        marks = ops.cast(y_true, y_pred.dtype)
        told = ops.cast(marks > 0, y_pred.dtype)
        total = ops.logsumexp(ops.where(marks < 0, _NEVER, y_pred), axis=1)
        return ops.sum(told, axis=1) * total - ops.sum(told * y_pred, axis=1)


@keras.saving.register_keras_serializable(package="tfssl")
class OneVersusAll(keras.losses.Loss):
    """A logistic loss a word, in which the images with it weigh as much as those without it.

    ``N sum_k [y_k / N_k softplus(-s_k) + (1 - y_k) / (N - N_k) softplus(s_k)]``: the mean over images is the sum that
    the paper maximizes, with its sign changed.

    Args:
        counts: N_k, images with each word, above 0.
        images: N, how many there are.

    Call: as :class:`WordCrossEntropy`.
    """

    def __init__(self, counts, images, name="one_versus_all", **kwargs):
        super().__init__(name=name, **kwargs)
        self.counts, self.images = tuple(map(int, counts)), int(images)

    def call(self, y_true, y_pred):
        check_shapes(y_true=(y_true, "B P"), y_pred=(y_pred, f"B {len(self.counts)}"))
        with_it = ops.convert_to_tensor(self.counts, dtype=y_pred.dtype)
        # A word of every image has no negatives in training, so its second weight is never used there.
        without = 1.0 / ops.maximum(self.images - with_it, 1.0)
        present, scores = _of_words(y_true, y_pred)
        _, positive = _of_words(y_true, ops.broadcast_to(1.0 / with_it, ops.shape(y_pred)))
        _, negative = _of_words(y_true, ops.broadcast_to(without, ops.shape(y_pred)))
        corrected = present * (positive * ops.softplus(-scores) - negative * ops.softplus(scores))
        return self.images * (ops.sum(without * ops.softplus(y_pred), axis=1) + ops.sum(corrected, axis=1))

    def get_config(self):
        return {**super().get_config(), "counts": self.counts, "images": self.images}


def _of_words(words, values):
    """Whether there is a word at each place, 1 or 0, and its value, both (B, P); of padding any value."""
    words = ops.cast(words, "int32")
    return ops.cast(words >= 0, values.dtype), ops.take_along_axis(values, ops.maximum(words, 0), axis=1)
