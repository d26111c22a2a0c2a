"""Co-occurrence: logits are PMI (card, test 3), its pairs of three kinds, affinities, measures."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfssl.data.images import FileSource, image_source
from tfssl.data.neighboring import neighboring_photographs
from tfssl.data.rendered import FrameClip
from tfssl.errors import ConfigError, SourceError
from tfssl.methods import CoOccurrence
from tfssl.methods.co_occurrence.evaluate import context_metrics, pmi_errors
from tfssl.ops.pmi import context_logit, table_pmi

RNG = np.random.default_rng(0)
JOINT = np.array([[0.4, 0.1], [0.1, 0.4]])
TINY = {"crop_size": 8, "gap": 2, "jitter": 1, "channels": (4,), "features": 8, "head": (16, 8)}
_STEPS = 400
FRAMES = TINY | {"context": "frames"}


def tiny(**fields):
    return CoOccurrence(**TINY | fields)


def sampled(positives, count=40_000):
    """Pairs of black and white images, as often as the joint has them; the others independent."""
    same = RNG.random(count) < positives
    together = RNG.choice(4, count, p=JOINT.ravel())
    apart = 2 * RNG.integers(0, 2, count) + RNG.integers(0, 2, count)
    symbols = np.stack(np.divmod(np.where(same, together, apart), 2), axis=1)
    return symbols, same[:, None].astype(np.float32)


def images_of(symbols):
    return np.broadcast_to(symbols[..., None, None, None].astype(np.float32), (*symbols.shape, 8, 8, 3))


@pytest.mark.parametrize("positives", [0.5, pytest.param(0.2, marks=pytest.mark.slow)])
def test_logits_are_pmi(positives):
    """Card, test 3: within 0.1, and shifted by log(0.25) where a fifth of the pairs is positive."""
    keras.utils.set_random_seed(0)
    symbols, labels = sampled(positives)
    method = tiny(positives=positives, features=16, head=(32, 16))
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.005, _STEPS)))
    # There are four different pairs only: each with its mean label, weighted by how often it occurs.
    cells = symbols @ [2, 1]
    weights = np.bincount(cells, minlength=4)
    means = np.bincount(cells, labels[:, 0], minlength=4) / weights
    table = np.stack(np.divmod(np.arange(4), 2), axis=1)
    weights = (weights / weights.mean()).astype(np.float32)
    data = images_of(table), means[:, None].astype(np.float32)
    pairs, truth, weights = (np.tile(part, (_STEPS, *[1] * (part.ndim - 1))) for part in (*data, weights))
    model.fit(pairs, truth, sample_weight=weights, batch_size=4, shuffle=False, verbose=0)
    wanted = context_logit(table_pmi(JOINT), positives)
    np.testing.assert_allclose(np.asarray(model(images_of(table))).reshape(2, 2), wanted, atol=0.1)
    if positives == 0.2:
        assert wanted[0, 0] == pytest.approx(0.470004 + np.log(0.25), abs=1e-6)


class TestPairs:
    def test_patches_lie_beside_each_other(self):
        """Pixels are their places: a positive pair is a pitch apart but for the jitter, and never overlaps."""
        places = np.stack(np.meshgrid(np.arange(64), np.arange(48)), axis=-1)
        image = Image.fromarray(np.concatenate([places, np.zeros((48, 64, 1))], -1).astype(np.uint8))
        steps, labels = [], []
        for seed in range(300):
            pair, label = tiny().sample({"image": image}, np.random.default_rng(seed), True)
            steps.append(pair[1, 0, 0, :2].astype(int) - pair[0, 0, 0, :2].astype(int))
            labels.append(label[0])
        steps, labels = np.array(steps), np.array(labels, bool)
        assert 0.4 < labels.mean() < 0.6
        assert abs(steps[labels]).max() == 11 and (abs(steps).max(axis=1) >= 8).all()
        assert (np.minimum(abs(abs(steps[labels]) - 10), abs(steps[labels])) <= 1).all()
        assert abs(steps[~labels]).max() > 20

    def test_several_pairs_of_an_image(self):
        """Each image has a level of its own: pairs of different contexts hold two levels, whatever their place."""
        method = tiny(pairs_per_image=3, negatives="dataset")
        levels = np.full((40, 40, 40, 3), np.arange(40)[:, None, None, None] * 6, np.uint8)
        levels[:, ::2] += 1
        pairs, labels = method.sample({"image": Image.fromarray(levels[0])}, RNG, True)
        assert pairs.shape == (3, 2, 8, 8, 3) and labels.shape == (3, 1) and method.examples_per_item == 3
        found = method.dataset(levels, batch_size=8, seed=0, start=0, count=15)
        labels, means = (
            np.concatenate(part) for part in zip(*((y, x.numpy().mean((2, 3, 4))) for x, y in found), strict=True)
        )
        assert 0.3 < labels.mean() < 0.7
        np.testing.assert_array_equal(abs(means[:, 0] - means[:, 1]) < 0.01, labels[:, 0] > 0)
        with pytest.raises(ConfigError, match="`batch_size` must be at least 6"):
            method.dataset(levels, batch_size=5)
        assert len(tiny(pairs_per_image=3).dataset(levels, batch_size=5)) == 24, "one image has its own negatives"

    def test_two_patches_need_room(self):
        with pytest.raises(ValueError, match="17x30 is too small"):
            tiny().sample({"image": Image.new("RGB", (17, 30))}, RNG, True)

    def test_frames_are_near(self):
        clip = FrameClip(np.stack([np.full((10, 12, 3), n, np.uint8) for n in range(30)]), np.arange(30) / 2)
        for seed in range(40):
            pair, _ = CoOccurrence(**FRAMES, seconds=2.0).sample({"clip": clip}, np.random.default_rng(seed), True)
            assert 1 <= abs(int(pair[0, 0, 0, 0]) - int(pair[1, 0, 0, 0])) <= 4

    def test_the_second_image_of_other_contexts_is_the_next_ones(self):
        pairs = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1, 1) * np.ones((1, 1, 8, 8, 3), np.uint8)
        labels = np.array([[1], [0]], np.int32)
        found, _ = CoOccurrence(**FRAMES).prepare(pairs, labels)
        np.testing.assert_allclose(found[:, :, 0, 0, 0] * 255, [[0, 1], [2, 1]], atol=1e-5)
        found, _ = tiny().prepare(pairs, labels)
        np.testing.assert_allclose(found[:, :, 0, 0, 0] * 255, [[0, 1], [2, 3]], atol=1e-5)
        _, alone = CoOccurrence(**FRAMES).prepare(pairs[1:], labels[1:])
        assert alone.numpy().tolist() == [[1]], "there is no other"

    def test_dropping_leaves_one_channel(self):
        image = Image.fromarray(RNG.integers(0, 256, (40, 40, 3), np.uint8))
        pair, _ = tiny(color="dropping").sample({"image": image}, RNG, True)
        plain, _ = tiny().sample({"image": image}, RNG, True)
        assert np.ptp(pair, axis=-1).max() == 0 and np.ptp(plain, axis=-1).max() > 0

    def test_photographs_in_their_order(self, tmp_path):
        paths = []
        for number, day in enumerate((3, 1, 2, None)):
            exif = Image.Exif()
            if day:
                exif[0x0132] = f"2020:01:0{day} 10:00:00"
            paths.append(tmp_path / f"{number}.jpg")
            Image.new("RGB", (20, 20), (number * 40, 0, 0)).save(paths[-1], exif=exif)
        files = image_source(tmp_path)
        by_name = neighboring_photographs(files, within=2)
        assert len(by_name) == 5 and by_name._pair(0) == (0, 1) and by_name._pair(4) == (1, 3)
        by_time = CoOccurrence(**TINY, context="photographs", order="time", within=1).open(tmp_path)
        assert [by_time._pair(n) for n in range(len(by_time))] == [(1, 2), (2, 0)]
        reds = [by_time.example(0)[name].getpixel((0, 0))[0] for name in ("image", "other")]
        assert abs(np.array(reds) - [40, 80]).max() < 4
        with pytest.raises(SourceError, match="holds 1 photograph with a time"):
            neighboring_photographs(FileSource((str(paths[0]), str(paths[3]))), order="time")
        with pytest.raises(SourceError, match="order=time needs files"):
            neighboring_photographs(image_source(np.zeros((3, 8, 8, 3), np.uint8)), order="time")


def test_affinities_are_symmetric():
    method = tiny(context="frames")
    model = method.model()
    images = [Image.fromarray(RNG.integers(0, 256, (12, 16, 3), np.uint8)) for _ in range(5)]
    found = method.affinities(model, images)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    crops = np.stack([np.asarray(image.crop((4, 2, 12, 10))) for image in images]).astype(np.float32) / 255
    one, other = (1 / (1 + np.exp(-np.asarray(model(crops[None, [i, j]])))) for i, j in ((1, 3), (3, 1)))
    assert found[1, 3] == pytest.approx((one + other).item() / 2, abs=1e-5)


class TestMeasures:
    def test_by_hand(self):
        same = np.array([True, True, False, False])
        distances = {"pixels": np.array([0, 3, 1, 2]), "colors": np.array([0, 1, 2, 3])}
        values, kinds = context_metrics(np.array([0.9, 0.4, 0.6, 0.1]), same, distances, 0.7)
        assert values["separated"] == pytest.approx(3 / 4)
        assert values["accuracy"] == 0.5 and values["accuracy_same"] == 0.5 and values["chance_precision"] == 0.5
        assert values["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
        assert values["pixels_separated"] == pytest.approx(2 / 4)
        assert values["colors_separated"] == values["colors_precision"] == 1
        assert set(kinds["average_precision"][2]) == {"pixels", "colors", "chance"}

    def test_log_odds_that_are_counted(self):
        symbols, labels = sampled(0.5)
        colors = np.repeat(symbols[..., None], 3, axis=-1).astype(float)
        best = 1 / (1 + np.exp(-table_pmi(JOINT)))[symbols[:, 0], symbols[:, 1]]
        error, size = pmi_errors(best, labels[:, 0] > 0, colors, 0.5)
        assert error < 0.06 and size == pytest.approx(0.65, abs=0.06)
        assert pmi_errors(np.full(len(best), 0.5), labels[:, 0] > 0, colors, 0.5)[0] == pytest.approx(size)
        assert np.isnan(pmi_errors(best[:10], labels[:10, 0] > 0, colors[:10], 0.5)[0]), "too few to count"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gap": 1, "jitter": 2}, "`jitter` must be at most the gap"),
        ({"crop_size": 8, "channels": (4,) * 4}, "`channels`: 4 poolings leave nothing"),
        ({"resize": 8, "crop_size": 17}, "`resize` must be at least crop_size"),
        ({"positives": 1.0}, "`positives`"),
        ({"context": "frames", "pairs_per_image": 2}, "`pairs_per_image` must be 1 but for patches"),
        ({"backbone": "applications:MobileNetV2", "color": "projection"}, "`color` must be none or dropping"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    with pytest.raises(ConfigError, match=message):
        CoOccurrence(**fields)
