"""Visual words: which center of k-means each descriptor is nearest to."""

import keras
from keras import ops

from tfssl.layers.layer import check_positive
from tfssl.local.vocabulary import VocabularyLayer, k_means, squared_distances


@keras.saving.register_keras_serializable(package="tfssl")
class VisualWords(VocabularyLayer):
    """The word of each descriptor, one-hot: ``argmin_k |d - c_k|``, the first of equals.

    Args:
        words: K, the size of the vocabulary, at least 1; words that no descriptor has are kept.

    Input: float (B, h, w, d). Output: float32 (B, h, w, K). Weights, which :meth:`adapt` sets: ``centers`` (K, d).

    Reference:
        J. Sivic, A. Zisserman: Video Google: A Text Retrieval Approach to Object Matching in Videos. ICCV 2003.
    """

    def __init__(self, words=128, **kwargs):
        super().__init__(**kwargs)
        check_positive(words=words)
        self.words = words

    @property
    def least(self):
        return self.words

    def build(self, input_shape):
        self._add_weights(centers=(self.words, input_shape[-1]))

    def call(self, inputs):
        self._check_adapted()
        nearest = ops.argmin(squared_distances(inputs, self._state["centers"]), axis=-1)
        return ops.one_hot(nearest, self.words, dtype=self.compute_dtype)

    def _learn(self, samples, seed):
        return {"centers": k_means(samples, self.words, seed)}

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], self.words)
