"""A dense layer of which few units are computed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError
from tfssl.layers.dense import SelectedDense

RNG = np.random.default_rng(0)


def test_equals_dense():
    layer, dense = SelectedDense(5), keras.layers.Dense(5, use_bias=False)
    rows = RNG.normal(size=(3, 4)).astype(np.float32)
    layer(rows), dense(rows)
    dense.set_weights([np.asarray(layer.kernel).T])
    np.testing.assert_allclose(layer(rows), dense(rows), atol=1e-6)
    chosen = np.array([[4, 0], [1, 1], [2, 3]])
    np.testing.assert_allclose(
        layer(rows, indices=chosen), np.take_along_axis(np.asarray(dense(rows)), chosen, 1), atol=1e-6
    )


def test_starts_as_dense():
    """The initializer sees a matrix (D, units): with 100 inputs Glorot's limit is sqrt(6 / (100 + 900))."""
    layer = SelectedDense(900)
    layer.build((None, 100))
    assert layer.kernel.shape == (900, 100)
    assert np.abs(np.asarray(layer.kernel)).max() == pytest.approx(np.sqrt(6 / 1000), rel=0.01)


def test_others_get_no_gradient():
    layer = SelectedDense(6)
    rows = RNG.normal(size=(2, 4)).astype(np.float32)
    layer(rows)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(rows, indices=np.array([[0, 2], [2, 5]])))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.kernel.value)).numpy()
    np.testing.assert_allclose(gradient[[0, 2, 5]], [rows[0], rows[0] + rows[1], rows[1]], atol=1e-6)
    assert not gradient[[1, 3, 4]].any()


def test_is_saved(tmp_path):
    rows, chosen = keras.Input((4,)), keras.Input((2,), dtype="int32")
    model = keras.Model([rows, chosen], SelectedDense(6, kernel_initializer="he_normal")(rows, indices=chosen))
    assert model.output.shape == (None, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = [RNG.normal(size=(3, 4)).astype(np.float32), np.array([[0, 5], [1, 1], [2, 9]])]
    np.testing.assert_allclose(model(inputs), loaded(inputs))


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match="`units` must be a positive integer"):
        SelectedDense(0)
    layer = SelectedDense(3)
    layer(np.zeros((2, 4), np.float32))
    with pytest.raises(ConfigError, match=r"`inputs` must have shape"):
        layer(np.zeros((2, 5), np.float32))
    with pytest.raises(ConfigError, match=r"`indices` must have shape \(B=2, T\)"):
        layer(np.zeros((2, 4), np.float32), indices=np.zeros(2, np.int32))
