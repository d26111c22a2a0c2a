"""Multinomial logistic regression on long vectors of few examples: exact, by L-BFGS in the space they span.

scikit-learn's ``LogisticRegression`` finds the same in five to ten times the time: it neither rotates the vectors to
the space they span nor scales its directions, and cannot read them from files.
"""

import dataclasses

import numpy as np
from scipy.optimize import minimize

MAX_DIRECTIONS = 4096  # rows are rotated to the directions they vary in where these are no more than this
BLOCK_NUMBERS = 2**24  # numbers of a block of rows that are not held in memory (64 MiB)
_ROUNDING = 1e-6  # a number whose deviation is a smaller fraction than this of its mean, or of the others', is constant


class Rows:
    """Feature vectors as the regression sees them: standardized, and rotated where that makes them shorter.

    Each number is centered and divided by its deviation over the training rows (batch normalization without scale and
    offset), then by the square root of how many there are, so that one strength C suits vectors of every length. What
    never changes becomes 0.
    A penalty on the squares of the weights does not see rotations. N vectors of D > N numbers span N directions at
    most, so the regression is solved there: exactly, and D / N times faster. Where neither N nor D is below
    :data:`MAX_DIRECTIONS` the training rows, (N, D), perhaps a memory map, are read anew, in blocks, at each step.
    """

    def __init__(self, features):
        self._features = features
        self._mean, self._scale = _statistics(features)
        count, numbers = features.shape
        self._basis = self._rotated = None
        self.curvature = np.ones(numbers, np.float32) / numbers
        """Mean square of the rows along each direction, float32 (R,)."""
        if min(count, numbers) <= MAX_DIRECTIONS and count * min(count, numbers) <= 8 * BLOCK_NUMBERS:
            self._rotate()

    def __len__(self):
        return len(self._features)

    @property
    def in_memory(self):
        return self._rotated is not None

    def blocks(self, keep=None):
        """Yield ``(rows, positions)``, float32 (n, R) and int (n,), of those to ``keep``, bool (N,); None for all."""
        keep = np.ones(len(self), bool) if keep is None else keep
        if self._rotated is not None:
            positions = np.flatnonzero(keep)
            yield (self._rotated if keep.all() else self._rotated[positions]), positions
            return
        for block in _slices(self._features):
            chosen = np.flatnonzero(keep[block])
            if len(chosen):
                yield self._standardize(self._features[block][chosen]), block.start + chosen

    def project(self, features):
        """Yield other rows, float array (M, D), in blocks as the regression sees them, float32 (m, R)."""
        for block in _slices(features):
            rows = self._standardize(features[block])
            yield rows if self._basis is None else rows @ self._basis

    def of_features(self, classifier):
        """The :class:`Classifier` that says of feature vectors as they are what this one says of their rows."""
        weights = classifier.weights if self._basis is None else self._basis @ classifier.weights
        weights = self._scale[:, None] * weights
        return Classifier(weights, classifier.bias - self._mean @ weights)

    def _standardize(self, rows):
        return (np.asarray(rows, np.float32) - self._mean) * self._scale

    def _rotate(self):
        count, numbers = self._features.shape
        if count <= numbers:
            rows = self._standardize(self._features)
            squares, left = np.linalg.eigh(rows @ rows.T)
        else:
            covariance = sum(x.T @ x for x in self.project(self._features))
            squares, basis = np.linalg.eigh(covariance)
        kept = squares > max(squares[-1], 0) * 1e-6  # below that float32 sees only its own rounding
        squares = squares[kept]
        if count <= numbers:
            left = left[:, kept]
            self._rotated = left * np.sqrt(squares)
            self._basis = rows.T @ (left / np.sqrt(squares))
        else:
            rotated = [x @ basis[:, kept] for x in self.project(self._features)]
            self._rotated, self._basis = np.concatenate(rotated), basis[:, kept]
        self.curvature = squares / count


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A fitted regression: float32 ``weights`` (R, K) and ``bias`` (K,)."""

    weights: np.ndarray
    bias: np.ndarray

    def predict(self, rows):
        return np.argmax(rows @ self.weights + self.bias, axis=-1)

    def probabilities(self, rows):
        logits = rows @ self.weights + self.bias
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)


def fit(rows, labels, classes, strength, *, keep=None, start=None):
    """Minimize ``C sum_i -log p(y_i | x_i) + |W|^2 / 2`` over weights W and an unpenalized bias.

    Args:
        rows: a :class:`Rows`.
        labels: int (N,), the class of each training row, one of K ``classes``.
        strength: C, as in scikit-learn: larger is less regularized.
        keep: bool (N,), rows to fit on; None for all.
        start: a :class:`Classifier` to start from, which saves steps; None for zeros.
    """
    count = len(rows) if keep is None else int(keep.sum())
    penalty = 1 / (strength * count)
    # The Hessian of the mean loss is near curvature / K + penalty along each direction: in coordinates in which that
    # is 1, L-BFGS needs a fraction of the steps.
    stretch = np.sqrt(np.append(rows.curvature / classes + penalty, 1 / classes)).astype(np.float32)[:, None]
    blocks = list(rows.blocks(keep)) if rows.in_memory else None

    def objective(flat):
        parameters = flat.reshape(-1, classes) / stretch
        parameters = parameters.astype(np.float32)
        loss, gradient = _loss(blocks or rows.blocks(keep), labels, parameters)
        gradient = gradient / count
        gradient[:-1] += penalty * parameters[:-1]
        loss = loss / count + 0.5 * penalty * float(np.sum(np.square(parameters[:-1]), dtype=np.float64))
        return loss, (gradient / stretch).ravel().astype(np.float64)

    if start is None:
        start = Classifier(np.zeros((len(rows.curvature), classes), np.float32), np.zeros(classes, np.float32))
    begin = (np.vstack([start.weights, start.bias]) * stretch).ravel()
    options = {"maxiter": 300, "ftol": 1e-6, "gtol": 0.0}
    found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=options).x.astype(np.float32)
    parameters = found.reshape(-1, classes) / stretch
    return Classifier(parameters[:-1], parameters[-1])


def accuracy(classifier, blocks, labels):
    """Fraction of rows whose most probable class is theirs, of blocks (n, R) in the order of the labels (M,)."""
    return float(np.mean(np.concatenate([classifier.predict(rows) for rows in blocks]) == labels))


def _loss(blocks, labels, parameters):
    loss, gradient = 0.0, np.zeros(parameters.shape, np.float32)
    for rows, positions in blocks:
        logits = rows @ parameters[:-1] + parameters[-1]
        logits -= logits.max(axis=1, keepdims=True)
        own = np.arange(len(rows)), labels[positions]
        chosen = logits[own].astype(np.float64)
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss += float(np.sum(np.log(total[:, 0], dtype=np.float64) - chosen))
        logits /= total
        logits[own] -= 1.0
        gradient[:-1] += rows.T @ logits
        gradient[-1] += logits.sum(axis=0)
    return loss, gradient


def _slices(features):
    step = max(1, BLOCK_NUMBERS // features.shape[1])
    return [slice(i, min(i + step, len(features))) for i in range(0, len(features), step)]


def _statistics(features):
    count, numbers = features.shape
    mean = sum(np.sum(features[block], axis=0, dtype=np.float64) for block in _slices(features)) / count
    mean = mean.astype(np.float32)
    squares = sum(np.sum(np.square(features[block] - mean), axis=0, dtype=np.float64) for block in _slices(features))
    variance = squares / count
    alive = variance > np.square(_ROUNDING) * (variance.mean() + np.square(mean))
    scale = np.where(alive, 1 / np.sqrt(np.where(alive, variance, 1.0) * numbers), 0.0)
    return mean, scale.astype(np.float32)
