"""Ambient sound: the card's tests, what becomes of textures, what is dropped, the networks and losses."""

import keras
import numpy as np
import pytest

from tests.data.test_sounding import gray_frames, write_clip
from tfssl.data.rendered_sounds import sounding_scenes
from tfssl.data.sounding import textures
from tfssl.data.workers import ParallelSource
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.sounds import purity
from tfssl.methods import AmbientSound
from tfssl.methods.ambient_sound import data
from tfssl.methods.ambient_sound.evaluate import cluster_metrics, code_metrics
from tfssl.methods.ambient_sound.loss import CodeAccuracy, CodeCrossEntropy
from tfssl.methods.ambient_sound.network import build_network

TINY = {"seconds": 1.0, "resize": 24, "crop_size": 20, "backbone": "small", "fc": (), "dropout": 0.0, "clusters": 4}


def tiny(**fields):
    return AmbientSound(**TINY | fields)


@pytest.fixture(scope="module")
def scenes():
    return sounding_scenes(count=80, image_size=24)


@pytest.fixture(scope="module")
def found(scenes):
    return textures(scenes)[0]


class TestNetwork:
    def test_counts(self):
        """Card: CaffeNet without batch normalization 56,991,134; 9,568 channels get scale and offset for biases."""
        network = build_network("alexnet", size=227, outputs=30)
        trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        assert trainable == 56_991_134 - 9_568 + 19_136 == 57_000_702
        shapes = {tap: tensor.shape[1:] for tap, tensor in network.get_layer("trunk").output.items()}
        assert [shapes[f"conv{i}"][-1] for i in range(1, 6)] == [96, 256, 384, 384, 256]
        sizes = network.get_layer("trunk").compute_output_shape((1, 227, 227, 3))
        assert [sizes[tap][1] for tap in ("conv1", "conv2", "conv3", "conv4", "conv5", "pool5")] == [
            55,
            27,
            13,
            13,
            13,
            6,
        ]

    def test_the_encoder_is_the_convolutions(self):
        method = tiny()
        model = method.model()
        image = np.random.default_rng(0).integers(0, 256, (1, 40, 30, 3), np.uint8)
        ours = method.encoder(model)(image)
        theirs = model.get_layer("trunk")(image.astype(np.float32) / 255)
        assert list(ours) == [f"conv{i}" for i in range(1, 6)]
        np.testing.assert_allclose(ours["conv5"], theirs["conv5"], atol=1e-6)

    def test_a_network_of_others(self):
        network = build_network({"applications": "MobileNetV2", "alpha": 0.35}, size=64, outputs=5, fc=(), dropout=0.1)
        assert network.output_shape == (None, 5)


class TestLosses:
    def test_bits_are_summed(self):
        logits = np.array([[0.0, 2.0, -1.0]], np.float32)
        bits = np.array([[1, 0, 0]], np.uint8)
        by_hand = np.log(2) + np.log1p(np.exp(2)) + np.log1p(np.exp(-1))
        assert float(CodeCrossEntropy()(bits, logits)) == pytest.approx(by_hand, rel=1e-5)
        accuracy = CodeAccuracy()
        accuracy.update_state(bits, logits)
        assert float(accuracy.result()) == pytest.approx(1 / 3)  # a logit of 0 is no 1
        assert code_metrics(logits, bits)[0]["loss"] == pytest.approx(by_hand)

    def test_guessing(self):
        assert AmbientSound().baseline == pytest.approx(np.log(30))
        assert AmbientSound(targets="binary").baseline == pytest.approx(30 * np.log(2))


