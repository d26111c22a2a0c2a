"""Odometry: its examples, classes, both phases, what it learns, and data that do not serve."""

import logging

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tfssl.data.corridors import corridor_source
from tfssl.data.posed import write_sequence
from tfssl.data.source import Source
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import Odometry
from tfssl.methods.odometry.data import window
from tfssl.methods.odometry.loss import ClassCrossEntropy, class_weights
from tfssl.ops.trajectory import centers, motions, path_of, poses_of_path

TINY = {"patch_size": 6, "components": 10, "units": 8, "channels": 8, "hidden": 16, "dropout": 0.0, "patches": 4}


@pytest.fixture(scope="module")
def drives():
    return [corridor_source(frames=9, seed=seed) for seed in (0, 1)]


class Shifts(Source):
    """Frames of noise that moves sideways as the camera turns, with a disparity that is the speed: no scene, a law."""

    def __init__(self, seed, frames=60):
        rng = np.random.default_rng(seed)
        self.baseline = 0.5
        steps = np.stack([rng.integers(1, 4, 12) * 0.25, rng.integers(-1, 2, 12) * 0.02], axis=1).repeat(5, axis=0)
        self.poses = poses_of_path(path_of(steps[: frames - 1]))
        noise = gaussian_filter(rng.normal(size=(16, 400)), 1.2)
        self.noise = np.uint8(np.clip(128 + 40 * noise / noise.std(), 0, 255))
        self.left = 200 + np.concatenate([[0], np.cumsum(np.rint(steps[:, 1] / 0.02))]).astype(int)
        self.speed = np.rint(np.concatenate([steps[:, 0], [0.25]]) / 0.25).astype(int)

    def __len__(self):
        return len(self.poses)

    def example(self, index):
        begin = self.left[index]
        cut = [Image.fromarray(self.noise[:, x : x + 48]) for x in (begin, begin + self.speed[index])]
        return {"left": cut[0], "right": cut[1], "pose": self.poses[index]}


class TestExamples:
    def test_a_window_has_left_before_right_and_its_motion(self, drives):
        method = Odometry(**TINY)
        example = method.open(drives).example(2)
        pixels, motion = method.sample(example, np.random.default_rng(0), False)
        assert pixels.shape == (32, 96, 10) and pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels[..., 1], example["left"][1])
        np.testing.assert_array_equal(pixels[..., 9], example["right"][4])
        np.testing.assert_allclose(motion, motions(drives[0].poses, 4)[2], rtol=1e-6)

    def test_mirrored_cameras_change_places_and_turns_their_sign(self, drives):
        method = Odometry(**TINY)
        example = method.open(drives).example(2)
        (pixels, motion), (mirrored, negated) = (window(method, example, mirrored=m) for m in (False, True))
        np.testing.assert_array_equal(mirrored[..., :5], pixels[:, ::-1, 5:])
        np.testing.assert_array_equal(negated, motion * [1, -1])

    def test_larger_frames_are_scaled_and_cut(self, drives):
        method = Odometry(**TINY, width=64)
        large = {"left": [Image.new("L", (613, 185), 80)] * 5, "right": [Image.new("L", (613, 185), 90)] * 5}
        pixels, _ = method.sample(large | {"pose": drives[0].poses[:5]}, np.random.default_rng(0), False)
        assert pixels.shape == (32, 64, 10) and (pixels[..., :5] == 80).all() and (pixels[..., 5:] == 90).all()
        with pytest.raises(ValueError, match="613x185 pixels are too narrow for 120 x 32"):
            window(Odometry(**TINY, width=120), large | {"pose": drives[0].poses[:5]})

    def test_blocks_are_of_one_place_of_both_cameras(self, drives):
        method = Odometry(**TINY, mirror=False)
        example = method.open(drives).example(0)
        same = example | {"right": example["left"]}
        (blocks,) = method.sample_blocks(same, np.random.default_rng(0), True)
        assert blocks.shape == (4, 2, 6, 6, 5)
        np.testing.assert_array_equal(blocks[:, 0], blocks[:, 1])
        (x, y), both = method.prepare_blocks(blocks)
        assert x.shape == (4, 10)
        np.testing.assert_array_equal(both, np.concatenate([x, y], axis=1))

    def test_equal_pixels_have_nothing_to_learn_from(self):
        assert "equal" in Odometry(**TINY).blank(np.full((32, 96, 10), 7, np.uint8), np.zeros(2, np.float32))


class TestClasses:
    def test_statistics_span_the_data(self, drives):
        method = Odometry(**TINY)
        method = method.adapted(method.adapt(method.open(drives)))
        true = np.concatenate([motions(drive.poses) for drive in drives])
        velocity, heading = (centers(method.edges(name)) for name in ("velocity", "heading"))
        assert velocity[0] == pytest.approx(true[:, 0].min()) and velocity[-1] == pytest.approx(true[:, 0].max())
        assert heading[0] == pytest.approx(-heading[-1]) and heading[10] == pytest.approx(0)
        assert method.statistics["velocity_counts"].sum() == 2 * len(true)
        assert 0 < method.baseline < Odometry(**TINY).baseline == pytest.approx(2 * np.log(21))

    def test_a_soft_class_has_the_number_for_its_mean(self):
        edges = [0, 1, 2, 4, 5]
        values = np.array([0.5, 1.2, 2.5, 4.5, 9.0, -3.0], np.float32)
        weights = np.asarray(class_weights(keras.ops.convert_to_tensor(values), edges))
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(weights @ centers(np.array(edges)), np.clip(values, 0.5, 4.5), atol=1e-6)
        np.testing.assert_allclose(weights[1], [0.3, 0.7, 0, 0], atol=1e-6)
        hard = np.asarray(class_weights(keras.ops.convert_to_tensor(values), edges, soft=False))
        np.testing.assert_array_equal(hard.argmax(axis=1), [0, 1, 2, 3, 3, 0])

    def test_loss(self):
        answers = np.array([[0.2, 0.5, 0.3]], np.float32)
        soft, hard = (
            float(ClassCrossEntropy([0, 1, 2, 3], soft)(np.array([1.75], np.float32), answers))
            for soft in (True, False)
        )
        assert soft == pytest.approx(-0.75 * np.log(0.5) - 0.25 * np.log(0.3), rel=1e-5)
        assert hard == pytest.approx(-np.log(0.5), rel=1e-5)


