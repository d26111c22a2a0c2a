"""What predictions say: likelihoods, evidence blurred over the cells that are known, trust in predictors."""

import numpy as np
from scipy.ndimage import correlate1d

RIDGE = 1e-3
"""Added to the diagonal of every covariance of cells (official code)."""

MAX_RATIO = 10.0
"""A cell's log likelihood ratio counts at most so much, either way (official code)."""

COUNTED = 0.3
"""Cells whose mimicry score is higher make up a patch's score (official code)."""

MAX_TRUST = 1 / 3
"""No predictor is trusted more than that (official code)."""

_SIGMA, _HALF_WIDTH = 2.0, 4  # of the blur, in cells


def log_likelihood(differences, covariances):
    """``-1/2 log det S - 1/2 d^T S^-1 d`` without the constant, which both models leave out.

    Args:
        differences: of what was seen from means, float array (N, M, D).
        covariances: float array (N, D, D).

    Returns:
        float array (N, M).
    """
    factors = np.linalg.cholesky(covariances)
    solved = np.linalg.solve(factors, differences.swapaxes(-1, -2))
    determinants = np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1)
    return -determinants[:, None] - np.square(solved).sum(axis=-2) / 2


def weighted_gaussian(vectors, weights):
    """``(mean, covariance)`` of weighted vectors, (..., K, D) and (..., K): float arrays (..., D) and (..., D, D)."""
    roots = np.sqrt(weights / weights.sum(axis=-1, keepdims=True))[..., None]
    rooted = roots * vectors
    mean = (rooted * roots).sum(axis=-2)
    return mean, rooted.swapaxes(-1, -2) @ rooted - mean[..., None] * mean[..., None, :]


def masked_blur(values, known):
    """Gaussian blur (sigma 2 cells, at most 4 to each side) of the known cells alone, whose weights sum up to one.

    Args:
        values: float array (H, W, ...).
        known: bool array (H, W).

    Returns:
        float32 array of the shape of ``values``; 0 where no known cell is near.
    """
    values = np.asarray(values, np.float32)
    mask = known.reshape(known.shape + (1,) * (values.ndim - 2)).astype(np.float32)
    weights = _blur(mask)
    return np.divide(_blur(np.where(mask > 0, values, 0)), weights, out=np.zeros_like(values), where=weights > 0)


def _blur(values):
    kernel = np.exp(-np.square(np.arange(-_HALF_WIDTH, _HALF_WIDTH + 1)) / (2 * _SIGMA**2))
    for axis in (0, 1):
        values = correlate1d(values, kernel / kernel.sum(), axis=axis, mode="constant")
    return values


def blurred_evidence(log_for, log_against, known):
    """Probability whose log odds are the blurred ones of known cells (c, and omega before it is capped).

    ``exp G(log p) / (exp G(log p) + exp G(log (1 - p)))``; both logarithms are given, for p may be next to 1.
    """
    odds = masked_blur(log_for - log_against, known)
    return 1 / (1 + np.exp(-np.clip(odds, -80, 80)))


def cap(weights, most):
    """Weights along the last axis, none larger than ``most`` once they sum up to 1; the others grow in proportion.

    ``most`` counts as one over their number where that is larger.
    """
    weights = weights / weights.sum(axis=-1, keepdims=True)
    most = max(most, 1 / weights.shape[-1])
    capped = np.zeros(weights.shape, bool)
    for _ in range(weights.shape[-1]):
        capped |= weights > most
        free = np.where(capped, 0, weights)
        total = free.sum(axis=-1, keepdims=True)
        left = 1 - most * capped.sum(axis=-1, keepdims=True)
        weights = np.where(capped, most, np.divide(free * left, total, out=np.zeros_like(free), where=total > 0))
    return weights


def patch_score(thing, stuff, mimicry):
    """``sum clip(log p^T - log p^S, -10, 10)`` over the cells whose mimicry score is above 0.3."""
    return float(np.clip(thing - stuff, -MAX_RATIO, MAX_RATIO)[mimicry > COUNTED].sum())
