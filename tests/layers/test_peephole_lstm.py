"""LSTMs with peepholes and the decoders made of them: numbers worked by hand, counts of the card, saving."""

import keras
import numpy as np
import pytest

from tfssl.layers.peephole_lstm import FrameDecoder, PeepholeLSTM, PeepholeLSTMCell

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def cell_of(units, inputs, **weights):
    cell = PeepholeLSTMCell(units)
    cell.build((None, inputs))
    for variable in cell.weights:
        variable.assign(weights.get(variable.name, np.zeros(variable.shape)))
    return cell


class TestCell:
    def test_all_weights_zero(self):
        """Card, test 3: i = f = o = 0.5, c' = 0.5, h = 0.5 tanh(0.5)."""
        h, (again, c) = cell_of(1, 2)(np.ones((1, 2)), [np.ones((1, 1)), np.ones((1, 1))])
        assert float(c[0, 0]) == 0.5 and float(h[0, 0]) == float(again[0, 0])
        assert float(h[0, 0]) == pytest.approx(0.231059, abs=1e-6)

    def test_peepholes(self):
        """i and f see the old cell, 1, o the new one: s(2) 1 + s(1) tanh(3), then o = s(3 c')."""
        cell = cell_of(1, 1, peepholes=[[1], [2], [3]], bias=[0, 0, 3, 0])
        h, (_, c) = cell(np.zeros((1, 1)), [np.zeros((1, 1)), np.ones((1, 1))])
        expected = 0.8807970779 + 0.7310585786 * 0.9950547537
        assert float(c[0, 0]) == pytest.approx(expected, abs=1e-6)
        assert float(h[0, 0]) == pytest.approx(np.tanh(expected) / (1 + np.exp(-3 * expected)), abs=1e-6)

    def test_without_peepholes_it_is_keras_own(self):
        """Keras has the gates in the order i, f, a, o too."""
        ours, theirs = cell_of(4, 3), keras.layers.LSTMCell(4)
        theirs.build((None, 3))
        values = {"kernel": drawn(3, 16), "recurrent_kernel": drawn(4, 16), "bias": drawn(16)}
        for variable in (*ours.weights, *theirs.weights):
            if variable.name in values:
                variable.assign(values[variable.name])
        x, states = drawn(2, 3), [drawn(2, 4), drawn(2, 4)]
        for one, other in zip(ours(x, states)[1], theirs(x, states)[1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    def test_counts_of_the_card(self):
        cell = PeepholeLSTMCell(2048)
        cell.build((None, 4096))
        assert cell.count_params() == 50_345_984
        blind = PeepholeLSTMCell(2048, use_inputs=False)
        blind.build((None, 4096))
        assert blind.count_params() == 50_345_984 - 4096 * 8192
        assert abs(np.asarray(cell.kernel)).max() == pytest.approx(0.01, rel=1e-3)
        assert abs(np.asarray(cell.peepholes)).max() == pytest.approx(0.1, rel=1e-2)
        assert not np.asarray(cell.bias).any()

    def test_one_that_sees_nothing(self):
        blind = PeepholeLSTMCell(3, use_inputs=False)
        states = [drawn(2, 3), drawn(2, 3)]
        np.testing.assert_array_equal(blind(drawn(2, 5), states)[0], blind(drawn(2, 5), states)[0])


class TestLSTM:
    def test_two_calls_are_one(self):
        lstm = PeepholeLSTM(4, return_state=True, scale=0.5)
        x = drawn(2, 6, 3)
        _, *whole = lstm(x)
        _, *half = lstm(x[:, :2])
        _, *then = lstm(x[:, 2:], initial_state=half)
        for one, other in zip(whole, then, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    def test_it_is_saved(self, tmp_path):
        inputs = keras.Input((None, 3))
        model = keras.Model(inputs, PeepholeLSTM(4, return_sequences=True, name="lstm")(inputs))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        x = drawn(2, 5, 3)
        np.testing.assert_array_equal(loaded(x), model(x))
        assert model(x).shape == (2, 5, 4)
        assert [v.path for v in loaded.variables] == [v.path for v in model.variables]
        assert loaded.get_layer("lstm").get_config() == model.get_layer("lstm").get_config()


class TestDecoder:
    def decoder(self, units=(4,), **options):
        decoder = FrameDecoder(units, scale=0.5, **options)
        states = [drawn(2, size) for size in units for _ in range(2)]
        return decoder, states

    def test_counts_of_the_card(self):
        decoder = FrameDecoder((2048,))
        decoder.build([(None, 10, 4096), (None, 2048), (None, 2048)])
        assert decoder.count_params() == 58_738_688

    @pytest.mark.parametrize("conditional", [True, False])
    def test_it_goes_on_from_the_state(self, conditional):
        """By its cell and its layer of frames; the first step has no input."""
        decoder, (h, c) = self.decoder(conditional=conditional)
        frames = RNG.random((2, 3, 5)).astype(np.float32)
        told = np.asarray(decoder([frames, h, c], training=True))
        x, states = np.zeros((2, 5), np.float32), [h, c]
        for step in range(3):
            hidden, states = decoder.cells[0](x, states)
            np.testing.assert_allclose(told[:, step], decoder.frame(hidden), atol=1e-6)
            x = frames[:, step] if conditional else x

    @pytest.mark.parametrize("binary", [True, False])
    def test_its_own_frames_are_fed_back(self, binary):
        """Otherwise than in training, in which it sees the true ones: all but the last."""
        decoder, states = self.decoder(binary=binary)
        frames = RNG.random((2, 3, 5)).astype(np.float32)
        own = np.asarray(decoder([frames, *states]))
        np.testing.assert_array_equal(decoder([1 - frames, *states]), own)
        fed = 1 / (1 + np.exp(-own)) if binary else own
        np.testing.assert_allclose(decoder([fed, *states], training=True), own, atol=1e-6)
        other = frames.copy()
        other[:, -1] = 0
        true = np.asarray(decoder([frames, *states], training=True))
        np.testing.assert_array_equal(decoder([other, *states], training=True), true)
        assert abs(true - own)[:, 1:].max() > 1e-3 and not abs(true - own)[:, 0].any()

    def test_a_stack(self, tmp_path):
        decoder, states = self.decoder((4, 3))
        inputs = [keras.Input((3, 5)), *(keras.Input((size,)) for size in (4, 4, 3, 3))]
        model = keras.Model(inputs, decoder(inputs))
        frames = drawn(2, 3, 5)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded([frames, *states]), model([frames, *states]))
        assert loaded.layers[-1].get_config() == decoder.get_config()
        assert [v.path for v in loaded.variables] == [v.path for v in model.variables]
        with pytest.raises(ValueError, match="takes a list of 5 inputs: frames, h1, c1, h2, c2"):
            decoder([frames, *states[:2]])


@pytest.mark.parametrize("units", [0, 2.5])
def test_wrong_units_are_named(units):
    with pytest.raises(ValueError, match="`units` must be a positive integer"):
        PeepholeLSTMCell(units)
    with pytest.raises(ValueError, match=r"`units\[1\]` must be a positive integer"):
        FrameDecoder((3, units))
