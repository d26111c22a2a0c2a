"""The thing model: what a cell looks like at the same place of the same thing in other images of a cluster."""

import dataclasses

import numpy as np

from tfssl.discovery.context.evidence import RIDGE, log_likelihood, weighted_gaussian
from tfssl.discovery.context.pyramid import SIDE

REACH = 12
"""Cells farther from the patch are not predicted (the official code stops after 120 seconds instead)."""

LOCATION = (1.0, 0.1)
"""Variance of where a cell lies in another image, on the patch and how much more for each cell away from it.

The official code starts from 2 and then optimizes each cell's, down to 1 at the least. Here nothing is optimized, and
2 blurs what the predictors say so much that texture explains the thing itself better.
"""

_LEAST_DENSITY = 1e-4  # a Gaussian's window ends where its density is lower


def distances(height, width, box):
    """How far the cells of a grid lie from a patch at ``box`` (y, x), in cells: float (height, width)."""
    gaps = [
        np.maximum(np.maximum(first - np.arange(n), np.arange(n) - first - SIDE + 1), 0)
        for n, first in zip((height, width), box, strict=True)
    ]
    return np.hypot(gaps[0][:, None], gaps[1])


def location_weights(variance):
    """Gaussians over places in a predictor, around the corresponding one: their windows, and weights that sum up to 1.

    Args:
        variance: along both axes, float array (N,).

    Returns:
        ``(offsets, weights)``: (dy, dx) of the places, int (K, 2), and float32 (N, K).
    """
    variance = np.asarray(variance, np.float64)[:, None]
    radius = window_radius(variance.max())
    offsets = np.stack(np.mgrid[-radius : radius + 1, -radius : radius + 1], axis=-1).reshape(-1, 2)
    density = np.exp(-np.square(offsets).sum(axis=-1) / (2 * variance)) / (2 * np.pi * variance)
    density[density < _LEAST_DENSITY] = 0
    used = density.any(axis=0)
    weights = density[:, used]
    return offsets[used], (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def window_radius(variance):
    """Cells to each side in which a Gaussian's density is high enough."""
    return int(np.sqrt(max(0.0, 2 * variance * np.log(1 / (_LEAST_DENSITY * 2 * np.pi * variance)))))


@dataclasses.dataclass(frozen=True, eq=False)
class Predictors:
    """The cells of P predictors, moved so that they lie on a query's grid of H x W cells, with a margin around it."""

    hog: np.ndarray  # float32 (P, H + 2 M, W + 2 M, channels)
    inside: np.ndarray  # which of them are in the image, bool (P, H + 2 M, W + 2 M)
    textured: np.ndarray  # which are in the image and have enough gradient, bool
    things: np.ndarray  # probability of thing, where a predictor was verified itself, float32 (V, H + 2 M, W + 2 M)
    mapped: np.ndarray  # which predictors these are, int (V,)
    margin: int  # M


def align(levels, corners, things, first, size, margin):
    """Make :class:`Predictors`.

    Args:
        levels: P levels of predictors, :class:`~tfssl.discovery.context.pyramid.Level`.
        corners: (y, x) of the patch in each.
        things: for each a float array of its cells, or None.
        first: (y, x) of the patch on the query's grid.
        size: (H, W) of that grid.
        margin: cells around it that can be asked for.
    """
    shape = tuple(length + 2 * margin for length in size)
    hog = np.zeros((len(levels), *shape, levels[0].hog.shape[-1]), np.float32)
    inside, textured = np.zeros((2, len(levels), *shape), bool)
    mapped = [number for number, thing in enumerate(things) if thing is not None]
    maps = np.full((len(mapped), *shape), 0.5, np.float32)
    for number, (level, corner) in enumerate(zip(levels, corners, strict=True)):
        to, of = _shared(level.textured.shape, corner, [at + margin for at in first], shape)
        hog[(number, *to)] = level.hog[of]
        inside[(number, *to)] = True
        textured[(number, *to)] = level.textured[of]
        if number in mapped:
            maps[(mapped.index(number), *to)] = things[number][of]
    return Predictors(hog, inside, textured, maps, np.array(mapped, int), margin)


def _shared(source, corner, first, shape):
    """Slices of the query's padded grid, and of a predictor's grid, that cover the same cells."""
    to, of = [], []
    for length, c, f, n in zip(source, corner, first, shape, strict=True):
        shift = f - c  # of a predictor's cell to the padded grid
        low, high = max(0, -shift), min(length, n - shift)
        of.append(slice(low, max(low, high)))
        to.append(slice(low + shift, max(low, high) + shift))
    return tuple(to), tuple(of)


def predict(predictors, cells, variance, trust, seen):
    """Compare cells with what the predictors have at the same places.

    Args:
        predictors: :class:`Predictors`.
        cells: rows and columns on the query's grid, int array (N, 2).
        variance: of where these lie in the predictors, (N,).
        trust: omega, float array (N, P).
        seen: the cells of the query, float32 (N, channels).

    Returns:
        ``(likelihood, experts, transferred)``: log p^T, (N,), NaN where no predictor has anything; the log likelihoods
        under each predictor's own mean and the common covariance, (N, P); and the probability of thing that verified
        predictors pass on, (N,), 0.5 where none was.
    """
    offsets, location = location_weights(variance)
    y, x = (cells[:, None, axis] + offsets[:, axis] + predictors.margin for axis in (0, 1))  # (N, K)
    textured = predictors.textured[:, y, x]  # (P, N, K)
    weights = (location * textured).transpose(1, 0, 2)  # (N, P, K)
    features = predictors.hog[:, y, x].transpose(1, 0, 2, 3)  # (N, P, K, channels)
    count, number, _ = weights.shape
    total = weights.sum(axis=-1)
    some = total > 0
    means = np.einsum("npk,npkc->npc", weights, features) / np.where(some, total, 1)[..., None]

    trusted = (weights * trust[..., None]).reshape(count, -1)
    likelihood, experts = np.full(count, np.nan), np.zeros((count, number))
    rows = trusted.sum(axis=-1) > 1e-8
    if rows.any():
        pooled = features[rows].reshape(int(rows.sum()), trusted.shape[1], -1)
        mean, covariance = weighted_gaussian(pooled, trusted[rows])
        covariance += RIDGE * np.eye(mean.shape[-1], dtype=covariance.dtype)
        differences = seen[rows, None] - np.concatenate([mean[:, None], means[rows]], axis=1)
        values = log_likelihood(differences, covariance)
        likelihood[rows], experts[rows] = values[:, 0], np.where(some[rows], values[:, 1:], 0)
    return likelihood, experts, _transfer(predictors, y, x, location)


def _transfer(predictors, y, x, location):
    """beta: the mean, over predictors with a map, of it around the place; mass outside the image counts 0.5."""
    if not predictors.mapped.size:
        return np.full(len(y), 0.5)
    inside, textured = (part[predictors.mapped][:, y, x] for part in (predictors.inside, predictors.textured))
    values = predictors.things[:, y, x] * textured + 0.5 * ~inside
    return (location * values).sum(axis=-1).mean(axis=0)
