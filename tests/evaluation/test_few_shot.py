"""Few images of each class: what is drawn, what the fit may see, and the whole evaluation."""

import csv

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import Features
from tfssl.evaluation.record import read_record
from tfssl.evaluation.tasks.few_shot import STRENGTH, draw_shots, evaluate, few_shot


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
    with pytest.raises(SourceError, match="only 4 readable images, fewer than shots=5"):
        draw_shots(labels, 5, 0)


def test_equals_scikit_learn_on_what_was_drawn():
    train, test, shots = features(80), features(4000, seed=1), (2, 8, 20)
    for run in few_shot("encoder", [0, 1], train, test, shots):
        left = []
        for k in shots:
            drawn = draw_shots(train.labels, k, run.seed)
            scaler = StandardScaler().fit(train.rows["conv1"][drawn])
            vectors = [scaler.transform(part.rows["conv1"]) / 60**0.5 for part in (train, test)]
            model = LogisticRegression(C=STRENGTH, tol=1e-8, max_iter=5000).fit(vectors[0][drawn], train.labels[drawn])
            assert run.metrics[f"accuracy_{k}"] == pytest.approx(model.score(vectors[1], test.labels), abs=0.005)
            if not drawn.all():
                left.append(model.score(vectors[0][~drawn], train.labels[~drawn]))
        assert len(left) == 2, "20 of each class are all"
        assert run.held_out == pytest.approx(np.mean(left), abs=0.02)
        assert run.metrics["accuracy"] == pytest.approx(np.mean([run.metrics[f"accuracy_{k}"] for k in shots]))


def test_more_images_help_and_random_labels_give_chance():
    runs = list(few_shot("encoder", range(5), features(160), features(800, seed=1), [1, 4, 16]))
    means = [np.mean([run.metrics[f"accuracy_{k}"] for run in runs]) for k in (1, 4, 16)]
    assert 0.3 < means[0] < means[1] < means[2]
    noise = (features(160, planted=0.0), features(2000, planted=0.0, seed=1))
    (chance,) = few_shot("encoder", [0], *noise, [16])
    assert abs(chance.metrics["accuracy"] - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_where_all_images_are_drawn_nothing_is_held_out():
    runs = list(few_shot("encoder", [0, 1], features(8), features(40, seed=1), [2]))
    assert [run.held_out for run in runs] == [None, None] and runs[0].metrics == runs[1].metrics


@pytest.fixture(scope="module")
def root(colors):
    return colors(5, 6)


def test_the_whole_evaluation(root, encoder, tmp_path):
    seen = []
    options = {"image_size": 24, "pool": 2, "draws": 2, "progress": lambda *state: seen.append(state)}
    record = evaluate(encoder, root, out=tmp_path, **options)
    assert record["accuracy_4"].baselines["pixels"] == 1.0, "the mean color tells these classes apart"
    assert list(record)[:4] == ["accuracy", "accuracy_1", "accuracy_2", "accuracy_4"], "classes have five images"
    assert record["accuracy_1"].baselines["chance"] == pytest.approx(1 / 3)
    assert [record[f"images_{part}"].value for part in ("train", "test", "skipped")] == [15, 18, 0]
    assert read_record(tmp_path).metrics == record.metrics
    assert record.protocol["shots"] == (1, 2, 4) and record.protocol["strength"] == STRENGTH
    with open(tmp_path / "runs.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(seen) - 1 == (2 + 2 + 1) * 2 and seen[0][:2] == (0, 10) and seen[-1][:2] == (10, 10)
    own = [float(r["accuracy_1"]) for r in table if (r["encoder"], r["tap"]) == ("encoder", record.details["tap"])]
    assert record["accuracy_1"].value == pytest.approx(np.mean(own)) and record["accuracy_1"].n == len(own) == 2
    with Image.open(tmp_path / "shots.png") as picture:
        assert picture.size == (960, 630)


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
        evaluate(encoder, root, **{"image_size": 24, "pool": 1, "draws": 1, **options})
    assert "\n" not in str(caught.value)
