"""Average precision: what a ranking is worth of which the hits are known, under the three rules in use.

============ =================================================================== =======================================
``area``     sum over the hits of the precision there, divided by the positives  scikit-learn's average_precision_score
``11point``  mean of the best precision at a recall >= 0, 0.1, ..., 1            VOC 2007
``101point`` mean of the best precision at a recall >= 0, 0.01, ..., 1           COCO, as pycocotools
============ =================================================================== =======================================

Reference:
    M. Everingham, L. Van Gool, C. Williams, J. Winn, A. Zisserman: The Pascal Visual Object Classes (VOC) Challenge.
    IJCV 2010, section 4.2.
"""

import numpy as np

from tfssl.errors import ConfigError, ModelError

INTERPOLATIONS = ("area", "11point", "101point")
"""The rules."""


def average_precision(scores, labels, *, interpolation="area", ignore=None):
    """Average precision of scores of examples, for one class or for several at once.

    Equal scores are resolved against the ranking: the negatives among them come first. (The classification code of
    Donahue et al. subtracts 1e-5 from the scores of positives to that end; only exact ties are touched here.)

    Args:
        scores: float (N,) or (N, classes); higher means more surely positive.
        labels: int or bool, of the same shape, 1 for positives and 0 for negatives.
        interpolation: one of :data:`INTERPOLATIONS`.
        ignore: bool, of the same shape: True where an example counts for nothing, such as one in which the class is
            only marked as difficult; whatever its label says. None for nowhere.

    Returns:
        float in [0, 1], or float64 (classes,) of them; NaN where there is no positive.

    Raises:
        ConfigError: for an unknown rule, shapes that differ, or labels other than 0 and 1.
        ModelError: if a score that counts is NaN.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    ignore = np.zeros(labels.shape, bool) if ignore is None else np.asarray(ignore, bool)
    if not scores.shape == labels.shape == ignore.shape or scores.ndim not in (1, 2):
        shapes = f"{scores.shape}, {labels.shape} and {ignore.shape}"
        raise ConfigError(f"`scores`, `labels` and `ignore` must be (N,) or (N, classes) alike. Received: {shapes}")
    if scores.ndim == 2:
        columns = zip(scores.T, labels.T, ignore.T, strict=True)
        return np.array([average_precision(s, t, interpolation=interpolation, ignore=i) for s, t, i in columns])
    scores, labels = scores[~ignore], labels[~ignore]
    if not np.isin(labels, (0, 1)).all():
        wrong = labels[~np.isin(labels, (0, 1))][0]
        raise ConfigError(f"`labels` must be 0 or 1 where `ignore` is not set. Received: {wrong!r}")
    if np.isnan(scores).any():
        raise ModelError("`scores` hold NaN")
    order = np.lexsort((labels, -scores))
    return ranked_average_precision(labels[order], int(labels.sum()), interpolation=interpolation)


def ranked_average_precision(hits, positives, *, interpolation="area"):
    """Average precision of a ranking.

    Recall is compared with 0, 0.1, ..., 1 in whole numbers, so that 3 of 10 reach 0.3; for 101 points it is compared
    in floating point as pycocotools does, where they may not.

    Args:
        hits: bool (N,), best score first: True for a hit, False for a miss.
        positives: how many hits there could be: of a detector, the number of objects.
        interpolation: one of :data:`INTERPOLATIONS`.

    Returns:
        float in [0, 1]; NaN if there is no positive.

    Raises:
        ConfigError: for an unknown rule.
    """
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise ConfigError(f"`interpolation` must be one of {known}. Received: interpolation={interpolation!r}")
    if positives == 0:
        return float("nan")
    hits = np.asarray(hits, bool)
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    if interpolation == "area":
        return float(precision[hits].sum() / positives)
    if interpolation == "11point":
        reached = np.searchsorted(found, -(-np.arange(11) * positives // 10))
    else:
        reached = np.searchsorted(found / positives, np.linspace(0, 1, 101))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(best, 0.0)[reached].mean())  # a recall that is never reached has precision 0
