"""Fisher vectors: how an image's descriptors would move a mixture of Gaussians."""

import keras
import numpy as np
from keras import ops

from tfssl.layers.layer import check_positive
from tfssl.local.vocabulary import VocabularyLayer, flat


@keras.saving.register_keras_serializable(package="tfssl")
class FisherVector(VocabularyLayer):
    """Gradients of the log-likelihood by means and deviations of a diagonal mixture, after a PCA of the descriptors.

    With posteriors g, weights w, means mu and deviations s: ``u_k = sum_m g_mk (x_m - mu_k) / s_k / (M sqrt(w_k))`` and
    ``v_k = sum_m g_mk (((x_m - mu_k) / s_k)^2 - 1) / (M sqrt(2 w_k))``: all u_k, then all v_k.

    Args:
        components: K of the mixture, at least 1.
        dimensions: D, numbers of a descriptor after PCA, at least 1 and at most as many as it has.

    Input: float (B, h, w, d). Output: (B, 2 K D). Weights, which :meth:`adapt` sets: ``mean`` (d,), ``directions``
    (d, D), ``log_weights`` (K,), ``means`` (K, D), ``deviations`` (K, D).

    Reference:
        J. Sanchez et al.: Image Classification with the Fisher Vector: Theory and Practice. IJCV 2013.
    """

    def __init__(self, components=64, dimensions=64, **kwargs):
        super().__init__(**kwargs)
        check_positive(components=components, dimensions=dimensions)
        self.components = components
        self.dimensions = dimensions

    @property
    def least(self):
        return max(self.components, self.dimensions) + 1

    def build(self, input_shape):
        each = (self.components, self.dimensions)
        length = input_shape[-1]
        matrix = {"mean": (length,), "directions": (length, self.dimensions)}
        self._add_weights(**matrix, log_weights=(self.components,), means=each, deviations=each)

    def call(self, inputs):
        self._check_adapted()
        mean, directions, log_weights, means, deviations = self._state.values()
        x = ops.matmul(flat(inputs) - mean, directions)  # (B, M, D)
        weights = ops.transpose(1 / ops.square(deviations))
        # -1/2 sum (x - mu)^2 / s^2, multiplied out: three products of matrices.
        exponent = ops.matmul(x, ops.transpose(means) * weights) - ops.matmul(ops.square(x), weights) / 2
        constant = log_weights - ops.sum(ops.square(means / deviations) / 2 + ops.log(deviations), axis=-1)
        posteriors = ops.transpose(ops.softmax(exponent + constant, axis=-1), (0, 2, 1))  # (B, K, M)
        count = ops.cast(ops.shape(x)[1], x.dtype)
        zeroth = ops.sum(posteriors, axis=-1, keepdims=True) / count
        first, second = (ops.matmul(posteriors, values) / count for values in (x, ops.square(x)))
        root = ops.exp(log_weights / 2)[:, None]
        by_mean = (first - zeroth * means) / deviations / root
        spread = (second - 2 * first * means + zeroth * ops.square(means)) / ops.square(deviations)
        by_deviation = (spread - zeroth) / root / np.sqrt(2)
        return ops.reshape(ops.stack([by_mean, by_deviation], axis=1), (-1, 2 * self.components * self.dimensions))

    def _learn(self, samples, seed):
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture

        pca = PCA(self.dimensions, random_state=seed).fit(samples)
        # Variances are those of RootSIFT, about 1 / 128 of 1: scikit-learn's own floor of 1e-6 leaves a part that
        # holds few descriptors so thin that it answers for nothing else.
        mixture = GaussianMixture(
            self.components, covariance_type="diag", reg_covar=1e-4, max_iter=50, tol=1e-2, random_state=seed
        )
        mixture.fit(pca.transform(samples).astype(np.float64))
        return {
            "mean": pca.mean_,
            "directions": pca.components_.T,
            "log_weights": np.log(mixture.weights_),
            "means": mixture.means_,
            "deviations": np.sqrt(mixture.covariances_),
        }

    def _output_shape(self, input_shape):
        return (input_shape[0], 2 * self.components * self.dimensions)
