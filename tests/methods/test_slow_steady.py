"""Slow and steady features: the card's tests, its data, loss and networks, and what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.data.frame_pairs import far_pair, near_pair
from tfssl.data.images import ArraySource
from tfssl.data.labeled import LabeledImages
from tfssl.data.part_labeled import PartLabeledClips
from tfssl.data.rendered import FrameClip
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import SlowSteady
from tfssl.methods.slow_steady.data import draw_tuples, is_steady, other_triple, steady_triple
from tfssl.methods.slow_steady.evaluate import tuple_metrics
from tfssl.methods.slow_steady.loss import ActiveFraction, TupleContrastive
from tfssl.methods.slow_steady.network import build_network, build_tower, distances

RNG = np.random.default_rng(0)
TINY = {"backbone": "dense", "features": 4, "resize": 8, "crop_size": 8, "classes": 2, "window": 0.2}


def numbered(count, rate=25.0, size=(8, 10)):
    """A clip whose frames are all of the level that is their number, with noise that is the same in all of them."""
    noise = np.random.default_rng(1).integers(0, 100, (*size, 3))
    frames = np.stack([noise + number for number in range(count)]).astype(np.uint8)
    return FrameClip(frames, np.arange(count) / rate)


class Listed(list):
    """Clips as a source."""

    noun = "clips"

    def example(self, index):
        return {"clip": self[index]}

    def name(self, index):
        return f"clip {index}"

    def check(self, index):
        self.example(index)

    def sized(self, min_size):
        return self


def source(clips=2, count=30):
    images = ArraySource(RNG.integers(0, 256, (4, 8, 8, 3), np.uint8))
    return PartLabeledClips(Listed([numbered(count)] * clips), LabeledImages("", images, (0, 0, 1, 1), ("a", "b")))


class TestLoss:
    def test_card_example(self):
        """Card, test 1: z1 = (0,0), z2 = (1,0), z3 = (2,0), z4 = (2,2), delta 1."""
        z = np.array([[0, 0], [1, 0], [2, 0], [2, 2]], np.float32)
        assert float(distances(z[:2])) == 1
        triples = np.stack([z[:3], z[1:]])
        d = np.asarray(distances(triples))
        assert d.tolist() == [0, 5]
        loss = TupleContrastive(1.0)

        def cost(p, value):
            return float(loss(np.array([[p]]), np.array([[value]], np.float32)))

        assert cost(1, 1.0) == 1 and cost(0, 1.0) == 0
        assert cost(0, d[0]) == 1 and cost(0, d[1]) == 0 and cost(1, d[1]) == 5
        assert np.asarray(distances(triples, "l1")).tolist() == [0, 3]

    def test_linear_and_quadratic_features(self):
        """Card, tests 2 and 4: steady ones cost nothing; of c t^2 the second difference is 2 c g^2."""
        t, b, c = np.array([0.0, 0.7, 1.4]), np.array([0.5, -2.0]), np.array([0.3, 0.1])
        linear = 3.0 + t[:, None] * b
        assert float(distances(linear[None])[0]) == pytest.approx(0, abs=1e-12)
        assert float(distances(linear[None, :2])[0]) == pytest.approx((b**2).sum() * 0.7**2)
        assert float(distances((t[:, None] ** 2 * c)[None])[0]) == pytest.approx(4 * (c**2).sum() * 0.7**4)

    def test_equal_features_cost_delta_for_each_far_tuple(self):
        """Card, test 3, and the gradient of near ones is 0."""
        z, near = tf.Variable(tf.ones((2, 4, 3, 5))), np.array([[1, 0, 0, 1]] * 2)
        with tf.GradientTape() as tape:
            cost = TupleContrastive(0.6)(near, distances(z))
        assert float(cost) == pytest.approx(0.6 / 2)
        assert not np.asarray(tape.gradient(cost, z))[near == 1].any()

    def test_invariances(self):
        """Card, test 5: time may run backwards, features may be shifted; scaled by s, d is scaled by s^2 or s."""
        z = RNG.normal(size=(6, 3, 4))
        for kind, power in (("squared", 2), ("l1", 1)):
            d = np.asarray(distances(z, kind))
            np.testing.assert_allclose(distances(z[:, ::-1], kind), d)
            np.testing.assert_allclose(distances(z + 7, kind), d)
            np.testing.assert_allclose(distances(3 * z, kind), 3**power * d)

    @pytest.mark.parametrize("kind", ["squared", "l1"])
    def test_gradients_are_finite(self, kind):
        """Card, test 8: where d is 0, and where it is delta."""
        z = tf.Variable([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]])
        with tf.GradientTape() as tape:
            cost = TupleContrastive(1.0)(np.array([[1, 0], [0, 1]]), tf.stack([distances(z, kind)] * 2))
        assert np.isfinite(tape.gradient(cost, z)).all()

    def test_without_contrast(self):
        assert float(TupleContrastive(1.0, contrast=False)(np.array([[1, 0]]), np.array([[0.5, 0.1]]))) == 0.25

    def test_active_fraction(self):
        metric = ActiveFraction(1.0)
        metric.update_state(np.array([[1, 0, 0], [0, 0, 1]]), np.array([[0.1, 0.5, 2.0], [0.9, 3.0, 9.0]], np.float32))
        assert float(metric.result()) == 0.5


class TestNetwork:
    def test_counts(self):
        """Card: 143,328 parameters up to z with gray images, 144,928 in color; 650 for ten classes."""
        gray, color = (build_tower("quick", 32, 64, color=color) for color in (False, True))
        assert gray.count_params() == 832 + 25_632 + 51_264 + 65_600 == 143_328
        assert color.count_params() == 2_432 + 25_632 + 51_264 + 65_600 == 144_928
        network = build_network("quick", size=32, features=64, classes=10, tuples={"pairs": 2, "triples": 2})
        assert network.count_params() == 143_328 + 650, "all towers are one"

    def test_sizes(self):
        """Card: maps of 16, 16 and 8 cells, and 4 x 4 x 64 numbers before z."""
        tower = build_tower("quick", 32, 64)
        assert [tower.output[tap].shape[1:] for tap in tower.output] == [(16, 16, 32), (16, 16, 32), (8, 8, 64), (64,)]
        assert tower.get_layer("flatten").output.shape == (None, 1024)

    def test_z_is_linear(self):
        assert (np.asarray(build_tower("quick", 32, 64)(RNG.random((4, 32, 32, 3)))["z"]) < 0).any()

    def test_tuples_go_through_the_tower_of_the_images(self):
        network = build_network("small", size=16, features=4, classes=3, tuples={"pairs": 2, "triples": 2})
        frames = RNG.random((1, 3, 16, 16, 3)).astype(np.float32)
        inputs = {"image": frames[:, 0], "pairs": np.stack([frames[:, :2], frames[:, 1:]], 1)}
        found = network(inputs | {"triples": np.stack([frames, frames[:, ::-1]], 1)})
        z = network.get_layer("tower")(frames[0])["z"]
        np.testing.assert_allclose(found["pairs"][0], [distances(z[:2]), distances(z[1:])], rtol=1e-4)
        np.testing.assert_allclose(found["triples"][0], [distances(z)] * 2, rtol=1e-4)
        np.testing.assert_allclose(found["label"], network.get_layer("logits")(z[:1]), rtol=1e-4)

    def test_encoder(self):
        method = SlowSteady(**TINY | {"backbone": "small", "resize": 16, "crop_size": 16})
        model = method.model()
        image = RNG.random((1, 16, 16, 3)).astype(np.float32)
        taps = method.encoder(model)(image)
        assert list(taps) == ["conv1", "conv2", "conv3", "z"]
        np.testing.assert_allclose(taps["z"], model.get_layer("tower")(image)["z"], atol=1e-5)

    def test_a_network_of_others(self):
        method = SlowSteady(backbone="applications:MobileNetV2", color=True, resize=32, crop_size=32, classes=2)
        assert method.encoder(method.model())(np.zeros((1, 32, 32, 3)))["z"].shape == (1, 64)
        with pytest.raises(ConfigError, match="`color` must be true"):
            SlowSteady(backbone="applications:MobileNetV2")


class TestSampler:
    """Card, test 7."""

    @pytest.mark.parametrize("rate", [10.0, 29.97])
    def test_rules(self, rate):
        times = np.round(np.arange(60) / rate, 3)  # as containers round them
        for seed in range(200):
            rng = np.random.default_rng(seed)
            first, second = times[near_pair(times, 0.5, rng)]
            assert 0 < second - first <= 0.5 + 1e-6
            first, second = times[far_pair(times, 0.5, rng)]
            assert second - first > 0.5
            numbers = steady_triple(times, 0.5, rng)
            assert numbers[1] - numbers[0] == numbers[2] - numbers[1] > 0
            assert times[numbers[2]] - times[numbers[0]] <= 0.5 + 1e-6
            numbers = other_triple(times, 0.5, rng)
            assert numbers == sorted(set(numbers)) and not is_steady(times[numbers], 0.5)

    def test_all_near_frames_come(self):
        times = np.arange(20) / 10
        gaps = {int(np.diff(near_pair(times, 0.3, np.random.default_rng(seed)))[0]) for seed in range(100)}
        assert gaps == {1, 2, 3}

    def test_times_count_and_not_numbers(self):
        """A rate that varies: ten frames a second, then two."""
        times = np.concatenate([np.arange(10) / 10, 1 + np.arange(10) / 2])
        for seed in range(100):
            found = times[steady_triple(times, 1.0, np.random.default_rng(seed))]
            assert np.diff(found)[0] == pytest.approx(np.diff(found)[1]) and found[2] - found[0] <= 1 + 1e-6

    @pytest.mark.parametrize(
        "find, times, message",
        [
            (near_pair, [0.0], "a clip of 1 frames has no pairs"),
            (near_pair, [0.0, 1.0], "no two of its frames are within 0.5 s"),
            (far_pair, [0.0, 0.1], "it lasts 0.10 s, and far frames are more than 0.5 s apart"),
            (steady_triple, [0.0, 0.1], "a clip of 2 frames has no triples"),
            (steady_triple, [0.0, 0.1, 0.3, 0.4], "no three frames at equal distances"),
            (other_triple, [0.0, 0.1, 0.2], "all of its triples of frames are steady"),
        ],
    )
    def test_clips_that_do_not_serve(self, find, times, message):
        with pytest.raises(ValueError, match=message):
            find(np.array(times), 0.5, np.random.default_rng(0))

    def test_no_near_tuple_reaches_over_a_cut(self):
        before, after = (np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8) for seed in (0, 1))
        clip = FrameClip(np.stack([before] * 10 + [after] * 10))
        method = SlowSteady(**TINY)
        for seed in range(30):
            for size in (2, 3):
                tuples, near = draw_tuples(method, clip, size, 1, np.random.default_rng(seed), False)
                assert near.tolist() == [1, 0]
                assert len(np.unique(tuples[0].reshape(size, -1), axis=0)) == 1
        flicker = FrameClip(np.stack([before, after] * 10))
        with pytest.raises(ValueError, match="have a cut between their frames"):
            draw_tuples(method, flicker, 2, 1, np.random.default_rng(0), False)

    def test_frames_of_a_tuple_are_cut_alike(self):
        """Levels are numbers of frames plus what is the same in all: differences are those of the numbers."""
        tuples, _ = draw_tuples(SlowSteady(**TINY), numbered(40), 3, 4, np.random.default_rng(3), True)
        steps = np.diff(tuples.astype(int), axis=1)
        assert tuples.shape == (8, 3, 8, 8, 3) and (steps == steps[..., :1, :1, :1]).all()
        assert (steps[::2, 0] == steps[::2, 1]).all() and steps.min() > 0
        places = {tuple((t[0] - t[0].min()).ravel()) for t in tuples}
        assert len(places) > 1, "but tuples at different places"

    def test_only_terms_that_count_are_drawn(self):
        example = source().example(0)
        for fields, count in (({}, 6), ({"steadiness": 0}, 4), ({"slowness": 0}, 2)):
            assert len(SlowSteady(**TINY | fields).sample(example, np.random.default_rng(0), True)) == count


class TestMethod:
    def test_baseline(self):
        assert SlowSteady(classes=10).baseline == pytest.approx(np.log(10) + 0.5 + 0.5)
        assert SlowSteady(classes=10, slowness=0).baseline == pytest.approx(np.log(10))
        assert SlowSteady(classes=10, slowness=2, steadiness=3, delta=0.5).baseline == pytest.approx(np.log(10) + 2)
        assert SlowSteady(classes=10, contrast=False).baseline == pytest.approx(np.log(10))

    def test_classes_come_from_the_data(self):
        method = SlowSteady(**TINY | {"classes": None})
        with pytest.raises(ConfigError, match="`classes` is not known"):
            method.model()
        adapted = method.adapted(method.adapt(source()))
        assert adapted.names == ("a", "b") and adapted.model().output["label"].shape == (None, 2)
        with pytest.raises(SourceError, match="`data` has 2 classes, `classes` says 3"):
            SlowSteady(**TINY | {"classes": 3}).open(source())

    @pytest.mark.parametrize("zero", ["slowness", "steadiness"])
    def test_a_weight_of_zero_gives_the_curve_without_the_term(self, zero):
        """Card, test 6: beside a model that has the term, weighted 0."""
        whole, part = SlowSteady(**TINY), SlowSteady(**TINY | {zero: 0})
        train, curves = source(), []
        for method, weights in ((part, part.weights), (whole, dict.fromkeys(whole.weights, 0.0) | part.weights)):
            keras.utils.set_random_seed(0)
            model = method.model()
            model.compile(keras.optimizers.SGD(0.01), model.loss, loss_weights=weights, run_eagerly=True)
            batches = method.dataset(train, batch_size=4, seed=0, start=0, count=4)
            curves.append([model.train_on_batch(*batch) for batch in batches])
        losses = [[np.ravel(result)[0] for result in curve] for curve in curves]
        np.testing.assert_allclose(*losses, rtol=1e-5)
        assert len(set(losses[0])) == 4


def test_completion_of_steady_features():
    """Features that move in straight lines are foretold; repeating them is not enough."""
    start, velocity = RNG.normal(size=(2, 20, 1, 4))
    triples = np.zeros((40, 3, 4))
    triples[::2] = start + velocity * np.arange(3)[:, None]
    triples[1::2] = RNG.normal(size=(20, 3, 4))
    found = tuple_metrics(SlowSteady(), triples[:, :2], triples)
    assert found["completion_rank"] == 0 and found["completed"] == 1 and found["steady_first"] == 1
    assert found["repeating_completion_rank"] > 0
