"""The regression behind linear probes, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tfssl.evaluation import logistic
from tfssl.evaluation.logistic import Rows, accuracy, fit


def classes_in_noise(count, numbers, classes=5, spread=1.5, seed=0):
    """Rows around one center a class, on scales from 0.01 to 100, and 400 test rows of the same kind."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(classes, numbers)) * spread / np.sqrt(numbers) * 3
    labels = random.integers(0, classes, count + 400)
    rows = centers[labels] + random.normal(size=(count + 400, numbers))
    rows = (rows * 10.0 ** random.uniform(-2, 2, numbers) + random.normal(size=numbers)).astype(np.float32)
    return rows[:count], labels[:count], rows[count:], labels[count:]


def reference(train, labels, test, strength):
    scaler = StandardScaler().fit(train)
    scale = np.sqrt(train.shape[1])
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
    model.fit(scaler.transform(train) / scale, labels)
    return model.predict_proba(scaler.transform(test) / scale)


def ours(train, labels, test, strength):
    rows = Rows(train)
    classifier = fit(rows, labels, labels.max() + 1, strength)
    logits = np.concatenate([block @ classifier.weights + classifier.bias for block in rows.project(test)])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("count", "numbers", "spread"), [(120, 500, 1.5), (500, 60, 0.6)], ids=["fewer rows", "fewer numbers"]
)
@pytest.mark.parametrize("strength", [1.0, 10.0, 100.0])
def test_equals_scikit_learn(count, numbers, spread, strength):
    train, labels, test, truth = classes_in_noise(count, numbers, spread=spread)
    wanted, found = (f(train, labels, test, strength) for f in (reference, ours))
    assert np.abs(found - wanted).max() < 0.01
    apart = [np.mean(p.argmax(axis=1) == truth) for p in (wanted, found)]
    assert abs(apart[0] - apart[1]) <= 0.005
    assert 0.25 < apart[0] < 0.99, "neither chance nor trivial"


def test_blocks_from_a_file_equal_rows_in_memory(monkeypatch, tmp_path):
    train, labels, test, _ = classes_in_noise(300, 50)
    held = ours(train, labels, test, 1.0)
    np.save(tmp_path / "rows.npy", train)
    monkeypatch.setattr(logistic, "MAX_DIRECTIONS", 1)
    monkeypatch.setattr(logistic, "BLOCK_NUMBERS", 64 * 50)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert not Rows(mapped).in_memory and [len(x) for x, _ in Rows(mapped).blocks()] == [64] * 4 + [44]
    np.testing.assert_allclose(ours(mapped, labels, test, 1.0), held, atol=5e-3)
    keep = np.arange(300) % 3 == 0
    (positions,) = [np.concatenate([p for _, p in Rows(mapped).blocks(keep)])]
    np.testing.assert_array_equal(positions, np.flatnonzero(keep))


@pytest.mark.parametrize("numbers", [500, 60])
def test_scales_shifts_and_order_of_the_numbers_do_not_matter(numbers):
    train, labels, test, _ = classes_in_noise(200, numbers)
    random = np.random.default_rng(1)
    factor, shift = 10.0 ** random.uniform(-1, 1, numbers), random.normal(size=numbers)
    order = random.permutation(numbers)
    changed = [((x * factor + shift)[:, order]).astype(np.float32) for x in (train, test)]
    np.testing.assert_allclose(ours(*changed[:1], labels, changed[1], 1.0), ours(train, labels, test, 1.0), atol=5e-3)


def test_rotation_keeps_distances():
    train, _, test, _ = classes_in_noise(40, 300)
    rows = Rows(train)
    (inside, positions), (outside,) = next(rows.blocks()), list(rows.project(test))
    np.testing.assert_array_equal(positions, np.arange(40))
    standard = StandardScaler().fit(train)
    wanted = standard.transform(train) / np.sqrt(300)
    np.testing.assert_allclose(inside @ inside.T, wanted @ wanted.T, atol=2e-3)
    np.testing.assert_allclose(outside @ inside.T, standard.transform(test) / np.sqrt(300) @ wanted.T, atol=2e-3)
    assert inside.shape[1] == 39, "40 centered rows span 39 directions"


def test_numbers_that_never_change_are_left_out():
    train, labels, test, truth = classes_in_noise(200, 60)
    dead = np.concatenate([train, np.full((200, 3), 7.0, np.float32)], axis=1)
    alive = np.concatenate([test, np.full((400, 3), 1e6, np.float32)], axis=1)
    rows = Rows(dead)
    right = accuracy(fit(rows, labels, 5, 1.0), rows.project(alive), truth)
    assert right == pytest.approx(np.mean(reference(train, labels, test, 1.0).argmax(axis=1) == truth), abs=0.03)


def test_starting_elsewhere_ends_at_the_same_place():
    train, labels, _, _ = classes_in_noise(200, 300)
    rows = Rows(train)
    fresh = fit(rows, labels, 5, 1.0)
    other = fit(rows, labels, 5, 1.0, start=fit(rows, labels, 5, 100.0))
    np.testing.assert_allclose(other.weights, fresh.weights, atol=0.02 * np.abs(fresh.weights).max())
