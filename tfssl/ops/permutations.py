"""Sets of permutations that differ in many places: the classes of the jigsaw task.

A set is made greedily from all permutations, with running sums, in under a second for 1000 of 9 tiles. Its rows are
class labels, so the same arguments must give the same set for as long as a model is used: ties are broken with the
raw stream of a bit generator, which NumPy keeps from version to version, unlike that of ``Generator``'s methods.
"""

import functools
import itertools
import math
from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError

TILES = 9
"""Tiles of a puzzle, 3x3."""

KINDS = ("max_mean", "max_min", "middle", "min")
"""How the next permutation is chosen, see :func:`permutation_set`."""

_MAX_TILES = 9  # 9! = 362,880 candidates; 10! would need ten times the memory and time


@functools.lru_cache(maxsize=16)
def permutation_set(count, kind="max_mean", *, tiles=9, seed=0):
    """Choose permutations greedily by their Hamming distance to those already chosen.

    The first one is uniformly random. After that, of all permutations not yet chosen:

    - ``"max_mean"`` takes one with the largest mean distance to the chosen ones (paper, algorithm 1);
    - ``"max_min"`` one with the largest smallest distance;
    - ``"middle"`` any, uniformly (the "middle" sets of the paper);
    - ``"min"`` one with the smallest mean distance.

    Ties are broken uniformly at random.

    Args:
        count: number P of permutations, from 1 to tiles!.
        kind: one of ``KINDS``.
        tiles: number of elements n that are permuted, 2 to 9.
        seed: of the first permutation and of the ties; the same seed gives the same set.

    Returns:
        uint8 array (P, tiles), read-only, rows distinct: row h puts element ``h[i]`` into place i.

    Raises:
        ConfigError: if an argument is outside its range.

    Reference:
        M. Noroozi, P. Favaro: Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles. ECCV 2016.
    """
    if kind not in KINDS:
        raise ConfigError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    if not 2 <= tiles <= _MAX_TILES:
        raise ConfigError(f"`tiles` must be 2 to {_MAX_TILES}. Received: tiles={tiles!r}")
    if not 1 <= count <= math.factorial(tiles):
        raise ConfigError(
            f"`count` must be 1 to {math.factorial(tiles)}, as many as {tiles} tiles allow. Received: count={count!r}"
        )
    candidates = all_permutations(tiles)
    draw = np.random.PCG64(seed).random_raw
    next_score = {"max_mean": _mean_score(), "max_min": _min_score(), "middle": None, "min": _mean_score(-1)}[kind]
    chosen = [draw() % len(candidates)]
    taken = np.zeros(len(candidates), bool)
    taken[chosen] = True
    places = np.ascontiguousarray(candidates.T)
    while len(chosen) < count:
        if next_score is None:
            best = np.flatnonzero(~taken)
        else:
            score = np.where(taken, np.int32(np.iinfo(np.int32).min), next_score(places, chosen[-1]))
            best = np.flatnonzero(score == score.max())
        chosen.append(int(best[draw() % len(best)]))
        taken[chosen[-1]] = True
    permutations = candidates[chosen]
    permutations.setflags(write=False)
    return permutations


def all_permutations(tiles):
    """All permutations of ``range(tiles)`` in lexicographic order, uint8 (tiles!, tiles)."""
    flat = itertools.chain.from_iterable(itertools.permutations(range(tiles)))
    return np.fromiter(flat, np.uint8, math.factorial(tiles) * tiles).reshape(-1, tiles)


def hamming(first, second):
    """Number of places in which permutations differ, int64; arrays (..., n) that broadcast against each other."""
    return np.sum(np.asarray(first) != np.asarray(second), axis=-1)


