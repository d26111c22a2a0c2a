"""Codebooks of directions."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation.dense.codewords import codebook, expected_direction, nearest_word, unit


def directions(count, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_clusters_are_found():
    """Three bundles about the axes: the codewords are the axes."""
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 50, 3))
    bundles = (np.eye(3)[:, None] + noise).reshape(-1, 3)
    bundles /= np.linalg.norm(bundles, axis=1, keepdims=True)
    words = codebook(bundles.astype(np.float32), 3)
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(words[np.argsort(words.argmax(axis=1))], np.eye(3), atol=0.02)


def test_the_nearest_word_has_the_smallest_angle():
    words, vectors = directions(12), directions(60, 1).reshape(5, 12, 3)
    wanted = [[min(range(12), key=lambda k: np.arccos(np.clip(v @ words[k], -1, 1))) for v in row] for row in vectors]
    np.testing.assert_array_equal(nearest_word(vectors, words), wanted)


def test_the_answer_is_the_weighted_sum_of_words():
    words = np.eye(3, dtype=np.float32)
    scores = np.log(np.float32([[0.5, 0.25, 0.25], [1e-9, 1.0, 1e-9]]))
    wanted = np.float32([[2, 1, 1], [0, 1, 0]]) / np.float32([[6**0.5], [1]])
    np.testing.assert_allclose(expected_direction(scores, words), wanted, atol=1e-6)


def test_unit_of_nothing_is_nothing():
    np.testing.assert_array_equal(unit(np.zeros((1, 3), np.float32)), [[0, 0, 0]])
    np.testing.assert_allclose(unit(np.float32([[3, 0, 4]])), [[0.6, 0, 0.8]], atol=1e-6)


@pytest.mark.parametrize("count", [1, 6])
def test_too_few_directions(count):
    with pytest.raises(ConfigError, match="from 2 to the number of different normals, 5"):
        codebook(np.repeat(directions(5), 4, axis=0), count)
