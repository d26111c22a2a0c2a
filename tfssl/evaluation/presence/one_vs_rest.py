"""One linear classifier for each class, for pictures in which several may occur."""

import dataclasses

import numpy as np

from tfssl.errors import ConfigError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.logistic import Rows
from tfssl.evaluation.presence.data import known

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of C among which the held-out pictures choose."""

HELD_OUT = 5
"""One training picture in so many is held out for that choice."""

CLASSIFIERS = ("svm", "logistic")
"""``"svm"``: scikit-learn's ``LinearSVC``, squared hinge loss. ``"logistic"``: its ``LogisticRegression``."""


@dataclasses.dataclass(frozen=True)
class Hyperplanes:
    """Fitted classifiers: float64 ``weights`` (R, classes) and ``bias`` (classes,)."""

    weights: np.ndarray
    bias: np.ndarray

    def scores(self, rows):
        """Signed distances times the length of the weights, float64 (n, classes)."""
        return rows @ self.weights + self.bias


def fit_classes(rows, presence, strength, classifier):
    """Fit ``C sum_i loss(x_i) + |w|^2 / 2`` for each class against the rest.

    Args:
        rows: float (n, R).
        presence: int (n, classes), 1, 0, or 255 for pictures that this class is not fitted to.
        strength: C.
        classifier: one of :data:`CLASSIFIERS`.

    Returns:
        :class:`Hyperplanes`; zeros for a class that is in all or in none of the pictures.
    """
    weights, bias = np.zeros((rows.shape[1], presence.shape[1])), np.zeros(presence.shape[1])
    for k, labels in enumerate(presence.T):
        keep = known(labels)
        if len(np.unique(labels[keep])) == 2:
            fitted = _model(classifier, strength).fit(rows[keep], labels[keep])
            weights[:, k], bias[k] = fitted.coef_[0], fitted.intercept_[0]
    return Hyperplanes(weights, bias)


def mean_average_precision(scores, presence):
    """Mean over the classes of the area under the precision-recall curve; classes without a positive left out."""
    found = average_precision(scores, presence, ignore=~known(presence))
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def held_out(count, seed):
    """A random fifth of the pictures, rounded, at least one: bool (count,)."""
    held = np.zeros(count, bool)
    held[np.random.default_rng(seed).permutation(count)[: max(1, round(count / HELD_OUT))]] = True
    return held


def probe_classes(train, tests, presence, seeds, classifier):
    """Choose C for one tap, fit all training pictures with it, and score the test pictures.

    C is one for all classes: that with the highest mean average precision on the held-out pictures, the smallest of
    equals. Vectors are standardized as for linear probes, see :class:`tfssl.evaluation.logistic.Rows`.

    Args:
        train: float (N, D), features of the training pictures.
        tests: list of float (M, D), features of the test pictures, one for each crop.
        presence: int (N, classes), of the training pictures.
        seeds: of the splits.
        classifier: one of :data:`CLASSIFIERS`.

    Yields:
        ``(seed, C, mean average precision on the held-out pictures, [float64 (M, classes), ...])``.
    """
    rows = Rows(train)
    fitted_rows = np.concatenate([block for block, _ in rows.blocks()])
    cache = {}
    for seed in seeds:
        held, best = held_out(len(train), seed), (None, -1.0)
        for strength in STRENGTHS:
            planes = fit_classes(fitted_rows[~held], presence[~held], strength, classifier)
            right = mean_average_precision(planes.scores(fitted_rows[held]), presence[held])
            best = max(best, (strength, right), key=lambda pair: pair[1])
        strength, right = best
        if strength not in cache:  # the fit to all pictures does not depend on the split
            planes = fit_classes(fitted_rows, presence, strength, classifier)
            cache[strength] = [np.concatenate([planes.scores(x) for x in rows.project(test)]) for test in tests]
        yield seed, strength, right, cache[strength]


def _model(classifier, strength):
    if classifier == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=strength, loss="squared_hinge", dual=False, tol=1e-4, max_iter=5000)
    if classifier == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, tol=1e-4, max_iter=5000)
    raise ConfigError(f"`classifier` must be one of {', '.join(CLASSIFIERS)}. Received: classifier={classifier!r}")
