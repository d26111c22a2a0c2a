"""The dense layer that runs both ways, and the fixed whitening filter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.color import Whitening
from tfssl.layers.dense import TiedDense
from tfssl.ops.whitening import MARGIN, whitening_kernel


def built(units=4, inputs=6, **options):
    layer = TiedDense(units, **options)
    layer.build((None, inputs))
    return layer


def test_one_kernel_serves_both_ways():
    """Card, test 7."""
    layer = built()
    assert sorted(tuple(v.shape) for v in layer.trainable_variables) == [(4,), (6,), (6, 4)]
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    code = layer(x)
    np.testing.assert_allclose(code, x @ np.asarray(layer.kernel), atol=1e-6)
    np.testing.assert_allclose(layer(code, transposed=True), np.asarray(code) @ np.asarray(layer.kernel).T, atol=1e-5)
    assert sorted(tuple(v.shape) for v in built(tied=False).trainable_variables) == [(4,), (4, 6), (6,), (6, 4)]


def test_gradient_adds_both_uses():
    layer = built()
    rng = np.random.default_rng(1)
    x = tf.constant(rng.random((5, 6)), tf.float32)
    start = rng.normal(0, 0.5, (6, 4))

    def loss(kernel):
        """The same in float64 without TensorFlow."""
        sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
        z = sigmoid(sigmoid(x.numpy().astype(np.float64) @ kernel) @ kernel.T)
        return -np.sum(x.numpy() * np.log(z) + (1 - x.numpy()) * np.log(1 - z)) / 5

    layer.kernel.assign(start)
    with tf.GradientTape() as tape:
        z = tf.sigmoid(layer(tf.sigmoid(layer(x)), transposed=True))
        value = -tf.reduce_sum(x * tf.math.log(z) + (1 - x) * tf.math.log(1 - z)) / 5
    gradient = tape.gradient(value, layer.kernel.value)
    numeric = np.zeros((6, 4))
    for place in np.ndindex(6, 4):
        step = np.zeros((6, 4))
        step[place] = 1e-5
        numeric[place] = (loss(start + step) - loss(start - step)) / 2e-5
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)


def test_tutorial_initial_values():
    kernel = np.asarray(built(500, 784).kernel)
    limit = 4 * np.sqrt(6 / 1284)
    assert abs(kernel).max() <= limit and kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


def test_maps_are_codes_of_their_rows():
    layer = built()
    maps = np.random.default_rng(2).normal(size=(2, 3, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(layer(maps)[1, 2, 3], layer(maps[1, 2, 3:4])[0], atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_saves_inside_a_model(tied, tmp_path):
    inputs = keras.Input((6,))
    layer = TiedDense(4, tied, "glorot_uniform", name="layer1")
    model = keras.Model(inputs, layer(keras.layers.Activation("sigmoid")(layer(inputs)), transposed=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    assert loaded.count_params() == model.count_params() == 24 * (1 if tied else 2) + 10


@pytest.mark.parametrize("units", [0, -1, 2.5])
def test_wrong_units(units):
    with pytest.raises(ValueError, match="`units`"):
        TiedDense(units)


class TestWhitening:
    def test_power_becomes_flat(self):
        """Noise whose amplitude falls as 1 / f, as that of natural pictures: octaves get about equal power.

        A kernel of 9 pixels cannot follow the filter exactly where waves are longer than it.
        """
        rng, size = np.random.default_rng(0), 128
        f = np.fft.fftfreq(size)
        radius = np.hypot(f[:, None], f)
        spectrum = np.fft.fft2(rng.normal(size=(30, size, size))) / np.where(radius > 0, radius, 1)
        pictures = np.fft.ifft2(spectrum).real[..., None].astype(np.float32)

        def octaves(x):
            power = (np.abs(np.fft.fft2(x[:, 4:-4, 4:-4, 0] * np.hanning(112)[:, None] * np.hanning(112))) ** 2).mean(0)
            g = np.fft.fftfreq(112)
            r = np.hypot(g[:, None], g)
            return np.array([power[(r >= low) & (r < 2 * low)].mean() for low in (0.05, 0.1, 0.2)])

        before = octaves(pictures[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
        after = octaves(np.asarray(Whitening()(pictures)))
        assert before[0] > 10 * before[-1]
        assert after.max() / after.min() < before.max() / before.min() / 5

    def test_even_areas_are_zero(self):
        assert abs(whitening_kernel().sum()) < 1e-6
        y = np.asarray(Whitening()(np.full((1, 20, 24, 1), 0.7, np.float32)))
        assert y.shape == (1, 12, 16, 1) and abs(y).max() < 1e-6
        assert Whitening().compute_output_shape((None, None, 30, 1)) == (None, None, 22, 1)
