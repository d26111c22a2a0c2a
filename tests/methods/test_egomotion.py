"""Ego-motion: the card's tests, its data, losses and networks, and what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.test_posed_clips import write_sequence
from tfssl.data.rendered import FrameClip
from tfssl.errors import ConfigError
from tfssl.methods import Egomotion
from tfssl.methods.egomotion.data import RANGE, motion_classes, motion_of
from tfssl.methods.egomotion.evaluate import motion_metrics, slowness_metrics
from tfssl.methods.egomotion.loss import Contrastive, MotionCrossEntropy
from tfssl.methods.egomotion.network import build_network, build_tower

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 40, 48, 3), np.uint8)
TINY = {"backbone": "shallow", "crop_size": 12, "merge": (), "fc": 16, "dropout": 0.0}
MOVED = TINY | {"pairs": "moved", "largest": 2, "degrees": 10.0, "angles": 4}


def posed(**fields):
    return Egomotion(**TINY | {"crop_size": 8} | fields)


def driven(count, size=(24, 16)):
    """A clip of frames whose levels are their numbers, and poses a meter apart."""
    poses = np.stack([np.eye(4)] * count)
    poses[:, 2, 3] = np.arange(count)
    frames = np.stack([np.full((*size[::-1], 3), number, np.uint8) for number in range(count)])
    return {"clip": FrameClip(frames), "pose": poses}


class TestNetwork:
    def test_counts(self):
        """By hand: AlexNet's convolutions, 3x3 from 512 to 256 and to 128, 6 x 6 x 128 to 500, and the heads."""
        trunk, merge = 2_334_080, (512 * 9 * 256 + 256) + (256 * 9 * 128 + 128)
        dense, heads = 6 * 6 * 128 * 500 + 500, 500 * 3 * 22 + 3 * 22
        network = build_network("alexnet", size=227, heads=(22, 22, 22))
        assert network.count_params() == trunk + merge + dense + heads == 6_146_590
        # C96-P-C256-P, of 28 pixels two maps of 7 x 7 x 256, F1000.
        mnist = build_network("mnist", size=28, heads=(7, 7, 20), merge=(), fc=1000)
        convolutions = (25 * 3 * 96 + 96) + (25 * 96 * 256 + 256)
        assert mnist.count_params() == convolutions + (2 * 7 * 7 * 256 + 1) * 1000 + 1001 * 34

    def test_both_images_see_the_same_network(self):
        """Card, tests 1 and 5."""
        network = build_network("shallow", size=12, heads=None)
        image = RNG.random((1, 12, 12, 3)).astype(np.float32)
        other = RNG.random((1, 12, 12, 3)).astype(np.float32)
        assert float(network(np.stack([image, image], 1))[0, 0]) < 1e-5
        tower = network.get_layer("tower")
        assert len(network.trainable_variables) == len(tower.trainable_variables) == 4
        with tf.GradientTape() as tape:
            distance = network(np.stack([image, other], 1))
        both = tape.gradient(distance, tower.trainable_variables)
        parts = []
        for changing in (0, 1):
            with tf.GradientTape() as tape:
                maps = [tower(part)["pool2"] for part in (image, other)]
                maps[1 - changing] = tf.stop_gradient(maps[1 - changing])
                distance = tf.sqrt(tf.reduce_mean(tf.square(maps[0] - maps[1])))
            parts.append(tape.gradient(distance, tower.trainable_variables))
        for whole, one, two in zip(both, *parts, strict=True):
            np.testing.assert_allclose(whole, one + two, atol=1e-5)

    def test_the_encoder_is_the_base_network(self):
        method = Egomotion(**MOVED)
        model = method.model()
        image = RNG.integers(0, 256, (1, 20, 20, 3), np.uint8)
        ours = method.encoder(model)(image)
        theirs = model.get_layer("tower")(image.astype(np.float32) / 255)
        assert list(ours) == ["conv1", "conv2"]
        np.testing.assert_allclose(ours["conv2"], theirs["conv2"], atol=1e-6)

    def test_a_network_of_others(self):
        tower = build_tower({"applications": "MobileNetV2", "alpha": 0.35}, 64)
        assert list(tower.output)[-1] == "P5"


