"""The protocol of linear probes: what is chosen on what, and the ends of the scale."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import Features
from tfssl.evaluation.logistic import accuracy
from tfssl.evaluation.record import read_record
from tfssl.evaluation.tasks import linear_probe
from tfssl.evaluation.tasks.linear_probe import STRENGTHS, evaluate, held_out, probe


def features(count, classes=4, numbers=200, planted=0.0, seed=0):
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    rows = random.normal(size=(count, numbers)).astype(np.float32)
    rows[np.arange(count), labels] += planted
    return Features({"conv1": rows}, labels, {"conv1": (1, 1, numbers)})


@pytest.fixture(scope="module")
def root(colors):
    return colors(12, 6)


def test_a_fifth_of_each_class_is_held_out():
    labels = np.repeat([0, 1, 2, 3], [50, 16, 2, 1])
    held = held_out(labels, 0)
    assert [int(held[labels == k].sum()) for k in range(4)] == [10, 3, 1, 0]
    np.testing.assert_array_equal(held, held_out(labels, 0))
    assert (held != held_out(labels, 1)).any()


def test_equals_scikit_learn_at_the_chosen_strength():
    train, test = features(160, planted=2.0), features(400, planted=2.0, seed=1)
    scaler = StandardScaler().fit(train.rows["conv1"])
    for score in probe("encoder", [0, 1], train, test):
        rows, held = scaler.transform(train.rows["conv1"]) / 200**0.5, held_out(train.labels, score.seed)
        model = LogisticRegression(C=score.about["strength"], tol=1e-8, max_iter=5000)
        assert score.held_out == pytest.approx(
            model.fit(rows[~held], train.labels[~held]).score(rows[held], train.labels[held]), abs=1.01 / held.sum()
        )
        wanted = model.fit(rows, train.labels).score(scaler.transform(test.rows["conv1"]) / 200**0.5, test.labels)
        assert score.metrics["accuracy"] == pytest.approx(wanted, abs=0.005)
        assert 0.4 < wanted < 0.95


def test_a_planted_feature_is_found_and_random_labels_give_chance():
    (planted,) = probe("encoder", [0], *(features(n, numbers=40, planted=30.0, seed=n) for n in (200, 400)))
    assert planted.metrics["accuracy"] == planted.held_out == 1.0
    (chance,) = probe("encoder", [0], features(400), features(2000, seed=1))
    assert abs(chance.metrics["accuracy"] - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_the_test_set_chooses_nothing(monkeypatch):
    """With another test set, strength and held-out accuracy are the same, and each chosen fit sees it once."""
    train, calls = features(200, planted=1.0), []
    monkeypatch.setattr(linear_probe, "accuracy", lambda *a: calls.append(a) or accuracy(*a))
    first = list(probe("encoder", [0, 1, 2], train, features(100, planted=1.0, seed=1)))
    chosen = {score.about["strength"] for score in first}
    assert len(calls) == 3 * len(STRENGTHS) + len(chosen)
    second = list(probe("encoder", [0, 1, 2], train, features(100, planted=-1.0, seed=2)))
    assert [(s.about["strength"], s.held_out) for s in first] == [(s.about["strength"], s.held_out) for s in second]


def test_the_whole_evaluation(root, encoder, tmp_path):
    seen = []
    record = evaluate(
        encoder,
        root,
        image_size=24,
        pool=2,
        seeds=2,
        compare={"twin": encoder},
        references={"supervised": 0.9},
        out=tmp_path,
        progress=lambda *state: seen.append(state),
    )
    beside = record["accuracy"].baselines
    assert beside["pixels"] == 1.0, "the mean color tells these classes apart"
    assert beside["twin"] == float(record["accuracy"]) and beside["supervised"] == 0.9
    assert beside["chance"] == pytest.approx(1 / 3) and record["classes"].value == 3
    assert [record[f"images_{part}"].value for part in ("train", "test", "skipped")] == [36, 18, 0]
    assert read_record(tmp_path).metrics == record.metrics
    protocol = json.loads((tmp_path / "metrics.json").read_text())["protocol"]
    assert protocol["strengths"] == list(STRENGTHS) and protocol["train"].endswith("train")
    with open(tmp_path / "runs.csv", newline="") as file:
        table = list(csv.DictReader(file))
    kinds = [(row["encoder"], row["tap"], row["seed"]) for row in table]
    assert len(set(kinds)) == len(kinds) == len(seen) - 1 == 2 * (2 + 2 + 1 + 2) and seen[-1][:2] == (14, 14)
    assert {row["numbers"] for row in table if row["tap"] == "conv2"} == {"24"}
    with Image.open(tmp_path / "taps.png") as picture:
        assert picture.size == (960, 658)


@pytest.mark.slow
def test_untrained_networks_are_others_for_each_seed(root, encoder):
    record = evaluate(encoder, root, image_size=24, pool=1, seeds=3, taps=["conv2"])
    assert record.details["encoders"]["untrained"]["best_on_test_tap"] == "conv2" and "tap_conv1" not in record
    again = evaluate(encoder, root, image_size=24, pool=1, seeds=3, taps=["conv2"])
    assert again == record, "seeds make it repeatable"
    random = evaluate(encoder, root, image_size=24, pool=1, seeds=3, taps=["conv2"], trained=False)
    assert "untrained" not in random["accuracy"].baselines
    assert float(random["tap_conv2"]) == record["best_on_test"].baselines["untrained"], "its own weights are not used"


def test_unreadable_images_are_named(root, encoder, tmp_path):
    import shutil

    copy = shutil.copytree(root, tmp_path / "copy")
    (copy / "train" / "red" / "3.png").write_bytes(b"no image")
    record = evaluate(encoder, copy, image_size=24, pool=1, seeds=1)
    assert record["images_train"].value == 35 and list(record.skipped) == [str(copy / "train" / "red" / "3.png")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"taps": ["conv7"]}, "no 'conv7'; the encoder has conv1, conv2"),
        ({"image_size": 4}, "`image_size` must be an integer from 8 to 2048"),
        ({"pool": 0}, "`pool` must be a positive integer"),
        ({"seeds": 0}, "`seeds` must be a positive integer"),
        ({"compare": {"pixels": None}}, "the name 'pixels' is taken"),
        ({"references": {"x": 37.0}}, r"accuracies in \[0, 1\]"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{"image_size": 24, "pool": 1, "seeds": 1, **options})
    assert "\n" not in str(caught.value)


def test_one_image_a_class_cannot_be_probed():
    with pytest.raises(SourceError, match="two images"):
        list(probe("encoder", [0], features(4), features(8)))


def test_crops_vote_with_their_mean_probability():
    train = features(400, numbers=40, planted=30.0)
    right, wrong = (features(40, numbers=40, planted=30.0, seed=seed) for seed in (1, 2))
    wrong = Features({"conv1": np.roll(wrong.rows["conv1"], 1, axis=0)}, right.labels, wrong.shapes)
    (score,) = probe("encoder", [0], train, right, right, wrong, wrong)
    assert score.metrics["accuracy"] == 1.0 and score.metrics["ten_crop"] == 0.0
    (score,) = probe("encoder", [0], train, wrong, right, right, wrong)
    assert score.metrics["accuracy"] == 0.0 and score.metrics["ten_crop"] == 1.0


def test_ten_crops_stand_beside_the_center(root, encoder):
    record = evaluate(encoder, root, image_size=16, pool=1, seeds=1, crops=10)
    assert 0 <= float(record["ten_crop"]) <= 1 and 0 <= record["ten_crop"].baselines["untrained"] <= 1
    assert "ten_crop" not in evaluate(encoder, root, image_size=16, pool=1, seeds=1)
    with pytest.raises(ConfigError, match="`crops` must be 1 or 10"):
        evaluate(encoder, root, crops=5)
