"""The protocol of linear probes: what is chosen on what, and the ends of the scale."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import Features
from tfssl.evaluation.logistic import accuracy
from tfssl.evaluation.tap_scores import TapScore, summary
from tfssl.evaluation.tasks import linear_probe
from tfssl.evaluation.tasks.linear_probe import STRENGTHS, evaluate, held_out, probe


def features(count, classes=4, numbers=200, planted=0.0, seed=0):
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    rows = random.normal(size=(count, numbers)).astype(np.float32)
    rows[np.arange(count), labels] += planted
    return Features({"conv1": rows}, labels, {"conv1": (1, 1, numbers)})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three classes of 12 + 6 noisy pictures that differ in their mean color."""
    folder, random = tmp_path_factory.mktemp("labeled"), np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 6)):
        for channel, name in enumerate(("blue", "green", "red")):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 200, (24, 24, 3))
                pixels[..., channel] += 50
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(4, 3, activation="relu", padding="same")(rgb)
    two = keras.layers.Conv2D(6, 3, strides=2, activation="relu", padding="same")(one)
    return keras.Model(rgb, {"conv1": one, "conv2": two}, name="encoder")


def test_a_fifth_of_each_class_is_held_out():
    labels = np.repeat([0, 1, 2, 3], [50, 16, 2, 1])
    held = held_out(labels, 0)
    assert [int(held[labels == k].sum()) for k in range(4)] == [10, 3, 1, 0]
    np.testing.assert_array_equal(held, held_out(labels, 0))
    assert (held != held_out(labels, 1)).any()


def test_equals_scikit_learn_at_the_chosen_strength():
    train, test = features(160, planted=2.0), features(400, planted=2.0, seed=1)
    scaler = StandardScaler().fit(train.rows["conv1"])
    for score in probe(train, test, [0, 1]):
        rows, held = scaler.transform(train.rows["conv1"]) / 200**0.5, held_out(train.labels, score.seed)
        model = LogisticRegression(C=score.setting, tol=1e-8, max_iter=5000)
        assert score.held_out == pytest.approx(
            model.fit(rows[~held], train.labels[~held]).score(rows[held], train.labels[held]), abs=1.01 / held.sum()
        )
        wanted = model.fit(rows, train.labels).score(scaler.transform(test.rows["conv1"]) / 200**0.5, test.labels)
        assert score.accuracy == pytest.approx(wanted, abs=0.005)
        assert 0.4 < wanted < 0.95


