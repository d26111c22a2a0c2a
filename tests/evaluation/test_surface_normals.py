"""Surface normals as a whole."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl.data.examples import Skipped
from tfssl.data.normals import write_normals
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.evaluation.dense.task import mirrored
from tfssl.evaluation.tasks.surface_normals import (
    NormalAngles,
    codebook,
    codeword_task,
    cosine_loss,
    evaluate,
    expected_direction,
    nearest_word,
    painted,
    training_directions,
    unit,
)

SHORT = {"steps": 80, "crop_size": 24, "batch_size": 4, "learning_rate": 0.1, "seeds": 1}
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
        found = evaluate(encoder, root, **SHORT, **options, out=out)
        numbers = found.flat()
        assert numbers["mean_angle"] < 0.8 * numbers["mean_normal_mean_angle"]
        assert numbers["within_30"] > numbers["mean_normal_within_30"]
        assert (found["mean_angle"].unit, found["mean_angle"].higher_is_better) == ("degrees", False)
        assert found["within_30"].higher_is_better and "untrained" in found["within_30"].baselines
        record = json.loads((out / "metrics.json").read_text())
        assert record["metrics"]["mean_angle"]["value"] == numbers["mean_angle"]
        assert record["protocol"]["predict"] == options["predict"]
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
    found = mirrored(normals, "normals")
    np.testing.assert_array_equal(found[:, 0], normals[:, 2] * [-1, 1, 1])
    np.testing.assert_array_equal(mirrored(found, "normals"), normals)


class Maps(Source):
    def __init__(self, maps):
        self.maps = maps

    def __len__(self):
        return len(self.maps)

    def annotation(self, index):
        return {"normals": self.maps[index]}


def test_the_mean_normal_and_the_sample(monkeypatch):
    maps = [np.tile(WALLS[0], (4, 4, 1)), np.tile(WALLS[3], (2, 4, 1)), np.zeros((3, 3, 3), np.float32)]
    monkeypatch.setattr("tfssl.evaluation.tasks.surface_normals.SAMPLE", 18)
    mean, sample = training_directions(Maps(maps), Skipped())
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


def directions(count, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_clusters_are_found():
    """Three bundles about the axes: the codewords are the axes."""
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 50, 3))
    bundles = (np.eye(3)[:, None] + noise).reshape(-1, 3)
    bundles /= np.linalg.norm(bundles, axis=1, keepdims=True)
    words = codebook(bundles.astype(np.float32), 3)
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(words[np.argsort(words.argmax(axis=1))], np.eye(3), atol=0.02)


def test_the_nearest_word_has_the_smallest_angle():
    words, vectors = directions(12), directions(60, 1).reshape(5, 12, 3)
    wanted = [[min(range(12), key=lambda k: np.arccos(np.clip(v @ words[k], -1, 1))) for v in row] for row in vectors]
    np.testing.assert_array_equal(nearest_word(vectors, words), wanted)


def test_the_answer_is_the_weighted_sum_of_words():
    words = np.eye(3, dtype=np.float32)
    scores = np.log(np.float32([[0.5, 0.25, 0.25], [1e-9, 1.0, 1e-9]]))
    wanted = np.float32([[2, 1, 1], [0, 1, 0]]) / np.float32([[6**0.5], [1]])
    np.testing.assert_allclose(expected_direction(scores, words), wanted, atol=1e-6)


def test_unit_of_nothing_is_nothing():
    np.testing.assert_array_equal(unit(np.zeros((1, 3), np.float32)), [[0, 0, 0]])
    np.testing.assert_allclose(unit(np.float32([[3, 0, 4]])), [[0.6, 0, 0.8]], atol=1e-6)


@pytest.mark.parametrize("count", [1, 6])
def test_too_few_directions(count):
    with pytest.raises(ConfigError, match="from 2 to the number of different normals, 5"):
        codebook(np.repeat(directions(5), 4, axis=0), count)


def turned(degrees):
    radians = np.radians(np.asarray(degrees, np.float64))
    return np.stack([np.sin(radians), np.zeros_like(radians), np.cos(radians)], axis=-1).astype(np.float32)


def measured(*images):
    angles = NormalAngles()
    for truth, answer in images:
        angles.add(truth, answer)
    return angles.metrics()


def test_angles_of_a_worked_example():
    truth = np.broadcast_to(np.float32([0, 0, 1]), (2, 2, 3))
    numbers = measured((truth, turned([[5, 15], [25, 60]])))
    assert numbers["mean_angle"] == pytest.approx(26.25, abs=1e-4)
    assert numbers["median_angle"] == pytest.approx(20, abs=0.0051)
    assert [numbers[f"within_{n}"] for n in ("11_25", "22_5", "30")] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("pixels", [400, 401])
def test_over_several_images_as_over_all_of_them(pixels):
    random = np.random.default_rng(pixels)
    truth, answer = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in random.normal(size=(2, pixels, 1, 3)))
    truth[::7] = 0.0
    known = np.any(truth != 0, axis=-1)
    wanted = np.degrees([np.arccos(float(t @ a)) for t, a in zip(truth[known], answer[known], strict=True)])
    numbers = measured((truth[:90], answer[:90]), (truth[90:], answer[90:]))
    assert numbers["mean_angle"] == pytest.approx(wanted.mean())
    assert numbers["median_angle"] == pytest.approx(np.median(wanted), abs=0.0051)
    assert numbers["within_30"] == pytest.approx(np.mean(wanted < 30))


def test_ends_of_the_scale():
    same = turned([[0.0, 40.0]])
    assert measured((same, same))["mean_angle"] == pytest.approx(0, abs=0.05)
    assert measured((same, -same))["median_angle"] == pytest.approx(180, abs=0.05)
    assert all(np.isnan(v) for v in measured((0 * same, same)).values())
