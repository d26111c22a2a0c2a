"""F-measure of boundaries, on lines drawn by hand."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.evaluation.boundaries import boundary_scores, count_boundaries, matched

SHAPE = (30, 40)  # diagonal 50: a tolerance of 0.02 is 1 pixel


def line(column, rows=slice(0, 30), value=True):
    found = np.zeros(SHAPE, type(value))
    found[rows, column] = value
    return found


def test_pixels_match_once_and_near():
    found = line(10) | line(11)
    ours, theirs = matched(found, line(10), 1)
    assert theirs.sum() == ours.sum() == 30, "two lines beside one: half of them have no partner"
    assert not matched(line(10), line(12), 1.9)[0].any()
    assert matched(line(10), line(12), 2)[0].sum() == 30


def test_matching_is_the_largest():
    # Greedy pairs 5 with 6 and leaves 7 alone; 4-5 and 6-7 serves all.
    first, second = np.zeros((1, 12), bool), np.zeros((1, 12), bool)
    first[0, [5, 7]], second[0, [4, 6]] = True, True
    assert all(part.sum() == 2 for part in matched(first, second, 1))


def test_half_of_a_line_is_precise_and_recalls_half():
    counts = count_boundaries(line(10, slice(0, 15), 1.0), [line(10)], thresholds=[0.5], tolerance=0.001)
    assert (counts.precision[0], counts.recall[0]) == (1, 0.5)
    assert counts.f[0] == pytest.approx(2 / 3)


def test_precision_counts_any_annotator_and_recall_all():
    strength = line(10, value=1.0) + line(30, value=1.0)
    counts = count_boundaries(strength, [line(10), line(30), line(20)], thresholds=[0.5], tolerance=0.02)
    assert counts.precision[0] == 1
    assert counts.recall[0] == pytest.approx(2 / 3)


def test_tolerance_is_a_fraction_of_the_diagonal():
    for shift, recall in ((1, 1.0), (2, 0.0)):
        counts = count_boundaries(line(10 + shift, value=1.0), [line(10)], thresholds=[0.5], tolerance=0.02)
        assert counts.recall[0] == recall


def test_thick_boundaries_are_thinned():
    thick = sum(line(column, value=1.0) for column in (9, 10, 11))
    counts = count_boundaries(thick, [line(10)], thresholds=[0.5], tolerance=0.02)
    assert counts.precision[0] > 0.9


def test_one_threshold_for_all_or_each_its_own():
    right, wrong = 10, 25
    first = line(right, value=0.9) + line(wrong, value=0.6)  # best from 0.7 on
    second = line(right, value=0.4) + line(wrong, value=0.2)  # best at 0.3
    counts = [count_boundaries(s, [line(right)], thresholds=[0.1, 0.3, 0.7], tolerance=0.001) for s in (first, second)]
    scores = boundary_scores(counts)
    assert scores["ois"] == pytest.approx(1)
    assert scores["ods_threshold"] == 1
    assert scores["ods"] == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))


def test_nothing_found_and_nobody_to_ask():
    counts = count_boundaries(np.zeros(SHAPE), [line(10)], thresholds=[0.5])
    assert (counts.precision[0], counts.recall[0], counts.f[0]) == (1, 0, 0)
    with pytest.raises(ConfigError, match="`truths`"):
        count_boundaries(np.zeros(SHAPE), [])
