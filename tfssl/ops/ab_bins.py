"""The 313 quantized ab colors of Zhang, Isola and Efros (2016): centers, soft encoding, annealed-mean decoding.

The centers cannot be recomputed from the sRGB gamut (no distance rule gives the published set), so the rows of the
published grid are tabulated here.
"""

import functools

import numpy as np

from tfssl.ops.arguments import check_floating, check_integers, check_shapes

# a: (smallest b, largest b), every 10 units between them is a center.
_GRID_ROWS = {
    -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100),
    -40: (-40, 100), -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100),
    10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90), 50: (-100, 80),
    60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
}  # fmt: skip

CENTERS = np.array(
    [(a, b) for a, (low, high) in _GRID_ROWS.items() for b in range(low, high + 1, 10)], dtype=np.float32
)
"""Bin centers, float32 (313, 2), columns a and b in ab units, sorted by a, then b."""
CENTERS.setflags(write=False)

NUM_BINS = len(CENTERS)
GRAY_BIN = 120
"""Index of the bin at (0, 0)."""

SIGMA = 5.0
"""Width of the soft encoding in ab units (paper, section 2.1)."""

GRAY_THRESHOLD = 5.0
"""An image none of whose ab values exceeds this in magnitude counts as gray and trains nothing (released code)."""

_EXTENT = 110  # lookups cover a and b in [-_EXTENT, _EXTENT]; every sRGB color lies inside
_CELLS = 88  # along an axis
_CELL = 2.5  # side of a candidate cell in ab units: 17 candidates for k = 10, in tables of 1.6 MB


def soft_encode_reference(ab, neighbors=10, sigma=SIGMA):
    """:func:`soft_encode` in NumPy float64 by exhaustive search: slow and obvious, for tests."""
    _check_encoding(neighbors, sigma)
    check_shapes(ab=(ab, "... 2"))
    ab = np.asarray(ab, dtype=np.float64)
    squared = np.sum(np.square(ab[..., None, :] - CENTERS.astype(np.float64)), axis=-1)
    indices = np.argsort(squared, axis=-1, kind="stable")[..., :neighbors]
    nearest = np.take_along_axis(squared, indices, axis=-1)
    # Subtracting the smallest distance first cannot change the normalized weights and cannot underflow.
    weights = np.exp((nearest[..., :1] - nearest) / (2.0 * sigma**2))
    return indices.astype(np.int32), weights / weights.sum(axis=-1, keepdims=True)


def soft_encode(ab, neighbors=10, sigma=SIGMA, lookup="exact"):
    """Encode colors as k weighted bins: ``w_j ~ exp(-|ab - c_j|^2 / (2 sigma^2))`` over the k nearest centers.

    Instead of a dense 313-vector (section 2.2 of the paper). The search looks only at the candidate centers of the
    2.5 x 2.5 cell that a color falls into, which provably contain the k nearest centers of each of its points.

    Args:
        ab: float tensor (..., 2), colors in ab units; values outside [-110, 110] are clipped to it.
        neighbors: k, 1 to 313. 10 in the released code, 5 in the paper.
        sigma: width of the Gaussian weights in ab units, positive (paper: 5).
        lookup: ``"exact"`` searches the candidates; ``"table"`` reads a table of ab rounded to 1 unit, which
            is much faster and moves the encoded color by at most half a unit along each axis.

    Returns:
        ``(indices, weights)``: int32 and float32 tensors (..., k), nearest first; weights sum to 1.
    """
    from keras import ops

    _check_encoding(neighbors, sigma)
    check_shapes(ab=(ab, "... 2"))
    ab = ops.clip(ops.cast(ab, "float32"), -float(_EXTENT), float(_EXTENT))
    if lookup == "table":
        indices, weights = _encoding_table(neighbors, float(sigma))
        position = ops.cast(ops.round(ab), "int32") + _EXTENT
        flat = position[..., 0] * (2 * _EXTENT + 1) + position[..., 1]
        return ops.take(indices, flat, axis=0), ops.take(weights, flat, axis=0)
    if lookup != "exact":
        raise ValueError(f"`lookup` must be 'exact' or 'table'. Received: lookup={lookup!r}")
    candidates, centers = _candidate_table(neighbors)
    cell = ops.minimum(ops.cast((ab + _EXTENT) / _CELL, "int32"), _CELLS - 1)
    flat = cell[..., 0] * _CELLS + cell[..., 1]
    nearby = ops.take(centers, flat, axis=0)  # (..., 2, candidates)
    negative = -ops.square(ab[..., 0:1] - nearby[..., 0, :]) - ops.square(ab[..., 1:2] - nearby[..., 1, :])
    values, order = ops.top_k(negative, neighbors)
    indices = ops.take_along_axis(ops.take(candidates, flat, axis=0), order, axis=-1)
    weights = ops.exp((values - values[..., :1]) / (2.0 * sigma**2))  # nearest first, so no exponent is positive
    return indices, weights / ops.sum(weights, axis=-1, keepdims=True)


