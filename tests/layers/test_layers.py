"""The contract of every custom layer: shapes, configuration, gradients, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.color import Lightness
from tfssl.layers.convolution import DilatedStack, GroupedConv2D
from tfssl.layers.normalization import LocalResponseNormalization
from tfssl.layers.pooling import CaffeMaxPooling2D
from tfssl.layers.resizing import ResizeToStride, Upsample

X = np.random.default_rng(0).uniform(0, 1, (2, 12, 10, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (DilatedStack(7, depth=2, dilation=2), (2, 12, 10, 7)),
        (DilatedStack(4, depth=1, dilation=1, batch_norm=False), (2, 12, 10, 4)),
        (Lightness(), (2, 12, 10, 1)),
        (Upsample(3), (2, 36, 30, 3)),
        (CaffeMaxPooling2D(3, 2), (2, 6, 5, 3)),
        (CaffeMaxPooling2D(3, 2, padding=1), (2, 7, 6, 3)),
        (GroupedConv2D(6, 3, groups=3, strides=2), (2, 5, 4, 6)),
        (LocalResponseNormalization(size=3, bias=2.0, divide_by_size=False), (2, 12, 10, 3)),
    ],
)
def test_layer_contract(layer, shape, tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    assert layer.compute_output_shape(X.shape) == shape
    assert model(X).shape == shape
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        total = tf.reduce_sum(model(x))
    assert np.isfinite(tape.gradient(total, x)).all()


def test_resize_to_stride_rounds_up():
    layer = ResizeToStride(8)
    reference = np.zeros((2, 45, 41, 1), np.float32)
    assert layer([X, reference]).shape == layer.compute_output_shape([X.shape, reference.shape]) == (2, 6, 6, 3)


def test_dilated_stack_equals_plain_convolutions():
    stack = DilatedStack(5, depth=2, dilation=2, batch_norm=False)
    y = stack(X)
    expected = X
    for convolution in stack.convolutions:
        expected = tf.nn.relu(tf.nn.conv2d(expected, convolution.kernel, 1, "SAME", dilations=2) + convolution.bias)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("arguments", [{"filters": 0}, {"filters": 4, "depth": 0}, {"filters": 4, "dilation": 1.5}])
def test_dilated_stack_names_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=[*arguments][-1]):
        DilatedStack(**arguments)