class TestLosses:
    def test_cross_entropies_are_summed(self):
        logits = np.log(np.array([[0.5, 0.25, 0.25, 0.1, 0.9]], np.float32))
        loss = MotionCrossEntropy((3, 2))(np.array([[0, 1]]), logits)
        assert float(loss) == pytest.approx(-np.log(0.5) - np.log(0.9), abs=1e-6)

    def test_contrastive_by_hand(self):
        near = np.array([[1], [1], [0], [0]])
        distances = np.array([[0.0], [0.5], [0.25], [3.0]], np.float32)
        assert float(Contrastive(1.0)(near, distances)) == pytest.approx((0 + 0.25 + 0.5625 + 0) / 4)
        assert Egomotion(objective="slowness", margin=2.0).baseline == 2.0

    def test_guessing(self):
        assert Egomotion(pairs="moved").baseline == pytest.approx(2 * np.log(7) + np.log(20))
        assert Egomotion().baseline == pytest.approx(3 * np.log(22))


class TestClasses:
    def test_edges(self):
        """Card, test 4: 20 edges make 21 classes, of 22 units one is never reached."""
        method = posed()
        spacing = 20 / 19
        values = np.linspace(-12, 12, 4801)
        classes = motion_classes(method, np.stack([values] * 3, axis=1) * [1, 1, 0.01])
        assert (np.diff(classes, axis=0) >= 0).all()
        assert np.unique(classes).tolist() == list(range(21)) and method.heads == {"x": 22, "z": 22, "yaw": 22}
        assert (classes[values < -RANGE] == 0).all() and (classes[values > RANGE] == 20).all()
        inside = abs(values) < 9.99
        middles = motion_of(method, classes)[inside] / [1, 1, 0.01]
        assert abs(middles - values[inside, None]).max() <= spacing / 2 + 1e-9
        assert spacing / 2 == pytest.approx(0.526, abs=1e-3)

    def test_standing_still(self):
        """Card, test 1: the class that holds (0 - mean) / deviation."""
        statistics = {"mean": np.array([0, 1.2, 0], np.float32), "deviation": np.array([0.5, 0.5, 0.01], np.float32)}
        method = posed().adapted(statistics)
        # Edges lie at -10 + 20 / 19 i: -2.4 is after those up to i = 7 (-2.63), 0 after those up to i = 9.
        assert motion_classes(method, np.zeros(3)).tolist() == [10, 8, 10]

    def test_moved(self):
        method = Egomotion(pairs="moved")
        assert method.heads == {"x": 7, "y": 7, "angle": 20}
        motions = np.array([[-3, 3, -30], [0, 1, -0.1], [2, -1, 30]])
        assert motion_classes(method, motions).tolist() == [[0, 6, 0], [3, 4, 9], [5, 2, 19]]
        np.testing.assert_allclose(motion_of(method, [[0, 6, 0], [3, 3, 10]]), [[-3, 3, -28.5], [0, 0, 1.5]])
        assert Egomotion(pairs="moved", degrees=0).heads == {"x": 7, "y": 7}


