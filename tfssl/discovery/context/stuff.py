"""The stuff model: what a cell looks like given the cells beside it, in any image: a mixture for each half diamond."""

import dataclasses
import warnings

import numpy as np

from tfssl.discovery.context.evidence import RIDGE
from tfssl.errors import SourceError

RADIUS = 4
"""Cells within this distance (city blocks) from a cell tell about it (official code: diamonds 9 cells wide)."""

PATCHES = 20_000
"""Patches that a mixture is learned from (paper: 1,000,000)."""

_LEAST_WEIGHT = 1e-4  # components with less posterior are left out
_ITERATIONS = 20


def half_diamonds():
    """Offsets (dy, dx) of the cells of the four half diamonds: int array (4, 24, 2): those above, right, below, left.

    Each holds the whole line through the center, without the center. A half and its opposite cover the diamond.
    """
    y, x = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    diamond = (np.abs(y) + np.abs(x) <= RADIUS) & ((y != 0) | (x != 0))
    sides = [diamond & half for half in (y <= 0, x >= 0, y >= 0, x <= 0)]
    return np.stack([np.stack([y[side], x[side]], axis=-1) for side in sides])


@dataclasses.dataclass(frozen=True, eq=False)
class Half:
    """A mixture of diagonal Gaussians of the cells of a half diamond, and the center's Gaussian for each component."""

    means: np.ndarray  # float32 (components, cells, channels)
    variances: np.ndarray  # float32 (components, cells, channels)
    centers: np.ndarray  # float32 (components, channels)
    covariances: np.ndarray  # of the center, float32 (components, channels, channels)


class StuffModel:
    """Predicts a cell by low-level statistics of its known neighbors.

    Of the paper's 16 half shapes it has four. Where no half holds all known neighbors, the one that holds most of
    them is taken.
    """

    def __init__(self, halves):
        self.halves = halves
        self.offsets = half_diamonds()

    def predict(self, hog, known, cells):
        """Gaussians of cells given their known neighbors.

        Args:
            hog: float32 (H, W, channels).
            known: bool (H, W).
            cells: rows and columns, int array (N, 2).

        Returns:
            ``(means, covariances)``, float32 (N, channels) and (N, channels, channels).
        """
        padded = np.pad(hog, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)))
        mask = np.pad(known, RADIUS)
        places = cells[:, None, None] + self.offsets + RADIUS  # (N, halves, cells, 2)
        seen = mask[places[..., 0], places[..., 1]]
        chosen = seen.sum(axis=-1).argmax(axis=-1)
        channels = hog.shape[-1]
        means = np.empty((len(cells), channels), np.float32)
        covariances = np.empty((len(cells), channels, channels), np.float32)
        for number, half in enumerate(self.halves):
            rows = np.flatnonzero(chosen == number)
            if rows.size:
                at = places[rows, number]
                weights = posterior(half, padded[at[..., 0], at[..., 1]], seen[rows, number])
                means[rows], covariances[rows] = moment_match(weights, half.centers, half.covariances)
        return means, covariances


def posterior(half, features, seen):
    """Weights of the components from the cells that are known: softmax of ``-1/2 sum ((h - m)^2 / v + log v)``.

    Args:
        half: :class:`Half`.
        features: float32 (N, cells, channels).
        seen: which cells are known, bool (N, cells).

    Returns:
        float32 (N, components); weights below 1e-4 are 0.
    """
    variances = half.variances + RIDGE
    count, shape = len(variances), (len(features), -1)
    mask = seen[..., None].astype(np.float32)
    known = features * mask
    constant = (np.square(half.means) / variances + np.log(variances)).sum(axis=-1)
    scores = np.square(known).reshape(shape) @ (1 / variances).reshape(count, -1).T
    scores -= 2 * known.reshape(shape) @ (half.means / variances).reshape(count, -1).T
    scores += mask[..., 0] @ constant.T
    weights = np.exp(-(scores - scores.min(axis=1, keepdims=True)) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    weights[weights < _LEAST_WEIGHT] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def moment_match(weights, means, covariances):
    """The Gaussian with the mean and covariance of each mixture.

    ``S = sum w (S_c + 1e-3 I) + sum w (m_c - m)(m_c - m)^T``, the outer product (the official code has the inner one).

    Args:
        weights: float array (N, C), rows that sum up to 1.
        means: float array (C, D).
        covariances: float array (C, D, D).

    Returns:
        ``(means, covariances)``, (N, D) and (N, D, D).
    """
    count, size = means.shape
    mixed = weights @ means
    within = (weights @ covariances.reshape(count, -1)).reshape(-1, size, size)
    apart = means - mixed[:, None]  # (N, C, D)
    between = (weights[..., None] * apart).swapaxes(-1, -2) @ apart
    return mixed, within + between + RIDGE * np.eye(size, dtype=within.dtype)


def learn_stuff(pyramids, components, seed, progress=None):
    """Fit a :class:`StuffModel` to random diamonds around cells with enough gradient, at all levels of all images.

    ``components`` of each mixture (paper: 5000); ``progress`` is called with (halves done, 4).
    """
    squares = _sample(pyramids, np.random.default_rng(seed))
    centers = squares[:, RADIUS, RADIUS]
    halves = []
    for offsets in half_diamonds():
        cells = squares[:, offsets[:, 0] + RADIUS, offsets[:, 1] + RADIUS]
        halves.append(_fit_half(cells, centers, min(components, len(cells)), seed))
        if progress is not None:
            progress(len(halves), 4)
    return StuffModel(halves)


def _sample(pyramids, rng):
    """Squares of 9 x 9 cells around random cells with enough gradient, float32 (N, 9, 9, channels)."""
    side, each, found = 2 * RADIUS + 1, -(-PATCHES // len(pyramids)), []
    for levels in pyramids:
        squares = []
        for level in levels:
            if min(level.textured.shape) >= side:
                cut = np.lib.stride_tricks.sliding_window_view(level.hog, (side, side), axis=(0, 1))
                inner = level.textured[RADIUS:-RADIUS, RADIUS:-RADIUS]
                squares.append(cut[inner].transpose(0, 2, 3, 1))
        squares = np.concatenate(squares) if squares else np.empty((0, side, side, levels[0].hog.shape[-1]), np.float32)
        found.append(squares[rng.choice(len(squares), min(each, len(squares)), replace=False)])
    found = np.concatenate(found)
    if len(found) < 2:
        raise SourceError("`data` has too little structure for a model of texture; give images with more of it")
    return found


def _fit_half(cells, centers, components, seed):
    from sklearn.exceptions import ConvergenceWarning  # takes a second to import, and only learning needs it
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        components,
        covariance_type="diag",
        init_params="k-means++",  # Lloyd's steps before those of EM take longer than all else
        reg_covar=RIDGE,
        max_iter=_ITERATIONS,
        tol=1e-2,
        random_state=seed,
    )
    flat = cells.reshape(len(cells), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the components need not be exact
        weights = mixture.fit(flat).predict_proba(flat)
    total = weights.sum(axis=0) + 1e-6
    means = (weights.T @ centers) / total[:, None]
    covariances = np.empty((components, centers.shape[1], centers.shape[1]), np.float32)
    for number in range(components):
        apart = centers - means[number]
        covariances[number] = (weights[:, number, None] * apart).T @ apart / total[number]
    shape = (components, *cells.shape[1:])
    parts = (mixture.means_.reshape(shape), mixture.covariances_.reshape(shape), means, covariances)
    return Half(*(part.astype(np.float32) for part in parts))
