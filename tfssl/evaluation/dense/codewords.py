"""Directions as a choice among a few: a codebook of unit vectors, and back from probabilities to a direction."""

import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError


def codebook(directions, count, seed=0):
    """Centers of k-means over unit vectors, brought to length 1.

    Args:
        directions: float (N, 3), of length 1.
        count: K, number of codewords.
        seed: of the start; the best of four starts by k-means++ is kept.

    Returns:
        float32 (K, 3).

    Raises:
        ConfigError: if there are fewer different directions than codewords.
    """
    from sklearn.cluster import KMeans

    different = len(np.unique(directions, axis=0))
    if not 2 <= count <= different:
        raise ConfigError(
            f"`codewords` must be from 2 to the number of different normals, {different}. Received: codewords={count!r}"
        )
    centers = KMeans(count, n_init=4, random_state=seed).fit(directions).cluster_centers_
    return (centers / np.linalg.norm(centers, axis=1, keepdims=True)).astype(np.float32)


def nearest_word(directions, words):
    """Number of the codeword at the smallest angle.

    Args:
        directions: float (..., 3).
        words: float (K, 3), of length 1.

    Returns:
        int32 (...).
    """
    return tf.argmax(tf.einsum("...c,kc->...k", directions, words), axis=-1, output_type=tf.int32)


def expected_direction(scores, words):
    """The normalized sum of the codewords, each weighted by its probability.

    Args:
        scores: float (..., K), logits.
        words: float (K, 3).

    Returns:
        float (..., 3), of length 1.
    """
    return unit(tf.einsum("...k,kc->...c", tf.nn.softmax(scores), words))


def unit(vectors):
    """Vectors (..., 3) brought to length 1; of length 0 stay so, with finite gradients."""
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors**2, axis=-1, keepdims=True), 1e-12))
