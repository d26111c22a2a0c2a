"""Few pictures of each class: what is drawn, what the fit may see, and the whole evaluation."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import Features
from tfssl.evaluation.tasks.few_shot import STRENGTH, ShotScore, draw_shots, evaluate, few_shot, summary


def features(count, classes=4, numbers=60, planted=2.0, seed=0):
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    rows = random.normal(size=(count, numbers)).astype(np.float32)
    rows[np.arange(count), labels] += planted
    return Features({"conv1": rows}, labels, {"conv1": (1, 1, numbers)})


def test_k_of_each_class_are_drawn():
    labels = np.repeat([0, 1, 2], [10, 4, 7])
    drawn = draw_shots(labels, 3, 0)
    assert [int(drawn[labels == i].sum()) for i in range(3)] == [3, 3, 3]
    np.testing.assert_array_equal(drawn, draw_shots(labels, 3, 0))
    assert (drawn != draw_shots(labels, 3, 1)).any()
    with pytest.raises(SourceError, match="only 4 readable pictures, fewer than shots=5"):
        draw_shots(labels, 5, 0)


def test_equals_scikit_learn_on_what_was_drawn():
    train, test = features(80), features(4000, seed=1)
    for score in few_shot(train, test, [2, 8, 20], [0, 1]):
        drawn = draw_shots(train.labels, score.shots, score.draw)
        scaler = StandardScaler().fit(train.rows["conv1"][drawn])
        vectors = [scaler.transform(part.rows["conv1"]) / 60**0.5 for part in (train, test)]
        model = LogisticRegression(C=STRENGTH, tol=1e-8, max_iter=5000).fit(vectors[0][drawn], train.labels[drawn])
        assert score.accuracy == pytest.approx(model.score(vectors[1], test.labels), abs=0.005)
        if score.shots == 20:
            assert np.isnan(score.held_out) and drawn.all()
        else:
            wanted = model.score(vectors[0][~drawn], train.labels[~drawn])
            assert score.held_out == pytest.approx(wanted, abs=1.01 / (~drawn).sum())


def test_more_pictures_help_and_random_labels_give_chance():
    scores = list(few_shot(features(160), features(800, seed=1), [1, 4, 16], range(5)))
    means = [np.mean([s.accuracy for s in scores if s.shots == k]) for k in (1, 4, 16)]
    assert 0.3 < means[0] < means[1] < means[2]
    (chance,) = few_shot(features(160, planted=0.0), features(2000, planted=0.0, seed=1), [16], [0])
    assert abs(chance.accuracy - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_the_tap_is_chosen_by_pictures_that_were_not_drawn():
    def score(tap, k, draw, held, right, encoder="encoder"):
        return ShotScore(encoder, tap, k, draw, held, right)

    numbers = summary(
        [
            *(score("conv1", 1, 0, 0.5, 0.30), score("conv1", 1, 1, 0.5, 0.20), score("conv1", 2, 0, np.nan, 0.60)),
            *(score("conv2", 1, 0, 0.4, 0.90), score("conv2", 1, 1, 0.4, 0.90), score("conv2", 2, 0, np.nan, 0.95)),
            *(score("conv1", 1, 0, 0.2, 0.1, "untrained"), score("conv1", 2, 0, np.nan, 0.2, "untrained")),
        ]
    )
    assert numbers["tap"] == "conv1"
    assert numbers["accuracy_1"] == pytest.approx(0.25)
    assert numbers["accuracy_1_std"] == pytest.approx(np.std([0.3, 0.2], ddof=1))
    assert numbers["accuracy_2"] == 0.6 and numbers["accuracy_2_std"] == 0
    assert numbers["accuracy"] == pytest.approx(0.425) and numbers["gain"] == pytest.approx(0.425 - 0.15)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("labeled"), np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 6)):
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
    return keras.Model(rgb, {"conv1": one, "conv2": keras.layers.Conv2D(6, 3, strides=2)(one)}, name="encoder")


def test_the_whole_evaluation(root, encoder, tmp_path):
    seen = []
    options = {"side": 24, "pool": 2, "draws": 2, "progress": lambda *state: seen.append(state)}
    numbers = evaluate(encoder, root, out=tmp_path, **options)
    assert numbers["pixels_accuracy_4"] == 1.0, "the mean color tells these classes apart"
    assert "accuracy_8" not in numbers, "classes have five pictures"
    assert numbers["chance"] == pytest.approx(1 / 3)
    assert (numbers["images_train"], numbers["images_test"], numbers["images_skipped"]) == (15, 18, 0)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert {k: v for k, v in record.items() if k in numbers} == numbers
    assert record["protocol"]["shots"] == [1, 2, 4] and record["protocol"]["strength"] == STRENGTH
    with open(tmp_path / "shots.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(seen) == (2 + 2 + 1) * 3 * 2 and seen[-1][:2] == (30, 30)
    own = [
        float(r["accuracy"]) for r in table if (r["encoder"], r["tap"], r["shots"]) == ("encoder", numbers["tap"], "1")
    ]
    assert numbers["accuracy_1"] == pytest.approx(np.mean(own))
    with Image.open(tmp_path / "shots.png") as picture:
        assert picture.size == (640, 420)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shots": [2, 1]}, "`shots` must be rising whole numbers from 1 to 5"),
        ({"shots": 6}, "`shots` must be rising"),
        ({"draws": 0}, "`draws` must be a positive integer"),
        ({"strength": 0}, "`strength` must be above 0"),
        ({"taps": ["conv9"]}, "no 'conv9'"),
    ],
)
def test_wrong_settings_are_one_line(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        evaluate(encoder, root, **{"side": 24, "pool": 1, "draws": 1, **options})
    assert "\n" not in str(caught.value)
