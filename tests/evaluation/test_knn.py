"""The vote of the nearest neighbors."""

import numpy as np
import pytest

from tfssl.evaluation.features import Features
from tfssl.evaluation.tasks import knn
from tfssl.evaluation.tasks.knn import TEMPERATURE, neighbor_accuracy, vote


def on_circle(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_vote_equals_a_plain_loop(monkeypatch):
    monkeypatch.setattr(knn, "_QUERIES", 7)
    random = np.random.default_rng(0)
    bank, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in random.normal(size=(2, 60, 5)))
    labels = random.integers(0, 4, 60)
    for leave_one_out, asked in ((False, queries), (True, bank)):
        wanted = []
        for i, query in enumerate(asked):
            cosines = {j: float(query @ row) for j, row in enumerate(bank) if not (leave_one_out and i == j)}
            nearest = sorted(cosines, key=cosines.get, reverse=True)[:20]
            votes = [sum(np.exp(cosines[j] / TEMPERATURE) for j in nearest if labels[j] == k) for k in range(4)]
            wanted.append(int(np.argmax(votes)))
        np.testing.assert_array_equal(vote(bank, labels, asked, leave_one_out=leave_one_out), wanted)


def test_near_neighbors_count_more_than_many():
    """Two at 5 degrees against three at 40: exp(0.996 / 0.07) is 26 times exp(0.766 / 0.07)."""
    bank, labels = on_circle(5, -5, 40, 41, 42), np.array([0, 0, 1, 1, 1])
    assert vote(bank, labels, on_circle(0)).tolist() == [0]


def test_shift_and_length_of_vectors_do_not_matter():
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(60, 8)).astype(np.float32), np.arange(60) % 3
    rows[:, 0] += 2.0 * labels

    def measure(factor, shift):
        part = Features({"conv1": factor * rows + shift}, labels, {})
        return neighbor_accuracy(part, Features({"conv1": part.rows["conv1"][::2]}, labels[::2], {}), "conv1")

    assert measure(np.float32(100), np.float32(50)) == measure(np.float32(1), np.float32(0))
    own, other = measure(np.float32(1), np.float32(0))
    assert 0.4 < own < other, "test images that are in the training set vote for themselves"


def test_the_task_on_images(encoder, colors, tmp_path):
    record = knn.evaluate(encoder, colors(12, 6), image_size=16, pool=1, seeds=2, taps=["conv1"], out=tmp_path)
    accuracy = record["accuracy"]
    assert accuracy.baselines["pixels"] == 1.0 and accuracy.std == 0.0
    assert accuracy.baselines["chance"] == pytest.approx(1 / 3)
    assert {p.name for p in tmp_path.iterdir()} == {"metrics.json", "runs.csv", "taps.png"}