def test_the_second_phase_takes_the_filters_of_the_first(drives):
    method = Odometry(**TINY)
    first, second = method.phases
    assert (first.name, second.name, first.fraction + second.fraction) == ("synchrony", "odometry", 1)
    autoencoder = first.model(None, None)
    classifier = second.model(None, autoencoder)
    for ours, theirs in zip(
        classifier.get_layer("product").weights, autoencoder.get_layer("product").weights, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert len(Odometry(**TINY, initialize="random").phases) == 1


def test_encoder_answers_as_the_model(drives):
    method = Odometry(**TINY)
    method = method.adapted(method.adapt(method.open(drives)))
    model = method.model()
    pixels, _ = window(method, method.open(drives).example(1))
    inputs, _ = method.prepare(pixels[None], np.zeros((1, 2), np.float32))
    taps = method.encoder(model)(np.repeat(pixels.transpose(2, 0, 1)[None, ..., None], 3, axis=-1))
    for name in ("velocity", "heading"):
        np.testing.assert_allclose(taps[name], model(inputs)[name], atol=1e-4)


@pytest.mark.slow
def test_learns_speed_and_turns(tmp_path):
    """From disparities and shifts that stand for them, within seconds; other noise, other drives."""
    keras.utils.set_random_seed(0)
    method = Odometry(
        height=16, width=48, frames=3, patch_size=6, stride=2, components=30, units=32, channels=16, hidden=32,
        velocity_bins=3, heading_bins=3, dropout=0.0, mirror=False,
    )  # fmt: skip
    source = method.open([Shifts(seed) for seed in range(16)])
    method = method.adapted(method.adapt(source))
    first, second = method.phases
    autoencoder = first.model(None, None)
    losses = autoencoder.fit(first.dataset(source, batch_size=64, count=30), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    model = second.model(keras.optimizers.Adam(3e-3), autoencoder)
    model.fit(method.dataset(source, batch_size=32, start=0, count=80), verbose=0)
    record = method.evaluate(model, [Shifts(seed) for seed in (50, 51)], out=tmp_path, segment=5.0)
    assert record["velocity_error"].value < 0.6 * record["velocity_error"].baselines["constant_velocity"]
    assert record["turn_error"].value < 0.6 * record["turn_error"].baselines["constant_velocity"]
    assert record["drift"].value < 0.6 * record["drift"].baselines["constant_velocity"]
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "paths.png"}


class TestEvaluation:
    def test_true_answers_go_the_true_way(self, drives, monkeypatch):
        from tfssl.methods.odometry import evaluate

        method = Odometry(**TINY)
        method = method.adapted(method.adapt(method.open(drives)))
        true = np.concatenate([motions(drive.poses) for drive in drives])

        def told(_, model, pixels):
            answers, model[:] = np.array(model[: len(pixels)]), model[len(pixels) :]
            return np.zeros((len(pixels), 2), int), answers

        monkeypatch.setattr(evaluate, "_predicted", told)
        record = method.evaluate(list(true), drives, segment=1.0, batch_size=4)
        assert record["drift"].value < 0.02 < record["drift"].baselines["constant_velocity"]
        assert record["heading_error"].value < 0.1 and record["turn_error"].value < 1e-6  # the ends are averaged less
        assert float(record["images"]) == 10 and float(record["sequences"]) == 2
        assert [row["name"] for row in record.details["sequences"]] == ["sequence 0", "sequence 1"]

    def test_short_paths_have_no_errors_of_kitti(self, drives):
        method = Odometry(**TINY)
        record = method.evaluate(method.model(), drives, limit=3)
        assert "translation_error" not in record and float(record["images"]) == 3

    def test_what_cannot_be_read_is_told_and_the_rest_goes_on(self, drives, tmp_path, caplog):
        for name, drive in zip("ab", drives, strict=True):
            write_sequence(drive, tmp_path / name)
        (tmp_path / "a" / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
        (tmp_path / "b" / "image_r" / "000008.png").write_bytes(b"no image")
        method = Odometry(**TINY)
        with caplog.at_level(logging.WARNING, logger="tfssl"):
            record = method.evaluate(method.model(), tmp_path, segment=1.0)
        assert float(record["sequences"]) == 1 and float(record["images"]) == 4
        assert set(record.skipped) == {"a", "b, frame 4"} and "1 rows for 9 frames" in record.skipped["a"]
        assert "a is left out: " in caplog.text
        with pytest.raises(ConfigError, match="`segment` must be above 0"):
            method.evaluate(method.model(), tmp_path, segment=0)
        with pytest.raises(SourceError, match="1 rows for 9 frames"):
            method.evaluate(method.model(), tmp_path / "a")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"patch_size": 10, "components": 500}, "`components` must be below the 500 pixels of a block"),
        ({"patch_size": 30}, "`patch_size` must leave two positions"),
        ({"initialize": "synchron"}, "did you mean `synchrony`"),
        ({"frames": 1}, "`frames`.* Received: frames=1"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        Odometry(**fields)
