"""Video triplets: the card's hand-worked losses, the choice of negatives, the network, and what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.config import load_config
from tfssl.data.rendered import FrameClip
from tfssl.data.scenes import scene_clips
from tfssl.data.source import Source
from tfssl.data.track_crops import SceneCropSource
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import VideoTriplet
from tfssl.methods.video_triplet.data import LOTS, change_color
from tfssl.methods.video_triplet.evaluate import of_pixels, triplet_metrics
from tfssl.methods.video_triplet.loss import TripletAccuracy, TripletLoss, choose, distances
from tfssl.methods.video_triplet.network import build_network
from tfssl.ops.hue_chroma import rgb_to_hcv

RNG = np.random.default_rng(0)
TINY = {"backbone": "small", "crop_size": 32, "fc6": 32, "fc7": 16}
X, POSITIVE, NEGATIVE = (1.0, 0.0, 0.0), (0.8, 0.6, 0.0), (0.6, 0.8, 0.0)


def targets(clips, seed=0):
    lots = np.random.default_rng(seed).random((len(clips), LOTS))
    return np.concatenate([np.array(clips)[:, None], lots], axis=1).astype(np.float32)


def seeded(seed):
    return np.random.default_rng(seed)


def unit(*shape):
    vectors = np.abs(RNG.normal(size=shape)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class TestLoss:
    """Card, tests 1 to 5."""

    def test_distances_by_hand(self):
        first, second = distances(np.array([[X, POSITIVE], [NEGATIVE, NEGATIVE]], np.float32))
        np.testing.assert_allclose(first[0], [0, 0.4, 0.2, 0.4], atol=1e-6)
        np.testing.assert_allclose(second[0], [0.2, 0.04, 0, 0.04], atol=1e-6)

    @pytest.mark.parametrize(
        "negative, margin, first, second",
        [
            (NEGATIVE, 0.5, 0.3, 0.66),
            (NEGATIVE, 1.0, 0.8, 1.16),
            ((0, 0, 1), 0.5, 0.0, 0.0),
            ((0, 0, 1), 1.0, 0.2, 0.2),
        ],
    )
    def test_hinges_by_hand(self, negative, margin, first, second):
        """Of the one pair with an anchor; x- of another clip stands there twice, and N = 2."""
        loss = TripletLoss(margin, negatives=2, reduction="none")
        pairs = np.array([[X, POSITIVE], [negative, negative]], np.float32)
        assert float(loss(targets([0, 1]), pairs)[0]) == pytest.approx(2 * (first + second) / 4, abs=1e-6)

    def test_equal_and_perfect_embeddings(self):
        equal = np.tile(np.array([[X, X]], np.float32), (6, 1, 1))
        perfect = np.stack([np.eye(6, dtype=np.float32)] * 2, axis=1)
        for margin in (0.5, 1.0, 1.5):
            assert float(TripletLoss(margin)(targets(range(6)), equal)) == pytest.approx(margin)
            expected = max(0.0, margin - 1)
            assert float(TripletLoss(margin)(targets(range(6)), perfect)) == pytest.approx(expected, abs=1e-6)
        assert VideoTriplet(margin=0.7).baseline == 0.7

    def test_clips_are_not_their_own_negatives(self):
        assert float(TripletLoss(0.5)(targets([3, 3, 3]), unit(3, 2, 8))) == 0
        assert float(TripletLoss(0.5)(targets([3]), unit(1, 2, 8))) == 0

    def test_gradients_by_hand(self):
        """x: f- - f+, x+: -f, x-: +f of each active triplet, here of one pair with one candidate twice, N = 2."""
        pairs = tf.Variable(np.array([[X, POSITIVE], [NEGATIVE, NEGATIVE]], np.float32))
        with tf.GradientTape() as tape:
            value = TripletLoss(0.5, negatives=2, reduction="none")(targets([0, 1]), pairs)[0]
        found = tape.gradient(value, pairs).numpy()
        x, positive, negative = map(np.array, (X, POSITIVE, NEGATIVE))
        # Both crops are anchors, each with two negatives; divided by 2 N = 4.
        np.testing.assert_allclose(found[0, 0], 2 * ((negative - positive) - positive) / 4, atol=1e-6)
        np.testing.assert_allclose(found[0, 1], 2 * ((negative - x) - x) / 4, atol=1e-6)
        np.testing.assert_allclose(found[1], [(x + positive) / 4] * 2, atol=1e-6)

    def test_resumed_runs_draw_the_same(self):
        pairs, same = unit(20, 2, 8), targets(range(20))
        loss = TripletLoss(0.5, reduction="none")
        np.testing.assert_array_equal(loss(same, pairs), loss(same, pairs))
        assert (np.asarray(loss(same, pairs)) != np.asarray(loss(targets(range(20), seed=1), pairs))).any()

    def test_accuracy(self):
        metric = TripletAccuracy()
        # Of x: 0.2 < 0.4 four times over; of x+: 0.2 > 0.04; of either x- (0 to its own kind) all are right.
        metric.update_state(targets([0, 1]), np.array([[X, POSITIVE], [NEGATIVE, NEGATIVE]], np.float32))
        assert float(metric.result()) == pytest.approx(6 / 8)


class TestNegatives:
    """Card, test 4."""

    DISTANCE = RNG.random((5, 20)).astype(np.float32)
    LOTS = RNG.random((5, 2 * 32)).astype(np.float32)
    CANDIDATES = RNG.random((5, 20)) < 0.7

    def drawn(self, candidates=None, count=4, hard=0.5, lots=None, distance=None):
        candidates = self.CANDIDATES if candidates is None else candidates
        lots, distance = (self.LOTS if lots is None else lots), (self.DISTANCE if distance is None else distance)
        return np.asarray(choose(candidates, distance, lots, count, hard))

    @pytest.mark.parametrize("hard", [0.0, 0.5, 1.0])
    def test_so_many_and_candidates_only(self, hard):
        chosen = self.drawn(hard=hard)
        assert (chosen.sum(axis=1) == 4).all() and not (chosen & ~self.CANDIDATES).any()

    def test_all_hard_ones_are_the_nearest(self):
        chosen = self.drawn(hard=1.0)
        for row, candidates, distance in zip(chosen, self.CANDIDATES, self.DISTANCE, strict=True):
            nearest = [i for i in np.argsort(distance) if candidates[i]][:4]
            assert sorted(np.flatnonzero(row)) == sorted(nearest)

    def test_half_of_them_are_among_the_nearest(self):
        counts = []
        for seed in range(50):
            lots = np.random.default_rng(seed).random(self.LOTS.shape).astype(np.float32)
            chosen, random = (self.drawn(hard=hard, lots=lots) for hard in (0.5, 0.0))
            near = self.drawn(hard=1.0)
            assert ((chosen & near).sum(axis=1) >= 2).all()
            counts.append(((chosen & near).sum(), (random & near).sum()))
        of_half, of_none = np.mean(counts, axis=0) / 20
        candidates = self.CANDIDATES.sum(axis=1)
        assert of_half == pytest.approx(np.mean((2 + 2 * 2 / (candidates - 2)) / 4), abs=0.05)
        assert of_none == pytest.approx(np.mean(4 / candidates), abs=0.05)

    def test_few_are_taken_all(self):
        few = np.zeros((5, 20), bool)
        few[:, [3, 8, 11]] = True
        np.testing.assert_array_equal(self.drawn(few), few)
        np.testing.assert_array_equal(self.drawn(few, count=3, hard=0.0), few)
        assert not self.drawn(np.zeros((5, 20), bool)).any()

    def test_permuted_crops_give_permuted_negatives(self):
        order = RNG.permutation(20)
        lots = self.LOTS.copy()
        for half in (0, 32):
            lots[:, half : half + 20] = self.LOTS[:, half + order]
        permuted = self.drawn(self.CANDIDATES[:, order], lots=lots, distance=self.DISTANCE[:, order])
        np.testing.assert_array_equal(permuted, self.drawn()[:, order])


class TestNetwork:
    def test_counts(self):
        """Card: 44,282,240, of it fc6 37,752,832 and fc7 4,195,328."""
        network = build_network("alexnet", size=227)
        assert network.count_params() == 44_282_240
        assert network.get_layer("fc6_dense").count_params() == 37_752_832
        assert network.get_layer("fc7_dense").count_params() == 4_195_328
        assert not any(isinstance(layer, keras.layers.Dropout) for layer in network._flatten_layers())

    def test_all_crops_see_the_same_network(self):
        """Card, tests 2 and 6."""
        network = build_network("small", size=32, fc6=32, fc7=16)
        pairs = RNG.random((3, 2, 32, 32, 3)).astype(np.float32)
        ours, swapped = network(pairs), network(pairs[:, ::-1])
        np.testing.assert_allclose(ours, np.asarray(swapped)[:, ::-1], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(ours, axis=-1), 1, atol=1e-5)
        assert (np.asarray(ours) >= 0).all(), "fc7 is rectified"

    def test_the_encoder_is_the_convolutions(self):
        method = VideoTriplet(**TINY)
        model = method.model()
        image = RNG.integers(0, 256, (1, 40, 48, 3), np.uint8)
        ours, theirs = method.encoder(model)(image), model.get_layer("tower")(image.astype(np.float32) / 255)
        assert list(ours) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
        np.testing.assert_allclose(ours["conv5"], theirs["conv5"], atol=1e-6)

    def test_hard_negatives_go_on_with_the_same_weights(self):
        first, second = VideoTriplet(**TINY).phases
        assert (first.name, second.name, first.fraction) == ("random", "hard", 0.375)
        before = first.model(keras.optimizers.SGD(0.1), None)
        after = second.model(keras.optimizers.SGD(0.1), before)
        for ours, theirs in zip(after.get_weights(), before.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert (before.loss.hard_fraction, after.loss.hard_fraction) == (0.0, 0.5)
        assert [phase.name for phase in VideoTriplet(random_fraction=0.0).phases] == ["hard"]


class TestExamples:
    RAMP = np.arange(24 * 24 * 3).reshape(24, 24, 3) % 251

    def example(self):
        return {"clip": FrameClip(np.stack([self.RAMP, self.RAMP]).astype(np.uint8)), "label": np.int32(7)}

    def test_crops_are_mirrored_by_draws_of_their_own(self):
        method = VideoTriplet(backbone="small", crop_size=24)
        seen = set()
        for seed in range(30):
            pair, target = method.sample(self.example(), np.random.default_rng(seed), True)
            flips = tuple(bool((crop[:, ::-1] == self.RAMP).all()) for crop in pair)
            assert all(
                (crop[:, :: -1 if flip else 1] == self.RAMP).all() for crop, flip in zip(pair, flips, strict=True)
            )
            assert target[0] == 7 and target.shape == (1 + LOTS,)
            seen.add(flips)
        assert len(seen) == 4
        pair, _ = method.sample(self.example(), np.random.default_rng(0), False)
        np.testing.assert_array_equal(pair, [self.RAMP, self.RAMP])

    def test_room_to_move(self):
        method = VideoTriplet(backbone="small", crop_size=16, resize=24, mirror=False)
        pair, _ = method.sample(self.example(), np.random.default_rng(1), True)
        places = [
            [(y, x) for y in range(9) for x in range(9) if (self.RAMP[y : y + 16, x : x + 16] == crop).all()]
            for crop in pair
        ]
        assert all(len(found) == 1 for found in places) and places[0] != places[1]
        pair, _ = method.sample(self.example(), np.random.default_rng(1), False)
        np.testing.assert_array_equal(pair[0], self.RAMP[4:20, 4:20])

    def test_parts_of_different_size(self):
        method = VideoTriplet(backbone="small", crop_size=16, crop_area=(0.2, 0.5), mirror=False)
        edge = np.linspace(0, 255, 32).astype(np.uint8)
        frames = np.tile(edge[None, :, None], (2, 32, 1, 3))  # how much of the ramp is seen tells the width of the cut
        pairs = [method.sample({"clip": FrameClip(frames), "label": 0}, seeded(i), True)[0] for i in range(20)]
        widths = np.array([np.ptp(crop.astype(int)) for pair in pairs for crop in pair]) / 255
        assert 0.2**0.5 * 0.75 < widths.min() < 0.5 and 0.6 < widths.max() < (0.5 * 4 / 3) ** 0.5
        whole, _ = method.sample({"clip": FrameClip(frames), "label": 0}, seeded(0), False)
        assert np.ptp(whole.astype(int)) > 240, "measured crops are whole"


class TestColors:
    FRAMES = np.tile(np.array([[200, 120, 40], [60, 90, 180]], np.uint8).repeat(8, 0), (2, 16, 1, 1))

    def draw(self, seed, training=True, **fields):
        method = VideoTriplet(backbone="small", crop_size=16, mirror=False, **fields)
        return method.sample({"clip": FrameClip(self.FRAMES), "label": np.int32(7)}, seeded(seed), training)[0]

    def test_both_of_a_pair_change_by_draws_of_their_own(self):
        first, last = self.draw(0, color_jitter=1.0)
        assert first.dtype == np.uint8 and np.abs(first.astype(int) - last).mean() > 10
        np.testing.assert_array_equal(self.draw(0, color_jitter=1.0), [first, last])
        assert (self.draw(1, color_jitter=1.0) != [first, last]).any()

    def test_only_in_training_and_only_if_asked(self):
        for seed in range(3):
            np.testing.assert_array_equal(self.draw(seed, False, color_jitter=1.0, gray_fraction=1.0), self.FRAMES)
            np.testing.assert_array_equal(self.draw(seed), self.FRAMES)

    @pytest.mark.parametrize("change", [-1.0, -0.3, 0.5])
    def test_changes_by_hand(self, change):
        """Of brightness, contrast and saturation by a factor of 1 + 0.8 s, of hue by 0.2 s of a turn."""
        image, before, factor = Image.fromarray(self.FRAMES[0]), self.FRAMES[0] / 255, 1 + 0.8 * change
        gray = np.asarray(image.convert("L"))[..., None] / 255
        *changed, turned = (np.asarray(change_color(image, change * row)) / 255 for row in np.eye(4))
        for found, middle in zip(changed, (0, gray.mean(), gray), strict=True):
            np.testing.assert_allclose(found, np.clip(middle + factor * (before - middle), 0, 1), atol=0.02)
        turns = rgb_to_hcv(turned)[..., 0] - rgb_to_hcv(before)[..., 0]
        np.testing.assert_allclose((turns - 0.2 * change + 0.5) % 1, 0.5, atol=0.02)

    def test_strength(self):
        factors = np.stack([self.draw(seed, color_jitter=0.5) for seed in range(20)]).mean(axis=(2, 3, 4))
        factors /= self.FRAMES.mean()
        assert 0.57 < factors.min() < 0.75 and 1.25 < factors.max() < 1.43

    def test_gray(self):
        pairs = np.stack([self.draw(seed, gray_fraction=0.4) for seed in range(80)])
        gray = (np.ptp(pairs, axis=-1) == 0).all(axis=(2, 3))
        assert gray.mean() == pytest.approx(0.4, abs=0.12) and (gray[:, 0] != gray[:, 1]).any()
        np.testing.assert_array_equal(pairs[~gray], np.broadcast_to(self.FRAMES[0], pairs[~gray].shape))
        assert (np.ptp(self.draw(0, gray_fraction=1.0), axis=-1) == 0).all()


def test_metrics_by_hand():
    pairs = np.array([[X, POSITIVE], [NEGATIVE, NEGATIVE]])
    values = triplet_metrics(pairs, np.array([0, 1]), 0.5)
    assert values["triplets"] == 6 / 8 and values["nearest"] == 3 / 4
    # Of x 0.3 twice, of x+ 0.66 twice; of x- 0 - 0.4 + 0.5 and 0 - 0.04 + 0.5, each twice.
    assert values["loss"] == pytest.approx(2 * (0.3 + 0.66 + 0.1 + 0.46) / 8)
    assert np.isnan(triplet_metrics(pairs, np.array([1, 1]), 0.5)["triplets"])
    flat = np.ones((1, 2, 2, 2, 3))
    assert (of_pixels(flat) == 0).all()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"crop_size": 60}, "`crop_size` must be at least 67 for backbone 'alexnet'"),
        ({"resize": 100}, r"`resize` must be at least crop_size \(227\)"),
        ({"hard_fraction": 1.5}, "`hard_fraction`"),
        ({"random_fraction": 1.0}, "`random_fraction`"),
        ({"negatives": 1000}, "`negatives`"),
        ({"color_jitter": 1.5}, "^`color_jitter`[^\n]*$"),
        ({"gray_fraction": -0.1}, "^`gray_fraction`[^\n]*$"),
        ({"crop_area": (0.5, 1.5)}, "^`crop_area`[^\n]*0 < smallest <= largest <= 1[^\n]*$"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        VideoTriplet(**fields)


def test_clips_in_the_place_of_tracks_are_told(tmp_path):
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(SourceError, match="tfssl prepare tracks CLIPS --out DIR"):
        VideoTriplet().open(tmp_path)


class Sprites(Source):
    """Tracks of squares of a texture each, before noise: nothing else is the same in both crops."""

    noun = "tracks"

    def __init__(self, seed, count):
        self.seed, self.count = seed, count

    def __len__(self):
        return self.count

    def example(self, index):
        rng = np.random.default_rng([self.seed, index])
        thing = np.kron(rng.integers(0, 256, (2, 2, 3)), np.ones((5, 5, 1)))
        crops = rng.integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
        for crop in crops:
            y, x = rng.integers(0, 7, 2)
            crop[y : y + 10, x : x + 10] = thing
        return {"clip": FrameClip(crops), "label": np.int32(index)}


@pytest.mark.slow
def test_learns_which_sprites_are_the_same(tmp_path):
    """Card, test 12: more than 90 % of the triplets of tracks that it has not seen, if it learns from enough."""
    keras.utils.set_random_seed(0)
    method = VideoTriplet(**TINY | {"crop_size": 16, "mirror": False})
    model = method.model(keras.optimizers.Adam(1e-3))
    model.fit(method.dataset(Sprites(0, 3000), batch_size=30, seed=0, start=0, count=400), verbose=0)
    record = method.evaluate(model, Sprites(1, 60), out=tmp_path)
    baselines = record["triplets"].baselines
    assert record["triplets"].value > 0.9 > max(baselines["untrained"], baselines["pixels"])
    assert baselines["chance"] == 0.5
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "sheet.png"}


def test_rendered_scenes_are_tracks_too():
    source = SceneCropSource(scene_clips("builtin", count=3, frames=6, size=(64, 80)))
    example = source.example(2)
    assert example["clip"].frames([0, 1]).shape == (2, 32, 32, 3) and example["label"] == 2
    assert len(load_config("video_triplet/cpu").method.open("builtin")) == 1000
