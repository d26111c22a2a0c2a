"""Depthwise convolution with fast gradients: the numbers of TensorFlow and Keras, whose own it is elsewhere."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.convolution import DepthwiseConv2D
from tfssl.ops import depthwise_gradient

# Even, odd and mixed sizes, and some smaller than the kernel.
SIZES = [(8, 6), (7, 9), (1, 2)]
OPTIONS = [{}, {"strides": 2, "use_bias": False}, {"kernel_size": 5, "activation": "relu"}]
ELSEWHERE = [{"padding": "valid"}, {"kernel_size": (3, 5)}, {"dilation_rate": 2}, {"depth_multiplier": 2}]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def gradients(convolve, x, kernel):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = convolve(x, kernel)
        total = tf.reduce_sum(y * normal(*y.shape, seed=2))
    return y, *tape.gradient(total, [x, kernel])


@pytest.mark.parametrize(("k", "stride"), itertools.product((3, 5, 7), (1, 2, 3)))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_are_those_of_tensorflow(k, stride, size):
    x, kernel = normal(2, *size, 3), normal(k, k, 3, 1, seed=1)
    ours = gradients(lambda x, kernel: depthwise_gradient.depthwise_conv(x, kernel, stride), x, kernel)
    strides = (1, stride, stride, 1)
    theirs = gradients(lambda x, kernel: tf.nn.depthwise_conv2d(x, kernel, strides, "SAME"), x, kernel)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-5)


def test_sizes_that_only_the_graph_knows():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((5, 5, 3, 1))])
    def run(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(depthwise_gradient.depthwise_conv(x, kernel, 2) ** 2)
        return tape.gradient(total, x)

    assert run(normal(1, 7, 6, 3), normal(5, 5, 3, 1)).shape == (1, 7, 6, 3)


def layer_pair(options):
    """This layer and Keras' own, with the same weights."""
    options = {"kernel_size": 3, "padding": "same", "bias_initializer": "random_normal", **options}
    ours, theirs = DepthwiseConv2D(**options), keras.layers.DepthwiseConv2D(**options)
    ours.build((None, 9, 8, 3))
    theirs.build((None, 9, 8, 3))
    assert [v.path.split("/")[-1] for v in theirs.weights] == [v.path.split("/")[-1] for v in ours.weights]
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.fixture
def calls(monkeypatch):
    """How often the fast gradient was asked for."""
    made, original = [], depthwise_gradient.depthwise_conv
    monkeypatch.setattr(depthwise_gradient, "depthwise_conv", lambda *a: made.append(a) or original(*a))
    return made


def assert_same(ours, theirs):
    x = normal(2, 9, 8, 3)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True) if layer is ours else layer(x)
            total = tf.reduce_sum(y**2)
        results.append([y, *tape.gradient(total, [x, *(v.value for v in layer.trainable_variables)])])
    for mine, reference in zip(*results, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_layer_equals_that_of_keras(options, calls):
    ours, theirs = layer_pair(options)
    assert_same(ours, theirs)
    assert len(calls) == 1
    np.testing.assert_allclose(ours(normal(2, 9, 8, 3)), theirs(normal(2, 9, 8, 3)), atol=1e-5)
    assert len(calls) == 1  # no gradient is taken where nothing is trained


@pytest.mark.parametrize("options", ELSEWHERE, ids=str)
def test_elsewhere_it_is_that_of_keras(options, calls):
    assert_same(*layer_pair(options))
    assert not calls


def test_another_backend_has_its_own(calls, monkeypatch):
    layer, _ = layer_pair({})
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not layer._has_fast_gradient()


def test_a_gpu_has_that_of_tensorflow(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(tf, "custom_gradient", None)
    assert depthwise_gradient.depthwise_conv(normal(1, 4, 4, 3), normal(3, 3, 3, 1), 1).shape == (1, 4, 4, 3)


def test_kept_in_a_file(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), DepthwiseConv2D(5, strides=2, padding="same")])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is DepthwiseConv2D
    x = normal(1, 8, 8, 3)
    np.testing.assert_array_equal(loaded(x), model(x))