def permutation_statistics(permutations):
    """Hamming distances between the members of a set.

    Args:
        permutations: int array (P, n), P at least 2.

    Returns:
        dict with ``mean``, ``min`` and ``max`` over the P (P - 1) / 2 pairs, ``bound``, the largest mean that any
        set of P can have (:func:`mean_distance_bound`), and ``histogram``, pairs at each distance 0 ... n.
    """
    permutations = np.asarray(permutations)
    count, tiles = permutations.shape
    histogram = np.zeros(tiles + 1, np.int64)
    for index in range(1, count):
        histogram += np.bincount(hamming(permutations[index], permutations[:index]), minlength=tiles + 1)
    occurring = np.flatnonzero(histogram)
    return {
        "mean": float(histogram @ np.arange(tiles + 1) / histogram.sum()),
        "min": int(occurring[0]),
        "max": int(occurring[-1]),
        "bound": mean_distance_bound(count, tiles),
        "histogram": histogram.tolist(),
    }


def mean_distance_bound(count, tiles=9):
    """Largest possible mean Hamming distance between the pairs of ``count`` permutations.

    ``n - n sum_s C(c_s, 2) / C(P, 2)`` where each of the n symbols occurs c_s = floor or ceil of P / n times in every
    place: two permutations agree in a place if they have the same symbol there, and balance makes that rarest.
    """
    each, more = divmod(count, tiles)
    agreeing = (tiles - more) * math.comb(each, 2) + more * math.comb(each + 1, 2)
    return tiles - tiles * agreeing / math.comb(count, 2)


def load_permutations(path, *, tiles=9):
    """Read a permutation set from a file, such as those that came with the original code.

    Args:
        path: a .npy file, or text with one permutation a line, its numbers separated by blanks, commas or semicolons.
            Numbers count from 0, or from 1 in the whole file.
        tiles: number of elements that are permuted.

    Returns:
        uint8 array (P, tiles), counting from 0.

    Raises:
        ConfigError: if the file is missing, or holds something else than distinct permutations.
    """
    file = Path(path).expanduser()
    try:
        if file.suffix == ".npy":
            values = np.load(file, allow_pickle=False)
        else:
            lines = file.read_text(encoding="utf-8").replace(",", " ").replace(";", " ").splitlines()
            values = np.array([[float(number) for number in line.split()] for line in lines if line.strip()])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"{_describe(path)} cannot be read ({reason}); give a .npy or text file") from None
    if values.ndim != 2 or values.shape[1] != tiles or values.dtype.kind not in "iuf" or len(values) < 2:
        raise ConfigError(
            f"{_describe(path)} must hold at least two rows of {tiles} numbers. Received: shape {values.shape}, "
            f"{values.dtype}"
        )
    values = values - values.min()
    wrong = np.flatnonzero((np.sort(values, axis=1) != np.arange(tiles)).any(axis=1))
    if len(wrong):
        raise ConfigError(
            f"{_describe(path)}: row {wrong[0] + 1} is no permutation of 0 ... {tiles - 1} or 1 ... {tiles}"
        )
    values = values.astype(np.uint8)
    if len(np.unique(values, axis=0)) < len(values):
        raise ConfigError(f"{_describe(path)} holds {len(values)} rows, of which some are equal; remove the copies")
    values.setflags(write=False)
    return values


def _describe(path):
    return f"`permutation_set` file {str(path)!r}"


def _mean_score(sign=1):
    """A function that adds up, for every candidate, its distances to the permutations chosen so far."""
    total = 0

    def score(places, last):
        nonlocal total
        total = total + sign * _distances(places, last)
        return total

    return score


def _min_score():
    """A function that keeps, for every candidate, its distance to the nearest permutation chosen so far."""
    nearest = _MAX_TILES + 1

    def score(places, last):
        nonlocal nearest
        nearest = np.minimum(nearest, _distances(places, last))
        return nearest

    return score


def _distances(places, index):
    """Distance of every candidate, a column of ``places``, to the one at ``index``; int32 (tiles!,)."""
    distances = np.zeros(places.shape[1], np.int32)
    for symbols in places:
        distances += symbols != symbols[index]
    return distances
