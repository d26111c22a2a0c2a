"""Receptive fields by arithmetic: the figures of the literature, and the gradient of real networks."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfssl.backbones import build
from tfssl.methods.colorization.network import build_network
from tfssl.visualization.receptive_field import ReceptiveField, receptive_field

from .conftest import small_encoder

ALEXNET = [(11, 4), (3, 2), (5, 1, 2), (3, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2)]


def chain(windows):
    return functools.reduce(lambda field, window: field.after(*window), windows, ReceptiveField())


def test_alexnet():
    fields = [chain(ALEXNET[: n + 1]) for n in range(len(ALEXNET))]
    assert [field.size for field in fields] == [11, 19, 51, 67, 99, 131, 163, 195]
    assert [field.jump for field in fields] == [4, 8, 8, 16, 16, 16, 16, 32]
    network = build("caffenet", input_shape=(None, None, 3), fc=None)
    assert [receptive_field(network, f"conv{n}", 227).size for n in range(1, 6)] == [11, 51, 99, 131, 163]


def test_vgg16():
    blocks = [(3, 1, 1)] * 2, [(3, 1, 1)] * 2, *[[(3, 1, 1)] * 3] * 3
    windows = [window for block in blocks for window in (*block, (2, 2))]
    assert chain(windows[:-1]).size == 196 and chain(windows).size == 212 and chain(windows).jump == 32


def test_dilated_colorization_network():
    model = build_network("paper")
    network = keras.Model(model.input, {"conv7": model.get_layer("conv7").output})
    field = receptive_field(network, "conv7", 224)
    assert (field.size, field.jump) == (325, 8)


@pytest.mark.parametrize("side", [32, 33])
def test_equals_what_a_gradient_reaches(side):
    # Linear, with positive weights, nothing cancels: the gradient is where the field is.
    network = small_encoder(activation=None)
    for variable in network.trainable_variables:
        variable.assign(tf.abs(variable) + 0.1)
    for tap in ("conv1", "conv2"):
        field = receptive_field(network, tap, side)
        image = tf.zeros((1, side, side, 3))
        with tf.GradientTape() as tape:
            tape.watch(image)
            value = network(image, training=False)[tap][0, 7, 8, 0]
        reached = np.argwhere(np.abs(tape.gradient(value, image)[0]).sum(axis=-1) > 0)
        np.testing.assert_array_equal(reached.max(axis=0) - reached.min(axis=0) + 1, [field.size] * 2)
        center = (reached.max(axis=0) + reached.min(axis=0)) / 2
        np.testing.assert_allclose(center, [field.center(7), field.center(8)])


def test_branches_and_unknown_layers():
    rgb = layers.Input((None, None, 3))
    wide = layers.Conv2D(4, 7, padding="same")(rgb)
    joined = layers.Concatenate()([layers.Conv2D(4, 3, padding="same")(rgb), wide])
    scene = layers.GlobalAveragePooling2D(keepdims=True)(joined)
    turned = layers.Permute((2, 1, 3))(joined)
    network = keras.Model(rgb, {"conv1": joined, "conv2": layers.Add()([joined, scene]), "conv3": turned})
    assert receptive_field(network, "conv1", 32).size == 7
    assert np.isinf(receptive_field(network, "conv2", 32).size)
    assert receptive_field(network, "conv3", 32) is None
