"""A convolutional LSTM worked by hand, and the schedule of true frames."""

import keras
import numpy as np
import pytest

from tfssl.layers.normalization import MapNormalization
from tfssl.layers.recurrent import ConvLSTMCell, ScheduledSampling


def test_without_weights_memory_fades():
    """The card's: c' = c sigmoid(1), h' = tanh(c') / 2."""
    cell = ConvLSTMCell(2, 3)
    c = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    inputs = [np.zeros((1, 4, 4, 3), np.float32), np.zeros_like(c), c]
    cell(inputs)
    cell.set_weights([np.zeros_like(w) for w in cell.get_weights()])
    h, after = (np.asarray(part) for part in cell(inputs))
    np.testing.assert_allclose(after, c / (1 + np.exp(-1)), rtol=1e-6)
    np.testing.assert_allclose(h, np.tanh(after) / 2, rtol=1e-6)


def test_gates_by_hand():
    """One pixel, a 1x1 kernel: every gate is a number of its own."""
    cell = ConvLSTMCell(1, 1)
    x, h, c = (np.full((1, 1, 1, 1), value, np.float32) for value in (2.0, 0.5, 0.3))
    cell([x, h, c])
    cell.set_weights([np.float32([[[[0.1, 0.2, 0.3, 0.4], [1, -1, 0.5, 2]]]]), np.float32([0, 0.1, 0, -0.2])])
    i, j, f, o = 0.2 + 0.5, 0.4 - 0.5 + 0.1, 0.6 + 0.25, 0.8 + 1.0 - 0.2

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    memory = 0.3 * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    found = cell([x, h, c])
    assert float(found[1][0, 0, 0, 0]) == pytest.approx(memory, rel=1e-5)
    assert float(found[0][0, 0, 0, 0]) == pytest.approx(np.tanh(memory) * sigmoid(o), rel=1e-5)


def test_parameters_of_the_published_cells():
    cell = ConvLSTMCell(128)
    cell([np.zeros((1, 8, 8, n), np.float32) for n in (64, 128, 128)])
    assert cell.count_params() == 2_458_112


@pytest.mark.parametrize(("step", "true"), [(0, 32), (3000, 31), (5000, 25), (6122, 16), (8000, 4), (10000, 0)])
def test_published_schedule(step, true):
    """The card's counts, of batches of 32 and k = 900."""
    assert int(ScheduledSampling(8).true_frames(step, 32)) == true


def test_true_frames_are_drawn_anew_for_every_step():
    frames = np.zeros((16, 3, 2, 2, 1), np.float32)
    layer = ScheduledSampling(40, decay=10.0, seed=0)
    first = np.asarray(layer(frames, training=True))
    assert (first.sum(axis=0) == 15).all() and set(np.unique(first)) == {0, 1}, "round(16 * 10 / 11)"
    assert len(np.unique(first.argmin(axis=0))) > 5
    for _ in range(22):
        layer(frames, training=True)
    assert int(layer.trained) == 23 == int(np.log(10) * 10)
    assert np.asarray(layer(frames, training=True)).sum(axis=0)[0] == 8, "half at k ln k"
    assert not np.asarray(layer(frames, training=False)).any(), "none in inference, and it does not count"
    assert int(layer.trained) == 24


def test_no_true_frame_without_a_schedule():
    """The card's k = -1."""
    layer = ScheduledSampling(4, decay=None)
    assert not np.asarray(layer(np.zeros((3, 5, 2, 2, 1), np.float32), training=True)).any()


def test_the_count_of_steps_is_saved(tmp_path):
    inputs = keras.Input((3, 2, 2, 1))
    model = keras.Model(inputs, ScheduledSampling(2, name="schedule")(inputs))
    model(np.zeros((4, 3, 2, 2, 1), np.float32), training=True)
    model.save(tmp_path / "model.keras")
    assert int(keras.saving.load_model(tmp_path / "model.keras").get_layer("schedule").trained) == 1


def test_maps_are_normalized_as_a_whole():
    layer = MapNormalization()
    x = np.random.default_rng(0).normal(3, 2, (2, 4, 5, 3)).astype(np.float32)
    layer(x)
    layer.set_weights([np.float32([1, 2, 3]), np.float32([0, 0, 1])])
    mean, deviation = x.mean(axis=(1, 2, 3), keepdims=True), x.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(layer(x), (x - mean) / deviation * [1, 2, 3] + [0, 0, 1], atol=1e-4)
    assert layer.count_params() == 6
    assert np.isfinite(np.asarray(layer(np.ones((1, 4, 5, 3), np.float32)))).all()
