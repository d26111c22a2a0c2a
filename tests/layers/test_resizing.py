"""Bilinear resizing against Keras' own, and where input pixels land."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.resizing import resize_bilinear, upsample

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_upsample_equals_keras(factor):
    expected = keras.ops.image.resize(X, (5 * factor, 6 * factor), interpolation="bilinear")
    np.testing.assert_allclose(np.asarray(upsample(X, factor)), np.asarray(expected), atol=5e-6)


@pytest.mark.parametrize("size", [(11, 23), (5, 6), (3, 2), (1, 1)])
def test_resize_equals_keras(size):
    expected = keras.ops.image.resize(X, size, interpolation="bilinear")
    np.testing.assert_allclose(np.asarray(resize_bilinear(X, *size)), np.asarray(expected), atol=5e-6)


def test_upsample_from_the_corner_keeps_the_samples():
    result = np.asarray(upsample(X, 4, first=0))
    np.testing.assert_array_equal(result[:, ::4, ::4], X)
    np.testing.assert_allclose(result[:, 2, 0], (X[:, 0, 0] + X[:, 1, 0]) / 2, atol=1e-6)
    np.testing.assert_array_equal(result[:, -1, -1], X[:, -1, -1])


def test_sizes_known_only_in_the_graph():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def run(x):
        return upsample(x, 2), resize_bilinear(x, tf.shape(x)[1] * 2, 7)

    for shape in ((1, 1, 1, 3), (2, 5, 6, 3)):
        x = np.ones(shape, np.float32)
        doubled, resized = run(x)
        assert doubled.shape == (shape[0], shape[1] * 2, shape[2] * 2, 3)
        assert resized.shape == (shape[0], shape[1] * 2, 7, 3)
        np.testing.assert_allclose(doubled, 1)
