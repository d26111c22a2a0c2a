"""Features that k-means learns from whitened patches of the image itself."""

import keras
import numpy as np
from keras import ops

from tfssl.layers.layer import check_positive
from tfssl.layers.whitening import PatchWhitening
from tfssl.local.vocabulary import CentersLayer, VocabularyLayer, squared_distances
from tfssl.ops.patch_whitening import pca_whitening, standardize_patches


@keras.saving.register_keras_serializable(package="tfssl")
class WhitenedPatches(VocabularyLayer):
    """Every patch of an image without its mean, divided by its contrast and whitened by PCA.

    Args:
        size: of the square patches in pixels.
        components: numbers that describe a patch (a patch of 6x6 pixels has 107 without its mean).
        stride: distance of the patches in pixels.

    Input: float (B, H, W, 3) in [0, 1]. Output: (B, h, w, components).
    """

    takes = (("inputs", "B H W 3"),)

    def __init__(self, size=6, components=64, stride=2, **kwargs):
        super().__init__(**kwargs)
        check_positive(size=size, components=components, stride=stride)
        self.size = size
        self.components = components
        self.stride = stride
        self._whiten = PatchWhitening(size, components, stride, name="whiten")

    @property
    def least(self):
        return self.components + 1

    def build(self, input_shape):
        self._whiten.build(input_shape)
        self._add_weights()

    def call(self, inputs):
        self._check_adapted()
        return self._whiten(inputs)

    def samples(self, inputs):
        """Patches, (B, H, W, 3) -> (N, size * size * 3), without their means and of contrast 1."""
        windows = np.lib.stride_tricks.sliding_window_view(inputs, (self.size, self.size), axis=(1, 2))
        patches = np.moveaxis(windows[:, :: self.stride, :: self.stride], 3, -1)  # (B, h, w, size, size, 3)
        return standardize_patches(patches.reshape(-1, self.size**2 * inputs.shape[-1]))

    def _learn(self, samples, seed):
        mean, matrix, _ = pca_whitening(samples, 1.0)
        matrix = matrix[:, : self.components]
        # Patches of gray images vary in fewer directions: the others stay zero.
        missing = self.components - matrix.shape[1]
        self._whiten.adapt_to(mean, np.pad(matrix, ((0, 0), (0, missing))))
        return {}

    def _output_shape(self, input_shape):
        return self._whiten.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable(package="tfssl")
class TriangleCode(CentersLayer):
    """How much nearer each center is than they are on average: ``f_k = max(0, mean_j z_j - z_k)``, ``z_k = |x - c_k|``.

    Args:
        words: K, the number of centers, at least 1.

    Input: float (B, h, w, d). Output: (B, h, w, K). Weights, which :meth:`adapt` sets: ``centers`` (K, d).

    Reference:
        A. Coates, H. Lee, A. Ng: An Analysis of Single-Layer Networks in Unsupervised Feature Learning. AISTATS 2011,
        equation 2.
    """

    def call(self, inputs):
        self._check_adapted()
        far = ops.sqrt(squared_distances(inputs, self._state["centers"]))
        return ops.relu(ops.mean(far, axis=-1, keepdims=True) - far)

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], self.words)
