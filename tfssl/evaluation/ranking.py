"""Numbers that follow from the order of distances alone: which are smaller, and at which rank the right one comes."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

_ROWS = 256  # distances to all candidates that are in memory at a time


def fraction_smaller(near, far):
    """Probability that of one number of each kind the first is the smaller one, ties by half: 0.5 by chance.

    Args:
        near, far: numbers (n,) and (m,); NaN where one of them is empty.
    """
    near, far = np.asarray(near), np.asarray(far)
    if not len(near) or not len(far):
        return float("nan")
    ranks = rankdata(np.concatenate([near, far]))[len(near) :].sum() - len(far) * (len(far) + 1) / 2
    return float(ranks / (len(far) * len(near)))


def percentile_ranks(queries, candidates):
    """Of each query the fraction of other candidates that are nearer than its own, ties by half: 0 where it is first.

    Args:
        queries, candidates: float (n, k), candidate i the own one of query i; at least 2.

    Returns:
        float64 (n,) in [0, 1], by the Euclidean distance.
    """
    found = np.empty(len(queries))
    for start in range(0, len(queries), _ROWS):
        rows = cdist(queries[start : start + _ROWS], candidates)
        own = rows[np.arange(len(rows)), start + np.arange(len(rows))][:, None]
        found[start : start + len(rows)] = (rows < own).sum(axis=1) + 0.5 * ((rows == own).sum(axis=1) - 1)
    return found / (len(candidates) - 1)
