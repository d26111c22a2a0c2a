"""The gated autoencoder: by hand, its data and statistics, its encoder, what it learns."""

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError, SourceError
from tfssl.methods import GatedAutoencoder
from tfssl.methods.gated_autoencoder.data import FLAT, as_pixels, prepared
from tfssl.methods.gated_autoencoder.evaluate import METRICS, readout
from tfssl.methods.gated_autoencoder.loss import PairReconstruction
from tfssl.methods.gated_autoencoder.network import LogUniform, build_network

TINY = {"patches": 6, "factors": 8, "mappings": 4, "crop_size": 9, "largest": 1}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 30, 40, 3), np.uint8)


def by_hand(analogies):
    model = build_network(2, 2, 1, analogies=analogies)
    weights = {"x_filters": [np.eye(2), np.zeros(2)], "y_filters": [np.eye(2), np.zeros(2)]}
    weights |= {"mapping": [np.ones((2, 1)), np.zeros(1)], "feedback": [np.array([[0.5, 0.25]])]}
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)
    return model


class TestByHand:
    """Card, test 2."""

    def test_one_pair(self):
        both = np.asarray(by_hand(False)(np.array([[[1, 2], [3, -1]]], np.float32)))[0]
        np.testing.assert_allclose(both, [[1.096588, -0.182765], [0.365529, 0.365529]], atol=1e-6)

    def test_an_analogy_takes_the_mapping_of_the_first_pair(self):
        model = by_hand(True)
        own = np.array([[[1, 2], [3, -1], [1, 2], [3, -1]]], np.float32)
        np.testing.assert_allclose(model(own), by_hand(False)(own[:, :2]), atol=1e-6)
        c, d = np.array([2.0, -4.0]), np.array([1.0, 5.0])
        feedback = np.array([0.5, 0.25]) / (1 + np.exp(-1))
        answers = np.asarray(model(np.stack([[1, 2], [3, -1], c, d]).astype(np.float32)[None]))[0]
        np.testing.assert_allclose(answers, [d * feedback, c * feedback], atol=1e-5)

    def test_loss(self):
        loss = PairReconstruction()(np.ones((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.float32))
        assert float(loss) == pytest.approx(0.5 * 2 * 3)

    def test_counts(self):
        assert build_network(169, 200, 50).count_params() == 87_988
        assert build_network(169, 200, 50, analogies=False, corruption=0.2).count_params() == 87_988

    def test_initial_values(self):
        h = np.asarray(LogUniform()((50, 200)))
        assert np.exp(-3) <= h.min() < np.exp(-2.95) and np.exp(-2.05) < h.max() <= np.exp(-2)
        model = build_network(169, 200, 50)
        assert np.asarray(model.get_layer("x_filters").kernel).std() == pytest.approx(0.01, rel=0.05)
        assert abs(np.asarray(model.get_layer("mapping").kernel)).max() == pytest.approx(0.01, rel=0.01)


class TestData:
    def test_pairs_without_analogies_reconstruct_themselves(self):
        method = GatedAutoencoder(**TINY, analogies=False)
        inputs, targets = next(iter(method.dataset(IMAGES, batch_size=4)))
        assert inputs.shape == targets.shape == (4, 2, 81)
        np.testing.assert_array_equal(inputs, targets)
        inputs, targets = next(iter(GatedAutoencoder(**TINY).dataset(IMAGES, batch_size=4)))
        assert inputs.shape == (4, 4, 81)
        np.testing.assert_array_equal(inputs[:, 2:], targets)

    def test_contrast_is_brought_to_one_but_where_it_is_flat(self):
        x = np.random.default_rng(0).normal(0.5, 0.2, (3, 81)).astype(np.float32)
        x[1] = 0.4
        ours = prepared(x, {"deviation": 0.2})
        np.testing.assert_allclose(ours.mean(axis=1), 0, atol=1e-5)
        assert ours[0].std() == pytest.approx(x[0].std() / np.hypot(x[0].std(), FLAT * 0.2), rel=1e-4)
        assert abs(ours[1]).max() < 1e-5

    def test_whitening_makes_directions_equal_and_takes_the_weak_ones_away(self):
        method = GatedAutoencoder(**TINY | {"patches": 100}, whiten=0.9)
        method = method.adapted(method.adapt(method.open("builtin")))
        source = method.open("builtin")
        patches = [method.sample(source.example(i), np.random.default_rng(i), True)[0] for i in range(len(source))]
        patches = np.concatenate(patches)
        matrix = method.statistics["whitening"]
        kept = matrix.shape[1]
        assert 5 < kept < 60 and method.components == kept
        whole = prepared(patches, {}).reshape(-1, 81)
        rows = prepared(patches, method.statistics).reshape(-1, kept)
        assert method.model().input.shape == (None, 4, kept)
        spread = [np.linalg.eigvalsh(x.T @ x / len(x))[::-1] for x in (whole, rows)]
        assert spread[0][0] > 20 * spread[0][kept - 1] and spread[1][0] < 8 * spread[1][kept - 1]
        flat = as_pixels(rows, method.statistics)
        assert flat.shape == (len(rows), 81)
        np.testing.assert_allclose(np.square(flat).sum(axis=1), np.square(rows).sum(axis=1), rtol=1e-3)
        assert [np.corrcoef(a, b)[0, 1] > 0.5 for a, b in zip(flat[:200], whole[:200], strict=True)].count(True) > 100

    def test_the_encoder_prepares_as_training_does(self):
        method = GatedAutoencoder(**TINY, whiten=0.95)
        method = method.adapted(method.adapt(method.open(IMAGES)))
        model = method.model()
        model.get_layer("mapping").kernel.assign(np.random.default_rng(0).normal(0, 30, (8, 4)))
        gray = np.random.default_rng(1).integers(0, 256, (3, 2, 9, 9, 1), np.uint8)
        taps = method.encoder(model)(np.repeat(gray, 3, axis=-1).astype(np.float32) / 255)
        pair = prepared(gray, method.statistics)
        mapping = keras.Model(model.input, model.get_layer("mapping").output)
        np.testing.assert_allclose(taps["mapping"], mapping(np.concatenate([pair, pair], axis=1)), atol=1e-3)
        assert np.asarray(taps["mapping"]).std() > 0.01 and taps["factors"].shape == (3, 8)

    def test_noise_takes_the_place_of_pixels(self):
        method = GatedAutoencoder(**TINY, content="noise")
        black = np.zeros((30, 30, 3), np.uint8)
        patches, _ = method.sample(method.open(black[None]).example(0), np.random.default_rng(0), True)
        assert patches.std() > 20

    def test_angles_of_evaluations_are_classes(self):
        method = GatedAutoencoder(**TINY | {"patches": 50}, pairs="rotations")
        example = method.open(IMAGES).example(0)
        _, moves = method.sample(example, np.random.default_rng(0), False)
        assert not (moves % 20).any() and len(np.unique(moves)) > 5
        _, moves = method.sample(example, np.random.default_rng(0), True)
        assert (moves % 20).any()


def test_frames_of_clips(tiny_data, tmp_path):
    pytest.importorskip("av", reason="clips need the extra `video`")
    method = GatedAutoencoder(**TINY, pairs="frames", analogies=False, gap=2)
    inputs, _ = next(iter(method.dataset(tiny_data("clips"), batch_size=6)))
    assert inputs.shape == (6, 2, 81) and np.abs(inputs[:, 0] - inputs[:, 1]).max() > 0.1
    record = method.evaluate(method.model(), tiny_data("clips"), out=tmp_path)
    assert "analogy_error" not in record and float(record["pairs"]) == 36
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    long = GatedAutoencoder(**TINY, pairs="frames", analogies=False, gap=50)
    with pytest.raises(SourceError, match="a clip of 12 frames has no pair 50 frames apart"):
        next(iter(long.dataset(tiny_data("clips"), batch_size=6)))


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"pairs": "frames"}, "`analogies` must be false"),
        ({"pairs": "frames", "analogies": False, "content": "noise"}, "`content` must be image"),
        ({"resize": 15}, "`resize` must be at least 19 pixels"),
        ({"whiten": 0}, "`whiten`.* Received: whiten=0"),
        ({"pairs": "shift"}, "did you mean `shifts`"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        GatedAutoencoder(**fields)


def test_readout_knows_what_is_there():
    rng = np.random.default_rng(0)
    moves = rng.integers(-1, 2, (600, 2)).astype(np.float32)
    codes = np.eye(9)[(moves[:, 0] * 3 + moves[:, 1] + 4).astype(int)] + rng.normal(0, 0.1, (600, 9))
    found = readout(codes, rng.normal(size=(600, 20)), moves)
    assert found["readout_accuracy"] > 0.98
    assert found["readout_pixels"] < 0.25 and found["readout_chance"] < 0.25
    assert np.isnan(readout(codes[:2], codes[:2], moves[:1].repeat(2, 0))["readout_accuracy"])


@pytest.mark.slow
def test_learns_to_tell_shifts(tmp_path):
    """Of noise, in patches so small that a second or two are enough."""
    keras.utils.set_random_seed(0)
    method = GatedAutoencoder(content="noise", crop_size=5, largest=1, patches=100, factors=160, mappings=50)
    method = method.adapted(method.adapt(method.open(IMAGES)))
    model = method.model(keras.optimizers.Adam(0.02))
    model.fit(method.dataset(IMAGES, batch_size=100, start=0, count=600), verbose=0)
    record = method.evaluate(model, IMAGES, repeats=6, out=tmp_path)
    assert record["readout_accuracy"].value > 0.9 > 3 * record["readout_accuracy"].baselines["pixels"]
    assert float(record["analogy_ratio"]) < 0.5
    assert list(record)[: len(METRICS)] == list(METRICS)
    assert {p.name for p in tmp_path.iterdir()} == {"metrics.json", "sheet.png", "x_filters.png", "y_filters.png"}
