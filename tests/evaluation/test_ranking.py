"""Orders of distances, by hand."""

import numpy as np

from tfssl.evaluation.ranking import fraction_smaller, percentile_ranks


def test_fraction_smaller():
    assert fraction_smaller([1, 2], [3, 4]) == 1 and fraction_smaller([3], [1, 2]) == 0
    assert fraction_smaller([1, 3], [2, 3]) == (1 + 1 + 0 + 0.5) / 4
    assert np.isnan(fraction_smaller([], [1]))


def test_percentile_ranks():
    candidates = np.array([[0.0], [1.0], [5.0], [5.0]])
    # 0.2 is nearest to its own; 4 has two nearer ones; 0 has both 0 and 1 nearer and a tie; 5 has a tie.
    np.testing.assert_allclose(
        percentile_ranks(np.array([[0.2], [4.0], [0.0], [5.0]]), candidates), [0, 2 / 3, 2.5 / 3, 0.5 / 3]
    )
    many = np.random.default_rng(0).normal(size=(600, 3))
    assert not percentile_ranks(many, many).any()