class TestPosed:
    def test_gaps(self):
        method, gaps = posed(max_gap=3), []
        for seed in range(200):
            pair, _, motion = method.sample(driven(9), np.random.default_rng(seed), True)
            first, second = pair[:, 0, 0, 0].astype(int)
            assert motion[1] == second - first
            gaps.append(second - first)
        assert sorted(set(gaps)) == [-3, -2, -1, 0, 1, 2, 3]

    def test_far_pairs_of_slowness(self):
        method = posed(max_gap=3, objective="slowness")
        drawn = [method.sample(driven(9), np.random.default_rng(seed), True) for seed in range(100)]
        gaps = {True: [], False: []}
        for pair, near, _ in drawn:
            gaps[bool(near[0])].append(abs(int(pair[0, 0, 0, 0]) - int(pair[1, 0, 0, 0])))
        assert max(gaps[True]) == 3 == min(gaps[False]) and max(gaps[False]) > 5
        assert 30 < len(gaps[True]) < 70

    def test_both_frames_are_cut_alike(self):
        ramp = np.add.outer(np.arange(16), 10 * np.arange(20)).astype(np.uint8)
        example = {"clip": FrameClip(np.stack([np.stack([ramp] * 3, -1)] * 4)), "pose": driven(4)["pose"]}
        first, second = posed().sample(example, np.random.default_rng(3), True)[0]
        np.testing.assert_array_equal(first, second)

    def test_statistics(self, tmp_path):
        write_sequence(tmp_path, "00", 6)
        source = posed().open(tmp_path)
        found = posed().adapt(source)
        np.testing.assert_allclose(found["mean"], [0, 1, 0], atol=1e-6)
        np.testing.assert_allclose(found["deviation"], 1e-6)
        bent = source.poses[0].copy()
        bent[3:, 0, 3] = 2.0  # one step of 2 m to the side
        source = type(source)(source.clips, (bent,), ())
        found = posed().adapt(source)
        assert found["deviation"][0] == found["deviation"][1] > 0.5 > found["deviation"][2]

    @pytest.mark.parametrize(
        "example, reason",
        [
            (driven(1), "a sequence of 1 frame has no pairs"),
            (driven(4) | {"pose": driven(3)["pose"]}, "3 poses for 4 frames"),
            (driven(4, size=(7, 9)), "frames of 7x9 pixels are smaller than crop_size: 8"),
        ],
    )
    def test_what_does_not_serve_is_said(self, example, reason):
        with pytest.raises(ValueError, match=reason):
            posed().sample(example, np.random.default_rng(0), True)
        far = posed(objective="slowness", max_gap=7)
        with pytest.raises(ValueError, match="of 4 has none 7 or more away; lower max_gap"):
            [far.sample(driven(4), np.random.default_rng(seed), True) for seed in range(9)]

    def test_bad_sequences_are_named_and_the_rest_is_measured(self, tmp_path):
        write_sequence(tmp_path, "00", 12)
        write_sequence(tmp_path, "01", 4, poses=3)
        write_sequence(tmp_path, "02", 1)
        write_sequence(tmp_path, "03", 2, sizes=((24, 16), (20, 16)), cameras=("image_2",))
        for folder in ("image_2", "image_3"):  # frames with something to see
            for path in (tmp_path / "sequences" / "00" / folder).iterdir():
                Image.fromarray(RNG.integers(0, 256, (16, 24), np.uint8)).save(path)
        method = posed()
        method = method.adapted(method.adapt(method.open(tmp_path)))
        record = method.evaluate(method.model(), tmp_path, repeats=3, out=tmp_path / "out")
        assert float(record["images"]) >= 24 and (tmp_path / "out" / "sheet.png").stat().st_size > 1000
        reasons = " ".join(record.skipped.values())
        for reason in ("`poses` has 3 rows for 4 frames", "1 frame has no pairs", "sizes differ"):
            assert reason in reasons


