"""Visual words: which center of k-means each descriptor is nearest to."""

import keras
from keras import ops

from tfssl.local.vocabulary import CentersLayer, squared_distances


@keras.saving.register_keras_serializable(package="tfssl")
class VisualWords(CentersLayer):
    """The word of each descriptor, one-hot: ``argmin_k |d - c_k|``, the first of equals.

    Args:
        words: K, the size of the vocabulary, at least 1; words that no descriptor has are kept.

    Input: float (B, h, w, d). Output: float32 (B, h, w, K). Weights, which :meth:`adapt` sets: ``centers`` (K, d).

    Reference:
        J. Sivic, A. Zisserman: Video Google: A Text Retrieval Approach to Object Matching in Videos. ICCV 2003.
    """

    def call(self, inputs):
        self._check_adapted()
        nearest = ops.argmin(squared_distances(inputs, self._state["centers"]), axis=-1)
        return ops.one_hot(nearest, self.words, dtype=self.compute_dtype)

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], self.words)
