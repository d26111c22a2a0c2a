"""Pooling that rounds up: sizes and values against a loop over Caffe's rule, at every size."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.pooling import CaffeMaxPooling2D


def caffe_pool(x, k, s, p):
    """PoolingLayer::Forward of Caffe, position by position."""
    sizes = []
    for n in x.shape[1:3]:
        size = math.ceil((n + 2 * p - k) / s) + 1
        if p and (size - 1) * s >= n + p:
            size -= 1
        sizes.append(size)
    y = np.empty((x.shape[0], *sizes, x.shape[3]), x.dtype)
    for i, j in itertools.product(*map(range, sizes)):
        top, left = i * s - p, j * s - p
        y[:, i, j] = x[:, max(top, 0) : top + k, max(left, 0) : left + k].max((1, 2))
    return y


WINDOWS = [(3, 2, 0), (2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 2, 1), (3, 3, 0), (5, 2, 0), (5, 3, 2), (4, 4, 3)]


@pytest.mark.parametrize("k, s, p", WINDOWS)
def test_every_size_equals_caffe(k, s, p):
    layer = CaffeMaxPooling2D(k, s, p)
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 1))])
    rng = np.random.default_rng(0)
    for n in range(max(3, k), 61):
        # All values are negative, so that a zero from the padding would win; the other side has another parity.
        x = rng.uniform(-2, -1, (1, n, n + 1 if n % 3 else n, 1)).astype(np.float32)
        expected = caffe_pool(x, k, s, p)
        assert layer.compute_output_shape(x.shape) == expected.shape
        np.testing.assert_array_equal(layer(x), expected)
        np.testing.assert_array_equal(unknown(x), expected)


def test_sizes_of_the_known_networks():
    layer = CaffeMaxPooling2D(3, 2)
    for n, expected in {24: 12, 27: 13, 55: 27, 13: 6, 6: 3, 33: 16, 112: 56}.items():
        assert layer.output_size(n) == expected


@pytest.mark.parametrize("k, same_for", [(3, 0), (2, 1)])
def test_keras_switch_reproduces_it(k, same_for):
    """For 3x3 / 2, Keras' "same" on even and "valid" on odd sizes; for 2x2 / 2 the other way round."""
    for n in range(3, 61):
        x = np.random.default_rng(n).normal(size=(1, n, n, 1)).astype(np.float32)
        mode = "same" if n % 2 == same_for else "valid"
        np.testing.assert_array_equal(keras.layers.MaxPooling2D(k, 2, mode)(x), CaffeMaxPooling2D(k, 2)(x))


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (None, None)])
@pytest.mark.parametrize("padding", [0, 1])
def test_gradient_goes_to_each_maximum(size, padding):
    x = np.random.default_rng(1).permutation(72).reshape(1, 9, 8, 1).astype(np.float32)[:, : size[0], : size[1]]
    layer = CaffeMaxPooling2D(3, 2, padding)
    inputs = keras.Input((*size, 1))
    model = keras.Model(inputs, layer(inputs))
    with tf.GradientTape() as tape:
        v = tf.Variable(x)
        y = model(v)
        total = tf.reduce_sum(y)
    gradient = tape.gradient(total, v).numpy()
    winners, wins = np.unique(y, return_counts=True)
    for value, count in zip(winners, wins, strict=True):
        assert gradient[x == value] == count
    assert gradient.sum() == y.numpy().size


@pytest.mark.parametrize("arguments", [{"pool_size": 0}, {"strides": 4}, {"padding": 3}, {"padding": -1}])
def test_names_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=[*arguments][-1]):
        CaffeMaxPooling2D(**arguments)


def test_input_smaller_than_a_window():
    with pytest.raises(ValueError, match="window of 3x3"):
        CaffeMaxPooling2D(3, 2)(np.zeros((1, 1, 8, 1), np.float32))
