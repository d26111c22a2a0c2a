"""Vectors of locally aggregated descriptors (VLAD)."""

import keras
from keras import ops

from tfssl.local.pooling import unit_length
from tfssl.local.vocabulary import CentersLayer, flat, squared_distances


@keras.saving.register_keras_serializable(package="tfssl")
class Vlad(CentersLayer):
    """Sums of what descriptors differ by from their nearest center, each sum scaled to length 1.

    ``v_k = sum over the descriptors d of word k of (d - c_k)``; ``v_k / |v_k|``, one behind the other.

    Args:
        words: K, the number of centers, at least 1.

    Input: float (B, h, w, d). Output: (B, K d). Weights, which :meth:`adapt` sets: ``centers`` (K, d).

    Reference:
        H. Jegou et al.: Aggregating Local Image Descriptors into Compact Codes. TPAMI 2012; R. Arandjelovic,
        A. Zisserman: All about VLAD. CVPR 2013 (lengths of the parts).
    """

    def __init__(self, words=64, **kwargs):
        super().__init__(words, **kwargs)

    def call(self, inputs):
        self._check_adapted()
        descriptors, centers = flat(inputs), self._state["centers"]
        nearest = ops.argmin(squared_distances(descriptors, centers), axis=-1)
        # Differences one by one: those of sums would leave rounding where there is nothing, which is then scaled to 1.
        apart = descriptors - ops.take(centers, nearest, axis=0)
        one_hot = ops.one_hot(nearest, self.words, dtype=self.compute_dtype)
        sums = unit_length(ops.matmul(ops.transpose(one_hot, (0, 2, 1)), apart))
        return ops.reshape(sums, (-1, self.words * inputs.shape[-1]))

    def _output_shape(self, input_shape):
        return (input_shape[0], self.words * input_shape[-1])