class TestSlowness:
    def test_far_crops_are_of_other_photographs(self):
        method = Egomotion(**MOVED, objective="slowness")
        flat = np.stack([np.full((40, 40, 3), 20 * number, np.uint8) for number in range(6)])
        flat[:, ::2] += 6  # so that they are not blank
        pairs, near = next(iter(method.dataset(flat, batch_size=6, seed=1)))
        differ = np.abs(np.asarray(pairs[:, 0] - pairs[:, 1])).max(axis=(1, 2, 3)) > 0.05
        assert 0 < np.asarray(near).sum() < 6
        np.testing.assert_array_equal(differ, np.asarray(near)[:, 0] == 0)

    def test_a_pair_alone_is_near(self):
        method = Egomotion(**MOVED, objective="slowness")
        for seed in range(5):
            _, near = next(iter(method.dataset(IMAGES, batch_size=1, seed=seed)))
            assert near.numpy().tolist() == [[1]]

    def test_metrics(self):
        values, kinds = slowness_metrics(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 0, 1, 0]), 1.0)
        assert values["near_first"] == 0.75 and values["far_distance"] == pytest.approx(0.3)
        assert values["loss"] == pytest.approx((0.01 + 0.09 + 0.64 + 0.36) / 4)
        assert kinds["loss"][2] == {"equal maps": 0.5}
        assert np.isnan(slowness_metrics(np.ones(2), np.ones(2), 1.0)[0]["near_first"])


def test_metrics_by_hand():
    method = Egomotion(**MOVED)
    logits = np.full((2, 5 + 5 + 4), -9.0)
    for row, chosen in enumerate(((0, 5, 10), (4, 6, 12))):
        logits[row, list(chosen)] = 9.0
    motions = np.array([[-2, -2, -9.0], [1, -1, 3.0]])
    labels = motion_classes(method, motions)
    values, _ = motion_metrics(method, logits, labels, motions)
    assert labels.tolist() == [[0, 0, 0], [3, 1, 2]]
    assert [values[f"accuracy_{name}"] for name in ("x", "y", "angle")] == [0.5, 1.0, 1.0]
    assert values["error_x"] == 0.5 and values["error_angle"] == pytest.approx((1.5 + 0.5) / 2)
    assert values["accuracy"] == pytest.approx(2.5 / 3) and values["commonest"] == 0.5


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"resize": 100}, r"`resize` must be at least crop_size \(227\)"),
        ({"crop_size": 30}, "`crop_size` must be at least 39 for backbone 'alexnet'"),
        ({"axes": "worlds"}, "did you mean `world`"),
        ({"merge": [0]}, "`merge"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        Egomotion(**fields)


@pytest.mark.slow
def test_learns_the_motions_of_a_few_images(tmp_path):
    """Cut at one place each, because there is no room for others: a few seconds are enough."""
    keras.utils.set_random_seed(0)
    method = Egomotion(**TINY | {"pairs": "moved", "largest": 1, "degrees": 0.0, "crop_size": 8, "fc": 64})
    images = RNG.integers(0, 256, (6, 10, 10, 3), np.uint8)
    model = method.model(keras.optimizers.Adam(0.002))
    model.fit(method.dataset(images, batch_size=36, start=0, count=120), verbose=0)
    record = method.evaluate(model, images, repeats=20, out=tmp_path)
    for axis in "xy":
        assert record[f"accuracy_{axis}"].value > 0.9 > 1.8 * record[f"accuracy_{axis}"].baselines["commonest"]
    assert {p.name for p in tmp_path.iterdir()} == {"metrics.json", "sheet.png"}


@pytest.mark.slow
def test_shifts_of_textures_are_told():
    """Card, test 6: more than 90 % along either axis, where chance is 14 %, of textures that it has not seen."""
    from scipy.ndimage import gaussian_filter

    keras.utils.set_random_seed(0)
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(2, 2000, 32, 32)), (0, 0, 1.5, 1.5))
    textures, others = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    fields = {"backbone": "shallow", "crop_size": 16, "merge": (64,), "fc": 128, "dropout": 0.0}
    method = Egomotion(pairs="moved", degrees=0.0, **fields)
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, 1000)))
    model.fit(method.dataset(textures, batch_size=64, seed=0, start=0, count=1000), verbose=0)
    record = method.evaluate(model, others)
    assert record["accuracy_x"].value > 0.9 and record["accuracy_y"].value > 0.9
    assert record["accuracy_x"].baselines["commonest"] < 0.2
