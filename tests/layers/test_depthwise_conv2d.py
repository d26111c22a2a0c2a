"""The depthwise convolution with fast gradients against Keras' own, eagerly and in a graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.convolution import DepthwiseConv2D


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("kernel_size, strides", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_equals_keras_own_layer(kernel_size, strides, in_graph):
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype(np.float32))
    ours, theirs = (
        kind(kernel_size, strides=strides, padding="same") for kind in (DepthwiseConv2D, keras.layers.DepthwiseConv2D)
    )
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(ours.get_weights())

    def gradients(layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True) if layer is ours else layer(x)
            loss = tf.reduce_sum(y * tf.reshape(tf.range(tf.size(y), dtype=tf.float32) / 100, y.shape))
        return [y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])]

    compute = tf.function(gradients) if in_graph else gradients
    for found, expected in zip(compute(ours), gradients(theirs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
