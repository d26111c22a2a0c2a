"""Grouped convolution: equal to Keras' own and to the halves, trainable, and without XLA in its graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.convolution import GroupedConv2D

X = np.random.default_rng(0).normal(size=(2, 9, 7, 6)).astype(np.float32)
OPTIONS = [{"padding": "same"}, {"strides": 2}, {"dilation_rate": 2, "activation": "relu"}, {"use_bias": False}]


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_keras(groups, options):
    ours = GroupedConv2D(12, 3, groups=groups, bias_initializer="random_normal", **options)
    theirs = keras.layers.Conv2D(12, 3, groups=groups, **options)
    y = ours(X)
    theirs.build(X.shape)
    assert [v.shape for v in theirs.weights] == [v.shape for v in ours.weights]
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(y, theirs(X), atol=1e-5)


def test_equals_two_halves():
    layer = GroupedConv2D(8, 3, groups=2, padding="same")
    y = layer(X)
    kernel = layer.kernel.numpy()
    halves = [
        tf.nn.conv2d(X[..., :3], kernel[..., :4], 1, "SAME"),
        tf.nn.conv2d(X[..., 3:], kernel[..., 4:], 1, "SAME"),
    ]
    np.testing.assert_allclose(y, np.concatenate(halves, -1), atol=1e-5)


def test_trains_in_a_graph_without_xla():
    layer = GroupedConv2D(8, 3, groups=2)
    layer.build(X.shape)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(total, layer.trainable_variables)

    kernel, bias = gradient(X)
    assert kernel.shape == (3, 3, 3, 8) and bias.shape == (8,)
    assert np.isfinite(kernel).all() and np.abs(kernel).min() > 0
    graph = gradient.get_concrete_function(tf.TensorSpec(X.shape)).graph.as_graph_def()
    compiled = [f.signature.name for f in graph.library.function if f.attr["_XlaMustCompile"].b]
    assert not compiled
