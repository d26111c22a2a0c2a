"""Features off the shelf: linear classifiers on an encoder's normalized vectors, and their scores taken together.

Reference:
    A. S. Razavian, H. Azizpour, J. Sullivan, S. Carlsson: CNN Features off-the-shelf: an Astounding Baseline for
    Recognition. CVPR Workshops 2014. Fusion: S. Karayev et al.: Recognizing Image Style. BMVC 2014.
"""

import dataclasses

import numpy as np

from tfssl.evaluation.presence import fit_classes, mean_average_precision

STRENGTHS = tuple(2.0**power for power in range(-6, 7, 2))
"""Values of C among which the validation part chooses."""


def signed_root(vectors):
    """``sign(x) sqrt(|x|)`` of each number, then each vector to length 1: float (N, D) -> float32 (N, D).

    A vector of zeros stays what it is.
    """
    roots = np.sign(vectors) * np.sqrt(np.abs(vectors))
    return (roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-12)).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """Linear classifiers: ``weights`` (D, classes) and ``bias`` (classes,)."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, copies):
        """Scores (n, classes) of vectors (n, D), the mean over the copies of each image: a list of such arrays."""
        return np.mean([rows @ self.weights + self.bias for rows in copies], axis=0)


def fit(copies, labels, strength, classifier):
    """A :class:`Scorer` fitted to images, each in several copies that count as one together.

    Args:
        copies: list of float arrays (n, D).
        labels: int (n, classes), 1 or 0.
        strength: C; see :func:`tfssl.evaluation.presence.fit_classes`.
        classifier: ``"svm"`` or ``"logistic"``.
    """
    rows = np.concatenate(copies)
    basis = np.linalg.qr(rows.T)[0] if len(rows) < rows.shape[1] else None  # the weights lie in the span of the rows
    rows = rows if basis is None else rows @ basis
    weights, bias = fit_classes(rows, np.tile(labels, (len(copies), 1)), strength / len(copies), classifier)
    return Scorer(weights if basis is None else basis @ weights, bias)


def choose(rows, labels, train, validation, classifier):
    """``(C, mean average precision on the validation part)``: the best of :data:`STRENGTHS`, the smallest of equals.

    Args:
        rows: float (n, D).
        labels: int (n, classes).
        train, validation: positions.
    """
    if len(train) < rows.shape[1]:
        rows = rows @ np.linalg.qr(rows[train].T)[0]  # once for all of them
    best = (None, -1.0)
    for strength in STRENGTHS:
        scorer = fit([rows[train]], labels[train], strength, classifier)
        found = mean_average_precision(scorer([rows[validation]]), labels[validation])
        best = max(best, (strength, found), key=lambda pair: pair[1])
    return best


def standardized(scores, known):
    """Scores (n, K) less the mean of the ``known`` positions, divided by their deviation; 0 where that is 0."""
    mean, deviation = scores[known].mean(axis=0), scores[known].std(axis=0)
    return (scores - mean) / np.where(deviation > 0, deviation, np.inf)


def products(style, content):
    """Each score of style times each of content: (n, S) and (n, C) -> (n, S C)."""
    return (style[:, :, None] * content[:, None]).reshape(len(style), -1)


def fuse(scores, part, classifier, content=None):
    """Late fusion: a linear classifier on the scores of others.

    Scores are standardized over the validation part and put behind each other, with all products of them and those of
    content where there are some. C is chosen on halves of the validation part, groups whole, each tested on by what is
    fitted to the other; then all of it is fitted.

    Args:
        scores: list of float arrays (n, K), of classifiers that the validation part did not train.
        part: a :class:`tfssl.evaluation.tagged.Parts` of the n images.
        classifier: ``"svm"`` or ``"logistic"``.
        content: float (n, C), or None.

    Returns:
        ``(float (n, classes), C)``.
    """
    validation, labels = part.validation, part.labels
    rows = standardized(np.concatenate(scores, axis=1), validation)
    if content is not None:
        rows = np.concatenate([rows, products(rows, standardized(content, validation))], axis=1)
    rows = rows / np.sqrt(rows.shape[1])  # one range of C suits any number of scores
    groups = part.groups[validation]
    own = np.random.default_rng(part.seed).permutation(np.unique(groups))
    first = np.isin(groups, own[: len(own) // 2])
    halves = validation[first], validation[~first]

    def tried(strength):
        found = [
            mean_average_precision(fit([rows[one]], labels[one], strength, classifier)([rows[other]]), labels[other])
            for one, other in (halves, halves[::-1])
        ]
        return np.mean(found)

    strength = max(STRENGTHS, key=tried)
    return fit([rows[validation]], labels[validation], strength, classifier)([rows]), strength
