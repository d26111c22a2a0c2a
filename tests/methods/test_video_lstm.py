"""Video LSTMs: the card's tests, their data, losses, networks and measures, and what they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.data.digits import MovingDigits, moving_digits
from tfssl.data.rendered import FrameClip, MovingSource, moving_source
from tfssl.errors import ConfigError
from tfssl.evaluation.record import read_record
from tfssl.methods import VideoLstm
from tfssl.methods.video_lstm import released_optimizer
from tfssl.methods.video_lstm.evaluate import _Telling
from tfssl.methods.video_lstm.loss import FrameCrossEntropy, FrameSquaredError
from tfssl.methods.video_lstm.network import build_network

RNG = np.random.default_rng(0)
TINY = {"input_frames": 3, "future_frames": 2, "units": (8,), "crop_size": 8, "digits": 1, "digit_size": 4}
COLOR = TINY | {"channels": 3, "loss": "squared_error"}


def clip(frames, size=8):
    """Frames whose levels are their numbers."""
    return {"clip": FrameClip(np.stack([np.full((size, size, 3), number, np.uint8) for number in range(frames)]))}


class TestNetwork:
    def test_counts(self):
        """Card: an encoder of 50,345,984 and two decoders of 58,738,688."""
        both = {"reconstruction": True, "future": True}
        assert VideoLstm().decoders == both
        assert build_network((64, 64, 1), both).count_params() == 167_823_360

    def test_the_future_is_not_read(self):
        """Card, test 5; nor does the reconstruction read anything but the clip, through the state."""
        method = VideoLstm(**TINY)
        model = method.model()
        clips = RNG.random((2, 5, 8, 8, 1)).astype(np.float32)
        other = clips.copy()
        other[:, 3:] = RNG.random((2, 2, 8, 8, 1))
        ours, theirs = (model(x, training=False) for x in (clips, other))
        for name in ("reconstruction", "future"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        ours, theirs = (model(x, training=True)["future"] for x in (clips, other))
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
        assert abs(ours[:, 1] - theirs[:, 1]).numpy().max() > 0, "in training the true frame before"

    def test_the_last_frame_is_told_first(self):
        """Card, test 2: targets are the frames 3, 2, 1, and 4, 5."""
        clips, targets = VideoLstm(**TINY).prepare(np.arange(5, dtype=np.uint8)[None, :, None, None, None] * 51)
        np.testing.assert_allclose(clips[0, :, 0, 0, 0], [0, 0.2, 0.4, 0.6, 0.8], atol=1e-6)
        np.testing.assert_allclose(targets["reconstruction"][0, :, 0, 0, 0], [0.4, 0.2, 0], atol=1e-6)
        np.testing.assert_allclose(targets["future"][0, :, 0, 0, 0], [0.6, 0.8], atol=1e-6)

    @pytest.mark.parametrize("objective", ["reconstruction", "future"])
    def test_one_decoder(self, objective):
        method = VideoLstm(**TINY, objective=objective)
        assert method.frames == (3 if objective == "reconstruction" else 5)
        inputs, targets = next(iter(method.dataset(moving_digits(size=8, digit_size=4, frames=5), batch_size=2)))
        found = method.model()(inputs)
        assert list(found) == list(targets) == [objective] and found[objective].shape == targets[objective].shape

    @pytest.mark.parametrize("units", [(8,), (8, 6)])
    def test_the_encoder_is_the_state(self, units):
        method = VideoLstm(**TINY | {"units": units})
        model = method.model()
        encoder = method.encoder(model)
        assert encoder.modality == "clip"
        assert list(encoder.taps) == (
            ["cell", "hidden"] if len(units) == 1 else ["cell1", "hidden1", "cell2", "hidden2"]
        )
        levels = RNG.integers(0, 256, (2, 3, 8, 8, 1), np.uint8).repeat(3, axis=-1)
        x, state = (levels[..., :1] / 255).astype(np.float32).reshape(2, 3, 64), {}
        for number, _ in enumerate(units, 1):
            x, state["hidden"], state["cell"] = model.get_layer(f"lstm{number}")(x)
        last = list(encoder(levels).values())[-2:]
        for ours, theirs in zip(last, (state["cell"], state["hidden"]), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


class TestLosses:
    def test_one_half_everywhere(self):
        """Card, test 4: 4096 ln 2 a frame."""
        truth = RNG.integers(0, 2, (2, 3, 64, 64, 1)).astype(np.float32)
        assert float(FrameCrossEntropy()(truth, np.zeros_like(truth))) == pytest.approx(2839.13, abs=0.01)
        assert VideoLstm().baseline == pytest.approx(2 * 2839.13, abs=0.02)

    def test_by_hand(self):
        truth, told = (np.array(values, np.float32).reshape(1, 2, 1, 1, 2) for values in ([1, 0, 1, 0], [0, 0, 2, -1]))
        expected = (2 * np.log(2) + np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2
        assert float(FrameCrossEntropy()(truth, told)) == pytest.approx(expected, abs=1e-6)
        assert float(FrameSquaredError()(truth, told)) == pytest.approx((1 + 0 + 1 + 1) / 2 / 2)
        assert VideoLstm(**COLOR, objective="future").baseline == 8 * 8 * 3 / 8

    def test_the_released_rule(self):
        """dw_history <- clip(0.9 dw_history - eps (dw + l2 w), 1e-4), dw a sum over 2 frames and 3 clips; biases free
        of l2."""
        kernel, bias = (keras.Variable(np.ones((2,), np.float32) * 5, name=name) for name in ("kernel", "bias"))
        optimizer = released_optimizer(frames=2, batch_size=3)
        expected, history = [np.full(2, 5.0), np.full(2, 5.0)], [np.zeros(2), np.zeros(2)]
        optimizer.build([kernel, bias])
        for gradient in ([0.1, 30.0], [-0.2, -0.1], [0.02, 0.05]):
            optimizer.apply([np.array(gradient, np.float32) / 6] * 2, [kernel, bias])
            for number, l2 in enumerate((1e-4, 0.0)):
                change = 1e-4 * (np.array(gradient) + l2 * expected[number])
                history[number] = np.clip(0.9 * history[number] - change, -1e-4, 1e-4)
                expected[number] = expected[number] + history[number]
        np.testing.assert_allclose(kernel, expected[0], rtol=1e-7)
        np.testing.assert_allclose(bias, expected[1], rtol=1e-7)
        assert history[0][1] == pytest.approx(-0.9e-4 * 0.9 + 1e-4 * 0.09 - 1e-4 * 0.05, abs=1e-6)


class TestClips:
    def test_consecutive_frames_from_anywhere(self):
        method = VideoLstm(**TINY | {"stride": 2})
        found = {
            tuple(method.sample(clip(12), np.random.default_rng(seed), True)[0][:, 0, 0, 0].tolist())
            for seed in range(60)
        }
        assert found == {tuple(range(start, start + 9, 2)) for start in range(4)}

    def test_patches_are_cut_alike(self):
        ramp = np.add.outer(np.arange(16), 10 * np.arange(20)).astype(np.uint8)
        example = {"clip": FrameClip(np.stack([np.stack([ramp] * 3, -1)] * 5))}
        method = VideoLstm(**COLOR | {"resize": 16})
        first, *others = (method.sample(example, np.random.default_rng(seed), True)[0] for seed in range(9))
        assert first.shape == (5, 8, 8, 3)
        assert (first == first[0]).all() and len({part.tobytes() for part in (first, *others)}) > 3

    def test_whole_frames_are_scaled(self):
        frames = np.zeros((5, 16, 24, 3), np.uint8)
        frames[:, :, 4:20] = 200
        found = VideoLstm(**TINY).sample({"clip": FrameClip(frames)}, RNG, True)[0]
        assert found.shape == (5, 8, 8, 1) and (found == 200).all()

    def test_short_clips_are_named(self):
        with pytest.raises(ValueError, match="has 4 frames, too few for a window of 5; lower input_frames"):
            VideoLstm(**TINY).sample(clip(4), RNG, True)

    def test_what_is_opened(self, tmp_path):
        method = VideoLstm(**TINY)
        train, test = (method.open(data) for data in ("builtin", "builtin:test"))
        assert isinstance(train, MovingDigits) and len(train) == 100_000 and len(test) == 1000
        assert train.digits.shape == (1437, 4, 4) and test.digits.shape == (360, 4, 4) and train.seed != test.seed
        np.save(tmp_path / "mnist.npy", np.full((2, 28, 28), 9, np.uint8))
        assert method.open(tmp_path / "mnist.npy").digits.shape == (2, 4, 4)
        assert isinstance(method.open(moving_source()), MovingSource)


class TestMeasures:
    def test_by_hand(self):
        """Two clips of two pixels and one step. Of the pixels that were 0 before, one is 1 now and one is 0: ln 2 each;
        those that were 1 are 1. The mean frame has 1/2 at the first pixel, 1 at the second."""
        telling = _Telling(binary=True)
        last = np.array([[0, 1], [0, 1]]).reshape(2, 1, 2, 1)
        truth = np.array([[0, 1], [1, 1]], np.float64).reshape(2, 1, 1, 2, 1)
        for part in (0, 1):  # batches
            telling.add(last[[part]], truth[[part]], np.full((1, 1, 1, 2, 1), np.log(3)))
        steps = telling.steps()
        # s(ln 3) = 3/4: of 1 ln 4/3, of 0 ln 4.
        assert steps["model"] == pytest.approx([(3 * np.log(4 / 3) + np.log(4)) / 2])
        assert steps["copying"] == pytest.approx([np.log(2)])
        assert steps["mean frame"] == pytest.approx([np.log(2)])
        assert steps["truth"] == pytest.approx([0])

    def test_of_squares(self):
        telling = _Telling(binary=False)
        last = np.array([0, 0, 1, 1]).reshape(1, 1, 4, 1)
        truth = np.array([[0, 1, 0.5, 0.5], [1, 1, 1, 1]]).reshape(1, 2, 1, 4, 1)
        telling.add(last, truth, np.zeros_like(truth))
        steps = telling.steps()
        assert steps["model"] == pytest.approx([0.5 * 1.5, 0.5 * 4])
        assert steps["copying"] == pytest.approx([0.5 * 2 * 0.25, 0])
        assert steps["mean frame"] == pytest.approx([0.5 * (0.5 + 0 + 2 * 0.125) / 2] * 2)
        assert steps["truth"].tolist() == [0, 0]

    def test_a_record(self, tmp_path):
        method = VideoLstm(**TINY | {"crop_size": 16})
        record = method.evaluate(method.model(), "builtin:test", limit=5, batch_size=2, out=tmp_path)
        assert {p.name for p in tmp_path.iterdir()} == {"metrics.json", "sheet.png", "steps.png"}
        assert next(iter(read_record(tmp_path).metrics)) == "future_loss"
        whole = method.evaluate(method.model(), "builtin:test", limit=5)
        for name, metric in record.metrics.items():
            if "loss" in name:
                assert list(metric.baselines) == ["copying", "mean frame", "truth"]
                assert metric.baselines == pytest.approx(whole[name].baselines)
        losses = [record[f"future_loss_{step}"].value for step in (1, 2)]
        assert record["future_loss"].value == pytest.approx(np.mean(losses))
        first = record["reconstruction_loss_1"].baselines
        assert first["copying"] == pytest.approx(first["truth"]), "card, test 2: copying is right at step 1"
        assert record["reconstruction_loss_2"].baselines["copying"] > 1.1 * first["truth"]
        assert record["mse"].baselines["copying"] > 0 and record["images"].value == 5

    def test_short_and_broken_clips_are_skipped(self, tmp_path, tiny_data):
        from pathlib import Path
        from shutil import copy

        for path in Path(tiny_data("clips")).iterdir():
            copy(path, tmp_path)
        (tmp_path / "broken.mp4").write_bytes(b"no film")
        method = VideoLstm(**COLOR | {"crop_size": 16})
        record = method.evaluate(method.model(), tmp_path)
        assert record["images"].value == 6 and list(record.skipped) == [str(tmp_path / "broken.mp4")]
        assert record["future_loss"].unit == "" and record["future_loss"].baselines["truth"] == 0


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"digit_size": 65}, r"`digit_size` must be at most crop_size \(64\)"),
        ({"resize": 32}, r"`resize` must be at least crop_size \(64\)"),
        ({"objective": "both"}, "`objective`"),
        ({"units": []}, "`units`"),
        ({"channels": 2}, "`channels`"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        VideoLstm(**fields)


@pytest.mark.slow
def test_learns_a_few_clips():
    """Bars that go round and round: a few seconds are enough to tell where they go on."""
    keras.utils.set_random_seed(0)
    bars = np.zeros((8, 5, 8, 8, 3), np.uint8)
    for start in range(8):
        for time in range(5):
            bars[start, time, :, (start + time) % 8] = 255
    method = VideoLstm(**TINY | {"units": (32,)})
    model = method.model(keras.optimizers.Adam(0.01))
    clips, targets = method.prepare(bars[..., :1])
    data = tf.data.Dataset.from_tensors((clips, targets)).repeat(150)
    model.fit(data, verbose=0)
    told = np.asarray(model(clips, training=False)["future"]) > 0
    assert np.mean(told == (np.asarray(targets["future"]) > 0.5)) > 0.98


class TestPercepts:
    FIELDS = TINY | {"percepts": 6, "loss": "squared_error"}

    def test_from_files_to_the_state(self, tmp_path):
        for number in range(4):
            np.save(tmp_path / f"{number}.npy", RNG.random((7, 6)).astype(np.float32))
        np.save(tmp_path / "short.npy", np.ones((3, 6)))
        np.save(tmp_path / "wide.npy", np.ones((9, 7)))
        (tmp_path / "broken.npy").write_bytes(b"no array")
        method = VideoLstm(**self.FIELDS)
        model = method.model()
        clips, targets = next(iter(method.dataset(tmp_path, batch_size=4)))
        assert clips.shape == (4, 5, 1, 1, 6) and targets["future"].shape == (4, 2, 1, 1, 6)
        model.fit(method.dataset(tmp_path, batch_size=4), verbose=0)
        record = method.evaluate(model, tmp_path, out=tmp_path / "out")
        assert record["images"].value == 4 and "mse" not in record.metrics
        reasons = " ".join(record.skipped.values())
        for reason in ("3 frames, too few", "has 7 numbers a frame; set percepts", "cannot be read as an array"):
            assert reason in reasons
        assert (tmp_path / "out" / "sheet.png").stat().st_size > 1000
        states = method.encoder(model)(RNG.normal(size=(2, 3, 6)).astype(np.float32))
        assert {name: value.shape for name, value in states.items()} == {"cell": (2, 8), "hidden": (2, 8)}

    def test_copying_is_as_it_is(self):
        telling = _Telling(binary=False, pixels=False)
        last, truth = np.array([2.0, -1.0]).reshape(1, 1, 1, 2), np.array([[3.0, 1.0]]).reshape(1, 1, 1, 1, 2)
        telling.add(last, truth, truth)
        steps = telling.steps()
        assert steps["copying"].tolist() == [0.5 * (1 + 4)] and steps["model"].tolist() == [0]

    def test_they_need_squares(self):
        with pytest.raises(ConfigError, match="`loss` must be 'squared_error' for percepts"):
            VideoLstm(percepts=6)