def annealed_mean(logits, temperature=0.38):
    """Decode bin scores to one color: the mean of the centers under ``softmax(logits / T)`` (equation 5 of the paper).

    T = 1 is the mean of the predicted distribution (desaturated), T -> 0 its mode (vivid, spatially inconsistent).

    Args:
        logits: float tensor (..., 313) of unnormalized log-probabilities.
        temperature: T in (0, 1], a number or a scalar tensor. 0.38 in the paper; the released deploy file
            multiplies by 2.606, i.e. T = 0.3837.

    Returns:
        float32 tensor (..., 2), ab units.
    """
    from keras import ops

    check_shapes(logits=(logits, f"... {NUM_BINS}"))
    check_floating(logits=logits)
    if isinstance(temperature, (int, float)) and not 0 < temperature <= 1:
        raise ValueError(f"`temperature` must lie in (0, 1]. Received: temperature={temperature!r}")
    logits = ops.cast(logits, "float32")
    probabilities = ops.softmax(logits / ops.cast(temperature, "float32"), axis=-1)
    return ops.matmul(probabilities, ops.convert_to_tensor(CENTERS))


def nearest_bin(ab):
    """Index of the nearest center of each color, NumPy: ab (..., 2) in ab units -> int32 (...)."""
    check_shapes(ab=(ab, "... 2"))
    ab = np.clip(np.asarray(ab, dtype=np.float32), -_EXTENT, _EXTENT)
    if np.isnan(ab).any():
        raise ValueError("`ab` must be numbers. Received: NaN")
    candidates, centers = _candidate_table(1)
    cell = np.minimum(((ab + _EXTENT) / _CELL).astype(np.int32), _CELLS - 1)
    flat = cell[..., 0] * _CELLS + cell[..., 1]
    nearby = centers[flat]
    squared = np.square(ab[..., 0:1] - nearby[..., 0, :]) + np.square(ab[..., 1:2] - nearby[..., 1, :])
    best = np.argmin(squared, axis=-1)
    return np.take_along_axis(candidates[flat], best[..., None], axis=-1)[..., 0]


def _check_encoding(neighbors, sigma):
    check_integers(1, NUM_BINS, neighbors=neighbors)
    if not sigma > 0:
        raise ValueError(f"`sigma` must be positive (ab units). Received: sigma={sigma}")


@functools.lru_cache(maxsize=8)
def _candidate_table(neighbors):
    """Candidate centers of each cell: int32 (cells^2, n) and their coordinates float32 (cells^2, 2, n).

    A center can be among the k nearest of some point of a cell only if its smallest distance to the cell is
    at most the k-th smallest of the centers' largest distances to the cell.
    """
    corners = np.arange(-_EXTENT, _EXTENT, _CELL, dtype=np.float64)
    low = np.stack(np.meshgrid(corners, corners, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    below, above = low - CENTERS, CENTERS - (low + _CELL)
    nearest = np.sum(np.square(np.maximum(np.maximum(below, above), 0.0)), axis=-1)
    farthest = np.sum(np.square(np.maximum(-below, -above)), axis=-1)
    bound = np.partition(farthest, neighbors - 1, axis=-1)[:, neighbors - 1 : neighbors]
    count = int((nearest <= bound + 1e-6).sum(axis=-1).max())
    # Taking the same number everywhere keeps the table rectangular; extra candidates do no harm.
    candidates = np.sort(np.argsort(nearest, axis=-1, kind="stable")[:, :count], axis=-1).astype(np.int32)
    return candidates, np.ascontiguousarray(np.swapaxes(CENTERS[candidates], 1, 2))


@functools.lru_cache(maxsize=8)
def _encoding_table(neighbors, sigma):
    axis = np.arange(-_EXTENT, _EXTENT + 1, dtype=np.float64)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    parts = [soft_encode_reference(chunk, neighbors, sigma) for chunk in np.array_split(grid, 16)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]).astype(np.float32)
