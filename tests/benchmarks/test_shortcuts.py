"""Pictures without content: each holds its shortcut and nothing else; networks find it, unless a guard is on."""

import dataclasses
import importlib
import json

import numpy as np
import pytest

from benchmarks.contentless import aberration, borders, ramps


@pytest.fixture
def shortcuts(root, monkeypatch):
    """benchmarks/shortcuts.py, which finds its neighbors as a script does."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module("shortcuts")


def mean_and_error(values):
    """Mean over pictures, and its standard error."""
    return np.mean(values), np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize("make", [borders, ramps, aberration])
def test_pictures_follow_from_the_seed(make):
    pictures = make(3, 40, 5)
    assert pictures.shape == (3, 40, 40, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, make(3, 40, 5))
    assert not np.array_equal(pictures, make(3, 40, 6))
    assert not np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("distance", [1, 6, 9, 12, 20])
def test_likeness_of_pixels_falls_with_their_distance(distance):
    levels = (borders(300, 64, 0, width=3.0)[..., 0] - 128.0) / 40
    products = (levels[:, :, :-distance] * levels[:, :, distance:]).mean(axis=(1, 2))
    mean, error = mean_and_error(products)
    assert mean == pytest.approx(np.exp(-((distance / 6) ** 2)), abs=4 * error + 0.005)  # 0.005: cut off at 0 and 255


def test_borders_match_without_a_gap_only(shortcuts):
    correlations = {}
    for row in (row for row in shortcuts.ROWS if row.name.startswith("jigsaw/borders")):
        method = dataclasses.replace(row, fields=row.fields | {"normalization": "none"}).build()
        tiles, labels = next(iter(method.dataset(borders(200, 96, 1), batch_size=200, training=False)))
        cells = np.argsort(method.permutation_table[labels.numpy()], axis=1)  # slot that holds the tile of a cell
        left, right = (tiles.numpy()[np.arange(200), cells[:, i]] for i in (0, 1))
        correlations[row.guard] = np.corrcoef(left[:, :, -1, 0].ravel(), right[:, :, 0, 0].ravel())[0, 1]
    assert correlations["none"] > 0.9
    assert abs(correlations["gap"]) < 0.15  # a gap is small by chance now and then


def test_only_the_mean_tells_the_place_on_a_ramp():
    levels = ramps(50, 96, 0, rise=1.0, noise=15.0)[..., 0].astype(float)
    cells = levels.reshape(50, 8, 12, 8, 12)
    means, deviations = cells.mean(axis=(2, 4)), cells.std(axis=(2, 4))
    offset = (np.arange(8) - 3.5) * 12
    design = np.stack([np.ones((8, 8)), *np.meshgrid(offset, offset)], axis=-1).reshape(64, 3)
    plane, residual, *_ = np.linalg.lstsq(design, means.reshape(50, 64).T, rcond=None)
    steepness = np.hypot(plane[1], plane[2])
    assert 0.45 < steepness.min() < 0.6
    assert 0.9 < steepness.max() < 1.05
    assert np.sqrt(residual.mean() / (64 - 3)) == pytest.approx(15 / 12, rel=0.1)  # white noise on the plane
    mean, error = mean_and_error(deviations[:, 0].mean(axis=1) - deviations[:, 4].mean(axis=1))
    assert abs(mean) < 4 * error  # pieces have the same contrast everywhere


def test_aberration_grows_with_the_distance_from_the_center():
    pictures = aberration(100, 96, 0, magnification=(1.02, 1.0, 0.98), width=1.5).astype(float)
    slope = np.gradient(pictures[..., 1], axis=2)
    red_minus_blue = pictures[..., 0] - pictures[..., 2]
    columns = np.arange(4, 92)
    shift = (red_minus_blue * slope).mean(axis=(0, 1)) / np.square(slope).mean(axis=(0, 1))
    growth, middle = np.polyfit(columns - 47.5, shift[columns], 1)
    assert growth == pytest.approx(1 / 1.02 - 1 / 0.98, rel=0.1)
    assert abs(middle) < 0.1  # pixels


def test_one_channel_alone_does_not_tell_the_place():
    red = aberration(400, 96, 0, magnification=(1.05, 1.0, 0.95))[..., 0].astype(float)
    finest = np.square(np.diff(red, axis=2)).mean(axis=1)  # (picture, column)
    mean, error = mean_and_error(finest[:, 42:53].mean(axis=1) - finest[:, :11].mean(axis=1))
    assert abs(mean) < 4 * error


def test_interval_covers_the_truth_although_answers_go_together(shortcuts):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        answers = 10 * rng.integers(1, 5, 200)
        found = shortcuts.share_with_interval(answers * (rng.random(200) < 0.3), answers)  # all right or none
        covered += found["low"] <= 0.3 <= found["high"]
    assert 0.92 < covered / 1000 < 0.97


def test_without_looking_the_commonest_neighbor_is_the_best_answer(shortcuts):
    row = next(row for row in shortcuts.ROWS if row.method == "context_prediction")
    assert shortcuts._chance(row, np.array([[3, 3, 4, -1], [3, 0, -1, -1]])) == pytest.approx(3 / 5)


def test_every_shortcut_is_shown_open_and_guarded(shortcuts):
    names = [row.name for row in shortcuts.ROWS]
    assert len(set(names)) == len(names)
    for what in {name.rsplit("/", 1)[0] for name in names}:
        guards = [name.rsplit("/", 1)[1] for name in names if name.rsplit("/", 1)[0] == what]
        assert guards[0] == "none"
        assert len(guards) > 1


def test_uncentered_patches_keep_their_mean(shortcuts):
    open_row, guarded = (row for row in shortcuts.ROWS if row.name.startswith("context_prediction/mean"))
    pictures = ramps(4, 96, 0)
    for row, centered in ((open_row, False), (guarded, True)):
        inputs, _ = next(iter(shortcuts.batches_of(row, row.build(), pictures, 4, seed=0)))
        means = inputs["patches"].numpy().mean(axis=(2, 3))
        assert (np.abs(means).max() < 0.01) == centered


def test_measured_leaks_are_leaks(root):
    """The committed table: open shortcuts lie above chance."""
    rows = json.loads((root / "benchmarks" / "results" / "shortcuts.json").read_text())["rows"]
    assert all(row["low"] > row["chance"] for row in rows if row["guard"] == "none")


@pytest.mark.slow
def test_a_network_finds_the_mean_unless_tiles_are_normalized(shortcuts):
    rows = {row.guard: row for row in shortcuts.ROWS if row.name.startswith("jigsaw/mean")}
    leak = shortcuts.measure(rows["none"], steps=100)
    closed = shortcuts.measure(rows["normalization"], steps=100)
    assert leak["low"] > 4 * leak["chance"]
    chance, puzzles = closed["chance"], closed["answers"]
    assert closed["accuracy"] < chance + 3.3 * np.sqrt(chance * (1 - chance) / puzzles)  # 1 of 2000 chance networks