class TestTargets:
    @pytest.fixture(autouse=True)
    def _textures_once(self, found, monkeypatch):
        monkeypatch.setattr(data, "textures", lambda source, cache: (found, {}))

    def test_clusters_are_the_kinds_of_sound(self, scenes, found):
        """Card, test 12: k-means with K = 4."""
        method = tiny().adapted(tiny().adapt(scenes))
        assert purity(data.targets(method, found), np.array(scenes.labels)) > 0.95

    def test_groups_weigh_the_same(self, scenes, found):
        """Card, test 11."""
        from tfssl.ops.sound_texture import GROUPS

        statistics = tiny().adapt(scenes)
        vectors = (found - statistics["mean"]) * statistics["scale"]
        for group in GROUPS.values():
            assert np.mean(np.sum(vectors[:, group] ** 2, axis=1)) == pytest.approx(1, abs=1e-4)

    @pytest.mark.parametrize("drop", ["all", "cluster", "none"])
    def test_the_farther_half_is_dropped(self, scenes, found, drop):
        """Card, test 11: of distinct distances the median keeps ceil(n / 2)."""
        method = tiny(drop=drop).adapted(tiny(drop=drop).adapt(scenes))
        near, clusters = data.near(method, found), data.targets(method, found)
        if drop == "none":
            assert near.all() and data.without_far(method, scenes) is scenes
            return
        if drop == "all":
            assert near.sum() == 40
        else:
            for cluster in range(4):
                assert near[clusters == cluster].sum() == -(-np.sum(clusters == cluster) // 2)
        kept = data.without_far(method, scenes)
        assert sorted(kept.indices.tolist()) == np.flatnonzero(near).tolist()
        with ParallelSource(scenes, 1) as parallel:
            assert data.without_far(method, parallel).source.indices.tolist() == kept.indices.tolist()
        assert sum(len(batch[1]) for batch in method.dataset(scenes, batch_size=8, training=True)) == len(kept) // 8 * 8
        assert sum(len(batch[1]) for batch in method.dataset(scenes, batch_size=8, training=False)) == 80

    @pytest.mark.parametrize("targets", ["binary", "spectrum"])
    @pytest.mark.parametrize("threshold", ["mean", "median"])
    def test_bits_are_balanced(self, scenes, found, targets, threshold):
        """Card, test 10: a constant in all textures changes no bit."""
        method = tiny(targets=targets, bits=6, threshold=threshold)
        method = method.adapted(method.adapt(scenes))
        bits = data.targets(method, found)
        assert bits.shape == (80, 6) and bits.dtype == np.uint8
        limit = 0.01 if threshold == "median" else 0.35  # four kinds: a direction may part one from three
        assert (abs(bits.mean(axis=0) - 0.5) <= limit).all()
        moved = method.adapted(method.statistics | {"mean": method.statistics["mean"] + 1})
        assert (data.targets(moved, found + 1) == bits).mean() > 0.999

    def test_bits_of_balanced_data(self):
        """Card, test 10."""
        drawn = np.random.default_rng(0).normal(size=(400, 502)).astype(np.float32)
        method = tiny(targets="binary", bits=30)
        method = method.adapted({"mean": np.zeros(502), "scale": np.ones(502)} | data._codes(method, drawn))
        ones = data.targets(method, drawn).mean(axis=0)
        assert ones.min() >= 0.4 and ones.max() <= 0.6

    def test_training_takes_what_adapt_found(self, scenes):
        method = tiny()
        statistics = method.adapt(scenes)
        other = method.adapted(statistics | {"found": np.full_like(statistics["found"], 3)})
        example = scenes.example(5)
        assert other.sample(example, np.random.default_rng(0), True)[1] == 3
        fresh = method.adapted(statistics).sample(example, np.random.default_rng(0), False)[1]
        assert fresh == statistics["found"][statistics["keys"].tolist().index(int(data._key(scenes.name(5))))]


class TestClips:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder, scenes = tmp_path_factory.mktemp("clips"), sounding_scenes(count=6, seconds=1.5)
        frames = list(np.random.default_rng(0).integers(0, 256, (18, 32, 48, 3), np.uint8))
        for number in range(6):
            write_clip(folder / f"{number}.mp4", frames, scenes.sound(number).read())
        write_clip(folder / "mute.mp4", frames)
        write_clip(folder / "silent.mp4", frames, np.zeros(30000))
        write_clip(folder / "short.mp4", gray_frames(6), scenes.sound(0).read()[:10000])
        return folder

    def test_what_does_not_serve_is_named(self, folder, tmp_path):
        method = tiny(frames=2)
        method = method.adapted(method.adapt(method.open(folder)))
        assert len(method.statistics["keys"]) == 12, "two windows of each of six clips"
        record = method.evaluate(method.model(), folder, out=tmp_path)
        assert float(record["images"]) == 12 and float(record["images_skipped"]) == 6
        reasons = {name.rpartition("/")[0].rpartition("/")[2]: reason for name, reason in record.skipped.items()}
        assert "has no sound" in reasons["mute.mp4 1"] and "silent, the loudness is 0.0" in reasons["silent.mp4 1"]
        assert "a window 1 s; lower seconds" in reasons["short.mp4 2"]
        assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "sheet.png"}

    def test_unusable_frames_stay_where_a_run_names_them(self, folder):
        method = tiny(frames=2)
        source = method.open(folder)
        method = method.adapted(method.adapt(source))
        kept = data.without_far(method, source)
        assert {kept.name(i) for i in range(len(kept))} >= {source.name(i) for i in range(12, 18)}
        assert len(kept) == 6 + 6

    def test_too_few_sounds(self, folder):
        method = tiny(frames=1, clusters=9)
        with pytest.raises(
            SourceError, match=r"6 of 9 sounds can be used, fewer than clusters: 9 \(.*; give more, or lower"
        ):
            method.adapt(method.open(folder))


def test_metrics_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]]))
    values, kinds = cluster_metrics(logits, np.array([0, 1, 1, 1]), np.array([True, True, True, False]))
    assert values["accuracy"] == 0.5 and values["commonest"] == 0.75
    assert values["accuracy_near"] == pytest.approx(2 / 3) == values["commonest_near"]
    assert values["loss"] == pytest.approx(-np.mean(np.log([0.5, 0.6, 0.05, 0.1])))
    assert kinds["accuracy"][2] == {"commonest": "commonest"}
    values, _ = code_metrics(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([[1, 0], [0, 1]]))
    assert values["accuracy"] == 0.75 and values["commonest"] == 0.5


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"resize": 100}, r"`resize` must be at least crop_size \(227\)"),
        ({"crop_size": 38}, "`crop_size` must be at least 39 for backbone 'alexnet'"),
        ({"targets": "spectrum", "bits": 40}, "`bits` must be at most 32 for the spectrum"),
        ({"targets": "cluster"}, "did you mean `clusters`"),
        ({"seconds": 0.05}, "`seconds`"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        AmbientSound(**fields)


@pytest.mark.slow
def test_frames_tell_how_they_sound(tmp_path):
    """Card, test 12: more than 90 % of held-out pairs of four kinds, where saying the commonest has 26 %."""
    train, test = sounding_scenes(count=600, image_size=72), sounding_scenes(count=400, image_size=72, seed=1000)
    method = AmbientSound(**TINY | {"resize": 72, "crop_size": 64, "drop": "cluster"})
    method = method.adapted(method.adapt(train))
    keras.utils.set_random_seed(0)
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, 400)))
    model.fit(method.dataset(train, batch_size=32, start=0, count=400), verbose=0)
    record = method.evaluate(model, test, out=tmp_path)
    assert record["purity"].value > 0.95 and record["accuracy"].value > 0.9
    assert record["accuracy"].baselines["commonest"] < 0.3
