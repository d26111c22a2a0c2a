"""What statistics of sounds know of labels: purity of clusters, and a linear classifier over folds."""

import numpy as np

from tfssl.errors import SourceError

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Strengths C of the linear classifier, of which the best on held-out folds of the training sounds is taken."""


def purity(clusters, labels):
    """Fraction of examples that have the commonest label of their cluster: int (N,), int (N,) from 0 on."""
    found = sum(np.bincount(labels[clusters == cluster]).max() for cluster in np.unique(clusters))
    return float(found / len(labels))


def cluster_purity(vectors, labels, clusters, seeds=10):
    """:func:`purity` of k-means without labels: a list of numbers, one for each of ``seeds``, from ten starts each."""
    from sklearn.cluster import KMeans

    found = (KMeans(clusters, n_init=10, random_state=seed).fit_predict(vectors) for seed in range(seeds))
    return [purity(numbers, labels) for numbers in found]


def fold_accuracies(vectors, labels, folds):
    """Accuracy of logistic regression on each fold in turn, learned from the others: a list, in the order of the names.

    Its strength is chosen within the others, each of them held out in turn.

    Args:
        vectors: float (N, D); each number is standardized by the training folds.
        labels: int (N,).
        folds: names (N,), at least three of them.

    Raises:
        SourceError: for fewer folds.
    """
    names, folds = sorted(set(folds)), np.asarray(folds)
    if len(names) < 3:
        raise SourceError(f"`labels`: the table needs a column fold with three folds at least. Received: {names}")
    found = []
    for name in names:
        inner = [(folds != name) & (folds != other) for other in names if other != name]
        held = [folds == other for other in names if other != name]
        right = [
            np.mean([_right(vectors, labels, a, b, strength) for a, b in zip(inner, held, strict=True)])
            for strength in STRENGTHS
        ]
        found.append(_right(vectors, labels, folds != name, folds == name, STRENGTHS[int(np.argmax(right))]))
    return found


def _right(vectors, labels, train, test, strength):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    return float(classifier.fit(vectors[train], labels[train]).score(vectors[test], labels[test]))
