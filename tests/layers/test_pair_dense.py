"""The dense layer on pairs against concatenation and a plain dense layer; scaling to one root mean square."""

import keras
import numpy as np
import pytest

from tfssl.layers.dense import PairDense
from tfssl.layers.normalization import ScaleToRMS
from tfssl.ops.patches import projection_matrix

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2, 5, 7)).astype(np.float32)
PAIRS = RNG.integers(0, 5, (2, 9, 2)).astype(np.int32)


def concatenated():
    return np.stack([np.concatenate([rows[p[:, 0]], rows[p[:, 1]]], -1) for rows, p in zip(ROWS, PAIRS, strict=True)])


def test_is_a_dense_layer_on_the_concatenation():
    pair, dense = PairDense(4, bias_initializer="ones"), keras.layers.Dense(4)
    ours = pair([ROWS, PAIRS])
    dense.build((None, None, 14))
    assert [v.shape for v in pair.weights] == [v.shape for v in dense.weights]
    dense.set_weights(pair.get_weights())
    np.testing.assert_allclose(ours, dense(concatenated()), atol=1e-5)
    assert pair.compute_output_shape([ROWS.shape, PAIRS.shape]) == ours.shape == (2, 9, 4)


def test_starts_like_a_dense_layer_on_the_concatenation():
    pair = PairDense(500, kernel_initializer="lecun_uniform")
    pair.build([(None, 5, 600), (None, None, 2)])
    kernel = np.asarray(pair.kernel)
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(3 / 1200), rel=1e-3)


def test_gradients_are_those_of_the_concatenation():
    import tensorflow as tf

    pair = PairDense(4)
    rows = tf.Variable(ROWS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(pair([rows, PAIRS])))
    ours = tape.gradient(loss, [rows, pair.kernel.value])
    kernel = tf.constant(np.asarray(pair.kernel))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        both = tf.concat([tf.gather(rows, PAIRS[..., i], batch_dims=1) for i in (0, 1)], -1)
        loss = tf.reduce_sum(tf.square(both @ kernel))
    for mine, theirs in zip(ours, tape.gradient(loss, [rows, kernel]), strict=True):
        np.testing.assert_allclose(mine, tf.convert_to_tensor(theirs), atol=1e-4)


def test_is_saved_with_its_configuration(tmp_path):
    rows, pairs = keras.Input((5, 7)), keras.Input((None, 2), dtype="int32")
    model = keras.Model([rows, pairs], PairDense(3, kernel_initializer="he_normal", name="pairs")([rows, pairs]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded([ROWS, PAIRS]), model([ROWS, PAIRS]), atol=1e-6)
    assert loaded.get_layer("pairs").get_config() == model.get_layer("pairs").get_config()
    with pytest.raises(ValueError, match="units"):
        PairDense(0)


@pytest.mark.parametrize("matrix", [None, projection_matrix().tolist()])
def test_scale_to_rms(matrix, tmp_path):
    x = RNG.uniform(0, 255, (3, 12, 10, 3)).astype(np.float32)
    layer = ScaleToRMS(50.0, matrix, name="scale")
    y = np.asarray(layer(x))
    np.testing.assert_allclose(np.sqrt(np.mean(y**2, axis=(1, 2, 3))), 50, atol=1e-3)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-3)
    if matrix:
        np.testing.assert_allclose(y @ [-1, 2, -1], 0, atol=1e-3)
    np.testing.assert_allclose(layer(x * 0.5 + 3), y, atol=1e-2)  # neither brightness nor contrast
    assert not np.asarray(layer(np.full((1, 4, 4, 3), 7.0, np.float32))).any()
    again = ScaleToRMS.from_config(layer.get_config())
    np.testing.assert_array_equal(again(x), y)


def test_only_the_mean():
    x = RNG.uniform(0, 255, (2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(ScaleToRMS(None)(x), x - x.mean(axis=(1, 2), keepdims=True), atol=1e-3)
    with pytest.raises(ValueError, match="rms"):
        ScaleToRMS(0.0)
