"""The channel-wise fully connected layer: counts, identity, what depends on what, configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.dense import ChannelwiseDense

X = np.random.default_rng(0).normal(size=(2, 6, 6, 5)).astype(np.float32)


def test_counts_of_the_paper():
    layer = ChannelwiseDense()
    layer.build((None, 6, 6, 256))
    assert layer.kernel.shape == (256, 36, 36) and np.prod(layer.kernel.shape) == 331_776
    assert layer.count_params() == 340_992
    assert (256 * 36) ** 2 == 84_934_656, "what a dense layer would have"


def test_identity_matrices_return_the_input():
    layer = ChannelwiseDense()
    layer.build(X.shape)
    layer.kernel.assign(np.tile(np.eye(36, dtype=np.float32), (5, 1, 1)))
    np.testing.assert_allclose(layer(X), X, atol=1e-6)


def test_is_a_dense_layer_for_each_map():
    layer = ChannelwiseDense(bias_initializer="random_normal")
    y = np.asarray(layer(X)).reshape(2, 36, 5)
    kernel, bias = layer.get_weights()
    for c in range(5):
        np.testing.assert_allclose(y[..., c], X.reshape(2, 36, 5)[..., c] @ kernel[c] + bias[:, c], atol=1e-4)


def test_maps_do_not_see_each_other():
    layer = ChannelwiseDense()
    changed = X.copy()
    changed[..., 3] += 1
    difference = np.abs(np.asarray(layer(changed)) - np.asarray(layer(X))).max(axis=(0, 1, 2))
    assert difference[3] > 0.1 and (np.delete(difference, 3) == 0).all()


@pytest.mark.parametrize(
    "layer, reaches", [(ChannelwiseDense(), True), (keras.layers.Conv2D(5, 3, padding="same"), False)]
)
def test_corner_depends_on_the_opposite_corner(layer, reaches):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        corner = tf.reduce_sum(layer(x)[:, 0, 0])
    gradient = np.abs(tape.gradient(corner, x).numpy()[:, 5, 5])
    assert (gradient.max() > 0) == reaches


def test_starts_like_a_dense_layer():
    layer = ChannelwiseDense(kernel_initializer="he_normal")
    layer.build((None, 8, 8, 200))
    assert np.asarray(layer.kernel).std() == pytest.approx(np.sqrt(2 / 64), rel=0.01)
    maps = np.asarray(layer.kernel)
    assert np.abs(maps[0] - maps[1]).max() > 0.1


def test_is_saved_with_its_configuration(tmp_path):
    inputs = keras.Input((6, 6, 5))
    model = keras.Model(inputs, ChannelwiseDense(use_bias=False, kernel_initializer="he_normal", name="across")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(X), model(X), atol=1e-6)
    assert loaded.get_layer("across").get_config() == model.get_layer("across").get_config()
    assert model.count_params() == 5 * 36**2
    assert ChannelwiseDense().compute_output_shape((None, 6, 6, 5)) == (None, 6, 6, 5)


def test_needs_a_known_size():
    with pytest.raises(ValueError, match="known h, w and C"):
        ChannelwiseDense()(keras.Input((None, 6, 5)))
