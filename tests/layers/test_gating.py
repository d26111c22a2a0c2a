"""Bilinear and factored gates, the constraint on their filters, zero-bias units: numbers worked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.dense import TiedDense
from tfssl.layers.gating import BilinearGate, FactoredGate, FilterNormalization, ThresholdedLinear

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 5))


def test_factors_are_a_tensor():
    """Card, test 1: to 1e-12."""
    factored, full = FactoredGate(4, 7, dtype="float64"), BilinearGate(4, dtype="float64")
    z = factored([X, Y])
    full([X, Y])
    full.kernel.assign(factored.tensor())
    u, v, h = (np.asarray(w) for w in (factored.x_filters, factored.y_filters, factored.kernel))
    expected = np.einsum("bi,bj,if,jf,fk->bk", X, Y, u, v, h)
    np.testing.assert_allclose(z, expected, atol=1e-12, rtol=0)
    np.testing.assert_allclose(full([X, Y]), expected, atol=1e-12, rtol=0)
    assert abs(u[:, :4] - v[0, :4]).max() > 0.1


def test_x_gates_the_weights_of_y():
    gate = BilinearGate(1)
    gate([np.zeros((1, 2)), np.zeros((1, 2))])
    gate.kernel.assign(np.array([[[1], [2]], [[3], [4]]]))
    np.testing.assert_allclose(gate([np.array([[1.0, 10.0]]), np.array([[5.0, 7.0]])]), [[1 * 5 + 2 * 7 + 150 + 280]])


def test_counts_of_the_card():
    patches = [(None, 169), (None, 169)]
    full, factored = BilinearGate(50), FactoredGate(50, 200)
    full.build(patches)
    factored.build(patches)
    assert (full.count_params(), factored.count_params()) == (1_428_050, 77_600)
    assert np.abs(full.kernel).max() == pytest.approx(np.sqrt(6 / (169 * 169 + 50)), rel=0.01)
    with pytest.raises(ValueError, match="known sizes"):
        FactoredGate(2, 2).build([(None, 3), (None, None)])


@pytest.mark.parametrize("layer", [BilinearGate(4, name="gate"), FactoredGate(4, 3, "he_normal", name="gate")])
def test_gates_work_on_maps_and_are_saved(layer, tmp_path):
    inputs = keras.Input((2, 6)), keras.Input((2, 5))
    model = keras.Model(inputs, layer(list(inputs)))
    maps = [RNG.normal(size=(3, 2, n)).astype(np.float32) for n in (6, 5)]
    z = np.asarray(model(maps))
    assert z.shape == layer.compute_output_shape([m.shape for m in maps]) == (3, 2, 4)
    np.testing.assert_allclose(z[:, 1], layer([m[:, 1] for m in maps]), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(maps), z)
    assert loaded.get_layer("gate").get_config() == layer.get_config()


def test_filters_are_centered_and_of_one_size():
    w = RNG.normal(1.0, RNG.uniform(0.5, 2, 8), (40, 8)).astype(np.float32)
    found = np.asarray(FilterNormalization()(w))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=0), w.std(axis=0).mean(), rtol=1e-4)
    for one, other in zip(found.T, w.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(1, abs=1e-5)
    assert np.isfinite(np.asarray(FilterNormalization()(np.zeros((4, 2), np.float32)))).all()


def test_the_constraint_holds_after_every_update(tmp_path):
    inputs = keras.Input((6,))
    layer = TiedDense(4, kernel_initializer="he_normal", use_bias=False, kernel_constraint=FilterNormalization())
    model = keras.Model(inputs, layer(layer(inputs), transposed=True))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(X, X)
    assert [tuple(w.shape) for w in model.trainable_variables] == [(6, 4), (6,)]
    kernel = np.asarray(layer.kernel)
    np.testing.assert_allclose(kernel.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(kernel.std(axis=0), kernel.std(axis=0).mean(), rtol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[-1].kernel_constraint, FilterNormalization)
    np.testing.assert_array_equal(loaded(X), model(X))


@pytest.mark.parametrize("unit", [keras.layers.ReLU(threshold=1.0), ThresholdedLinear()])
@pytest.mark.parametrize(
    "x, code, reconstruction, cost", [((2, 1), (2, 2), (3.2, 1.6), 0.9), ((0.5, 0.5), (0, 0), (0, 0), 0.25)]
)
def test_zero_bias_autoencoder_by_hand(unit, x, code, reconstruction, cost):
    """Card, test 10."""
    layer = TiedDense(2, use_bias=False)
    x = np.array([x], np.float32)
    layer(x)
    layer.kernel.assign(np.array([[1, 0.6], [0, 0.8]]))
    h = unit(layer(x))
    y = layer(h, transposed=True)
    np.testing.assert_allclose(h, [code], atol=1e-6)
    np.testing.assert_allclose(y, [reconstruction], atol=1e-6)
    assert float(0.5 * np.square(x - np.asarray(y)).sum()) == pytest.approx(cost, abs=1e-6)


def test_linear_units_keep_both_signs():
    x = np.array([-3, -1.1, -1, -0.5, 0, 0.9, 1, 1.1, 4], np.float32)
    np.testing.assert_array_equal(ThresholdedLinear()(x[None])[0], np.where(x**2 > 1, x, 0))
    np.testing.assert_array_equal(keras.layers.ReLU(threshold=1.0)(x), np.where(x > 1, x, 0))
    layer = ThresholdedLinear(4.0)
    assert type(layer).from_config(layer.get_config()).threshold == 4.0
    with tf.GradientTape() as tape:
        v = tf.constant(x[None])
        tape.watch(v)
        total = tf.reduce_sum(layer(v))
    np.testing.assert_array_equal(tape.gradient(total, v)[0], x**2 > 4)
    with pytest.raises(ValueError, match="`threshold`"):
        ThresholdedLinear(0)
