"""Surface normals as a whole."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.data.normals import write_normals
from tfssl.errors import ConfigError
from tfssl.evaluation.dense.pictures import DensePictures
from tfssl.evaluation.tasks.surface_normals import (
    codeword_task,
    cosine_loss,
    evaluate,
    mirrored,
    painted,
    training_directions,
)

SHORT = {"steps": 80, "crop": 24, "batch_size": 4, "rate": 0.1, "seeds": 1}
WALLS = np.float32([[0.6, 0, -0.8], [-0.6, 0, -0.8], [0, -1, 0], [0, 0, -1]])
SHADES = np.uint8([[200, 40, 40], [40, 40, 200], [40, 200, 40], [120, 120, 120]])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Striped scenes: each stripe has the normal of its color; some pixels are unknown. Mirrors swap red and blue."""
    folder, random = tmp_path_factory.mktemp("normals"), np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 4)):
        for end in ("", "normals"):
            (folder / f"{part}{end}").mkdir()
        for i in range(count):
            kinds = np.repeat(random.integers(0, 4, (3, 4)), 12, axis=0).repeat(10, axis=1)
            normals = WALLS[kinds]
            normals[:3] = 0
            Image.fromarray(SHADES[kinds]).save(folder / part / f"{i}.png")
            write_normals(folder / f"{part}normals" / f"{i}.png", normals)
    return folder


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    return keras.Model(rgb, {"conv1": keras.layers.Conv2D(16, 1, activation="relu")(rgb)}, name="encoder")


def test_both_forms_beat_the_mean_normal(root, encoder, tmp_path):
    for options in ({"predict": "codewords", "codewords": 4}, {"predict": "regression"}):
        out = tmp_path / options["predict"]
        numbers = evaluate(encoder, root, **SHORT, **options, out=out)
        assert numbers["mean_angle"] < 0.8 * numbers["mean_normal_mean_angle"]
        assert numbers["within_30"] > numbers["mean_normal_within_30"]
        assert numbers["gain"] == pytest.approx(numbers["untrained_mean_angle"] - numbers["mean_angle"])
        record = json.loads((out / "metrics.json").read_text())
        assert {key: record[key] for key in numbers} == numbers and record["protocol"]["predict"] == options["predict"]
        assert {path.name for path in out.iterdir()} == {"metrics.json", "runs.csv", "pictures.png"}
    assert "codebook" not in record["protocol"]


def test_codewords_stand_in_the_protocol(root, encoder, tmp_path):
    evaluate(encoder, root, **SHORT | {"steps": 1}, codewords=4, out=tmp_path)
    words = np.array(json.loads((tmp_path / "metrics.json").read_text())["protocol"]["codebook"])
    distances = np.linalg.norm(words[:, None] - WALLS, axis=-1)
    assert (distances.min(axis=0) < 1e-3).all(), "there are four directions and four words"


def test_the_losses_equal_a_plain_loop():
    random = np.random.default_rng(0)
    targets, vectors = random.normal(size=(2, 2, 3, 4, 3)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=-1, keepdims=True)
    targets[1, 2] = 0
    words = targets[0, 0]
    scores = random.normal(size=(2, 3, 4, 4)).astype(np.float32)
    cosines, entropies = [], []
    for index in np.ndindex(2, 3, 4):
        t, v, s = targets[index], vectors[index], scores[index].astype(np.float64)
        if t.any():
            cosines.append(np.sum((t - v / np.linalg.norm(v)) ** 2) / 2)
            entropies.append(np.log(np.exp(s).sum()) - s[np.argmax(words @ t)])
    assert float(cosine_loss(targets, vectors)) == pytest.approx(np.mean(cosines), abs=1e-6)
    task = codeword_task(None, None, words)
    assert float(task.loss(tf.constant(targets), scores)) == pytest.approx(np.mean(entropies), abs=1e-6)


def test_in_a_mirror_right_is_left():
    normals = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    found = mirrored(normals)
    np.testing.assert_array_equal(found[:, 0], normals[:, 2] * [-1, 1, 1])
    np.testing.assert_array_equal(mirrored(found), normals)


def test_the_mean_normal_and_the_sample(monkeypatch):
    maps = [np.tile(WALLS[0], (4, 4, 1)), np.tile(WALLS[3], (2, 4, 1)), np.zeros((3, 3, 3), np.float32)]
    monkeypatch.setattr("tfssl.evaluation.tasks.surface_normals.SAMPLE", 18)
    mean, sample = training_directions(DensePictures(("a", "b", "c"), maps.__getitem__, 0.0, mirrored), Skipped())
    wanted = 16 * WALLS[0] + 8 * WALLS[3]
    np.testing.assert_allclose(mean, wanted / np.linalg.norm(wanted), atol=1e-6)
    assert len(sample) == 12 and (sample == WALLS[3]).all(axis=1).sum() == 6


def test_unknown_pixels_are_black():
    assert painted(np.float32([[[0, 0, -1], [0, 0, 0]]])).tolist() == [[[128, 128, 0], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"predict": "words"}, "`predict` must be"), ({"codewords": 0}, "`codewords`"), ({"codewords": 9}, "`codewords`")],
)
def test_wrong_settings(root, encoder, options, words):
    with pytest.raises(ConfigError, match=words):
        evaluate(encoder, root, **SHORT | options)
