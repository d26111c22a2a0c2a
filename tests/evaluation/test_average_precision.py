"""Average precision: worked examples, scikit-learn, and the rules at their edges."""

import numpy as np
import pytest

from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.average_precision import INTERPOLATIONS, average_precision, ranked_average_precision

SCORES, LABELS = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 0]


@pytest.mark.parametrize(("interpolation", "expected"), [("area", 5 / 6), ("11point", (6 + 5 * 2 / 3) / 11)])
def test_worked_example(interpolation, expected):
    assert average_precision(SCORES, LABELS, interpolation=interpolation) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_ties_rank_positives_last(interpolation):
    assert average_precision([0.5] * 4, [1, 0, 0, 0], interpolation=interpolation) == pytest.approx(0.25)
    assert average_precision([0.5] * 4, [0, 0, 0, 1], interpolation=interpolation) == pytest.approx(0.25)


def test_area_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, (200, 7)), random.normal(size=(200, 7))
    expected = metrics.average_precision_score(labels, scores, average=None)
    np.testing.assert_allclose(average_precision(scores, labels), expected, atol=1e-12)


def test_ignored_examples_count_for_nothing():
    scores, labels = [0.9, 0.95, 0.8, 0.7, 0.99, 0.6, 0.5], [1, 255, 0, 1, 255, 0, 0]
    value = average_precision(scores, labels, ignore=np.equal(labels, 255))
    assert value == average_precision(SCORES, LABELS)
    assert average_precision(SCORES, LABELS, ignore=[False, True, False, False, False]) == 1.0


def test_class_without_positives_is_nan():
    values = average_precision([[0.1, 0.2], [0.3, 0.4]], [[1, 0], [0, 0]])
    assert values[0] == 0.5 and np.isnan(values[1])


def test_11_points_are_compared_in_whole_numbers():
    # 3 of 10 found, then nothing: thresholds 0, 0.1, 0.2 and 0.3 are reached, although 3 * 0.1 > 0.3 in floats.
    assert ranked_average_precision([True] * 3, 10, interpolation="11point") == pytest.approx(4 / 11)


def test_objects_that_were_never_found_lower_the_value():
    assert ranked_average_precision([True], 2) == 0.5
    assert ranked_average_precision([True], 2, interpolation="11point") == pytest.approx(6 / 11)
    assert ranked_average_precision([], 2, interpolation="101point") == 0.0


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="`interpolation` must be one of area, 11point, 101point"):
        ranked_average_precision([True], 1, interpolation="voc")
    with pytest.raises(ConfigError, match="`labels` must be 0 or 1"):
        average_precision([0.1, 0.2], [1, 255])
    with pytest.raises(ConfigError, match="alike"):
        average_precision([0.1, 0.2], [[1], [0]])
    with pytest.raises(ModelError, match="NaN"):
        average_precision([np.nan, 0.2], [1, 0])