def test_a_planted_feature_is_found_and_random_labels_give_chance():
    (planted,) = probe(features(200, numbers=40, planted=30.0), features(400, numbers=40, planted=30.0, seed=1), [0])
    assert planted.accuracy == planted.held_out == 1.0
    (chance,) = probe(features(400), features(2000, seed=1), [0])
    assert abs(chance.accuracy - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_the_test_set_chooses_nothing(monkeypatch):
    """With another test set, strength and held-out accuracy are the same, and each chosen fit sees it once."""
    train, calls = features(200, planted=1.0), []
    monkeypatch.setattr(linear_probe, "accuracy", lambda *a: calls.append(a) or accuracy(*a))
    first = list(probe(train, features(100, planted=1.0, seed=1), [0, 1, 2]))
    chosen = {score.setting for score in first}
    assert len(calls) == 3 * len(STRENGTHS) + len(chosen)
    second = list(probe(train, features(100, planted=-1.0, seed=2), [0, 1, 2]))
    assert [(s.setting, s.held_out) for s in first] == [(s.setting, s.held_out) for s in second]


def test_summary_tells_both_best_taps():
    def score(tap, seed, held, right, encoder="encoder"):
        return TapScore(encoder, tap, (1, 1, 9), seed, 1.0, held, right)

    numbers = summary(
        [
            *(score("conv1", 0, 0.5, 0.30), score("conv1", 1, 0.3, 0.30)),
            *(score("conv2", 0, 0.4, 0.44), score("conv2", 1, 0.6, 0.40)),
            *(score("conv1", 0, 0.2, 0.2, "untrained"), score("conv1", 1, 0.2, 0.1, "untrained")),
        ]
    )
    assert numbers["accuracy"] == pytest.approx((0.30 + 0.40) / 2), "conv1 chosen by seed 0, conv2 by seed 1"
    assert numbers["accuracy_std"] == pytest.approx(np.std([0.30, 0.40], ddof=1))
    assert numbers["best_on_test"] == pytest.approx(0.42) and numbers["best_on_test_tap"] == "conv2"
    assert numbers["untrained_accuracy"] == pytest.approx(0.15)
    assert numbers["gain"] == pytest.approx(0.20) and numbers["gain_on_test"] == pytest.approx(0.27)
    assert numbers["tap_conv1"] == pytest.approx(0.3) and numbers["tap_conv1_std"] == 0


def test_the_whole_evaluation(root, encoder, tmp_path):
    seen = []
    numbers = evaluate(
        encoder,
        root,
        side=24,
        pool=2,
        seeds=2,
        compare={"twin": encoder},
        references={"supervised": 0.9},
        out=tmp_path,
        progress=lambda *state: seen.append(state),
    )
    assert numbers["pixels_accuracy"] == 1.0, "the mean color tells these classes apart"
    assert numbers["twin_accuracy"] == numbers["accuracy"] and numbers["reference_supervised"] == 0.9
    assert numbers["chance"] == pytest.approx(1 / 3) and numbers["classes"] == 3
    assert (numbers["images_train"], numbers["images_test"], numbers["images_skipped"]) == (36, 18, 0)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert {k: v for k, v in record.items() if k in numbers} == numbers
    assert record["protocol"]["strengths"] == list(STRENGTHS) and record["protocol"]["train"].endswith("train")
    with open(tmp_path / "taps.csv", newline="") as file:
        table = list(csv.DictReader(file))
    kinds = [(row["encoder"], row["tap"], row["seed"]) for row in table]
    assert len(set(kinds)) == len(kinds) == len(seen) == 2 * (2 + 2 + 1 + 2) and seen[-1][:2] == (14, 14)
    assert {row["numbers"] for row in table if row["tap"] == "conv2"} == {"24"}
    with Image.open(tmp_path / "taps.png") as picture:
        assert picture.size == (640, 420)


def test_untrained_networks_are_others_for_each_seed(root, encoder):
    numbers = evaluate(encoder, root, side=24, pool=1, seeds=3, taps=["conv2"])
    assert numbers["untrained_best_on_test_tap"] == "conv2" and "tap_conv1" not in numbers
    again = evaluate(encoder, root, side=24, pool=1, seeds=3, taps=["conv2"])
    assert again == numbers, "seeds make it repeatable"
    random = evaluate(encoder, root, side=24, pool=1, seeds=3, taps=["conv2"], trained=False)
    assert "untrained_accuracy" not in random
    assert random["tap_conv2"] == numbers["untrained_best_on_test"], "its own weights are not used"


def test_unreadable_pictures_are_named(root, encoder, tmp_path):
    import shutil

    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / "train" / "red" / "3.png").write_bytes(b"no picture")
    numbers = evaluate(encoder, copy, side=24, pool=1, seeds=1)
    assert numbers["images_train"] == 35 and list(numbers["skipped"]) == [str(copy / "train" / "red" / "3.png")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"taps": ["conv7"]}, "no 'conv7'; the encoder has conv1, conv2"),
        ({"side": 4}, "`side` must be an integer from 8 to 2048"),
        ({"pool": 0}, "`pool` must be a positive integer"),
        ({"seeds": 0}, "`seeds` must be a positive integer"),
        ({"compare": {"pixels": None}}, "the name 'pixels' is taken"),
        ({"references": {"x": 37.0}}, r"accuracies in \[0, 1\]"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{"side": 24, "pool": 1, "seeds": 1, **options})
    assert "\n" not in str(caught.value)


def test_one_picture_a_class_cannot_be_probed():
    with pytest.raises(SourceError, match="two pictures"):
        list(probe(features(4), features(8), [0]))


def test_ten_crops_are_corners_center_and_mirror_images():
    from tfssl.evaluation.labeled_sets import ten_crops

    picture = np.arange(2 * 5 * 5 * 3, dtype=np.uint8).reshape(2, 5, 5, 3)
    batches = tf.data.Dataset.from_tensors((picture, np.array([0, 1])))
    found = [next(dataset.as_numpy_iterator())[0] for dataset in ten_crops(batches, 5, 3)]
    for number, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]):
        part = picture[:, top : top + 3, left : left + 3]
        np.testing.assert_array_equal(found[2 * number], part)
        np.testing.assert_array_equal(found[2 * number + 1], part[:, :, ::-1])


def test_crops_vote_with_their_mean_probability():
    train = features(400, numbers=40, planted=30.0)
    right, wrong = (features(40, numbers=40, planted=30.0, seed=seed) for seed in (1, 2))
    wrong = Features({"conv1": np.roll(wrong.rows["conv1"], 1, axis=0)}, right.labels, wrong.shapes)
    (score,) = probe(train, right, [0], crops=[right, wrong, wrong])
    assert score.accuracy == 1.0 and score.ten_crop == 0.0
    (score,) = probe(train, wrong, [0], crops=[right, right, wrong])
    assert score.accuracy == 0.0 and score.ten_crop == 1.0


def test_ten_crops_stand_beside_the_center(root, encoder):
    numbers = evaluate(encoder, root, side=16, pool=1, seeds=1, crops=10)
    assert 0 <= numbers["ten_crop"] <= 1 and 0 <= numbers["untrained_ten_crop"] <= 1
    assert "ten_crop" not in evaluate(encoder, root, side=16, pool=1, seeds=1)
    with pytest.raises(ConfigError, match="`crops` must be 1 or 10"):
        evaluate(encoder, root, crops=5)
