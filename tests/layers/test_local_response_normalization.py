"""Local response normalization against worked examples, TensorFlow's own and a loop over the paper's formula."""

import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.normalization import LocalResponseNormalization

X = np.random.default_rng(0).normal(0, 100, (2, 3, 4, 9)).astype(np.float32)


def test_worked_examples():
    ones = np.ones((1, 1, 1, 7), np.float32)
    y = np.ravel(LocalResponseNormalization()(ones))
    np.testing.assert_allclose(y[2:5], 0.99992501, atol=1e-7)
    np.testing.assert_allclose(y[[0, 6]], 0.99995500, atol=1e-7)
    np.testing.assert_allclose(np.ravel(LocalResponseNormalization()(100 * ones))[2:5], 59.460, atol=1e-3)


def test_equals_tensorflow():
    expected = tf.nn.local_response_normalization(X, depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75)
    np.testing.assert_allclose(LocalResponseNormalization()(X), expected, rtol=1e-5)


def test_constants_of_the_paper():
    y = LocalResponseNormalization(bias=2.0, divide_by_size=False)(X)
    for i in range(9):
        energy = (X[..., max(0, i - 2) : i + 3] ** 2).sum(-1)
        np.testing.assert_allclose(y[..., i], X[..., i] / (2 + 1e-4 * energy) ** 0.75, rtol=1e-5)


def test_gradient_equals_tensorflow():
    x = tf.Variable(np.concatenate([X, np.zeros_like(X)]))
    with tf.GradientTape(persistent=True) as tape:
        ours = tf.reduce_sum(LocalResponseNormalization()(x) ** 2)
        theirs = tf.reduce_sum(tf.nn.local_response_normalization(x, 2, 1.0, 2e-5, 0.75) ** 2)
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(theirs, x), rtol=1e-4, atol=1e-5)


def test_large_activations_in_half_precision():
    y = LocalResponseNormalization(dtype="mixed_float16")(np.full((1, 1, 1, 5), 600.0, np.float32))
    assert y.dtype == tf.float16
    np.testing.assert_allclose(y[0, 0, 0, 2], 600 / (1 + 2e-5 * 5 * 600**2) ** 0.75, rtol=2e-3)


@pytest.mark.parametrize("arguments", [{"size": 4}, {"size": 0}, {"bias": 0.0}])
def test_names_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=[*arguments][-1]):
        LocalResponseNormalization(**arguments)
