"""Sets of permutations that differ in many positions: the classes of the jigsaw task.

Rows are class labels, so the same arguments must give the same set for as long as a model is used: ties are broken with
the raw stream of a bit generator, which NumPy keeps from version to version, unlike that of ``Generator``'s methods.
"""

import functools
import itertools
import math
from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

TILES = 9
"""Tiles of a puzzle, 3x3."""

KINDS = ("max_mean", "max_min", "middle", "min")
"""How the next permutation is chosen, see :func:`permutation_set`."""

_MAX_TILES = 9  # 9! = 362,880 candidates; 10! would need ten times the memory and time


@functools.lru_cache(maxsize=16)
def permutation_set(count, kind="max_mean", *, tiles=9, seed=0):
    """Choose permutations greedily by their Hamming distance to those already chosen (Noroozi, Favaro 2016).

    The first one is uniformly random. After that, of all permutations not yet chosen, ties broken at random:

    - ``"max_mean"`` takes one with the largest mean distance to the chosen ones (paper, algorithm 1);
    - ``"max_min"`` one with the largest smallest distance;
    - ``"middle"`` any, uniformly (the "middle" sets of the paper);
    - ``"min"`` one with the smallest mean distance.

    Args:
        count: number P of permutations, from 1 to tiles!.
        kind: one of ``KINDS``.
        tiles: number of elements n that are permuted, 2 to 9.
        seed: of the first permutation and of the ties.

    Returns:
        uint8 array (P, tiles), read-only, rows distinct: row h puts element ``h[i]`` into position i.
    """
    if kind not in KINDS:
        raise ConfigError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    check_integers(2, _MAX_TILES, tiles=tiles)
    check_integers(1, count=count)
    if count > math.factorial(tiles):
        raise ConfigError(
            f"`count` must be 1 to {math.factorial(tiles)}, as many as {tiles} tiles allow. Received: count={count!r}"
        )
    candidates = all_permutations(tiles)
    draw = np.random.PCG64(seed).random_raw
    chosen = [draw() % len(candidates)]
    taken = np.zeros(len(candidates), bool)
    taken[chosen] = True
    columns = np.ascontiguousarray(candidates.T)
    # Of every candidate: the sum of its distances to those chosen so far (negative for "min"), or the smallest.
    score = np.full(len(candidates), _MAX_TILES + 1 if kind == "max_min" else 0, np.int32)
    while len(chosen) < count:
        if kind == "middle":
            best = np.flatnonzero(~taken)
        else:
            distances = _distances(columns, chosen[-1])
            score = np.minimum(score, distances) if kind == "max_min" else score + distances * (1 - 2 * (kind == "min"))
            free = np.where(taken, np.int32(np.iinfo(np.int32).min), score)
            best = np.flatnonzero(free == free.max())
        chosen.append(int(best[draw() % len(best)]))
        taken[chosen[-1]] = True
    permutations = candidates[chosen]
    permutations.setflags(write=False)
    return permutations


def all_permutations(tiles):
    """All permutations of ``range(tiles)`` in lexicographic order, uint8 (tiles!, tiles); 1 to 9 tiles."""
    check_integers(1, _MAX_TILES, tiles=tiles)
    flat = itertools.chain.from_iterable(itertools.permutations(range(tiles)))
    return np.fromiter(flat, np.uint8, math.factorial(tiles) * tiles).reshape(-1, tiles)


def hamming(first, second):
    """Number of positions in which permutations differ, int64; arrays (..., n) that broadcast against each other."""
    check_shapes(first=(first, "... n"))
    check_shapes(second=(second, f"... {np.shape(first)[-1]}"))
    return np.sum(np.asarray(first) != np.asarray(second), axis=-1)


def permutation_statistics(permutations):
    """Hamming distances between the members of a set of P permutations, int (P, n), P at least 2.

    ``mean``, ``min`` and ``max`` over all pairs, ``bound``, the :func:`mean_distance_bound`, and ``histogram``, pairs
    at each distance 0 ... n.
    """
    check_shapes(permutations=(permutations, "P n"))
    check_integers(2, **{"len(permutations)": len(permutations)})
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
    position: two permutations agree where they have the same symbol, and balance makes that rarest.
    """
    check_integers(2, count=count)
    check_integers(1, tiles=tiles)
    each, more = divmod(count, tiles)
    agreeing = (tiles - more) * math.comb(each, 2) + more * math.comb(each + 1, 2)
    return tiles - tiles * agreeing / math.comb(count, 2)


def load_permutations(path, *, tiles=9):
    """Read a permutation set from a file, such as those that came with the original code: uint8 (P, tiles), from 0.

    The file is a .npy file; a .bin file as Noroozi and Favaro's (little-endian int32: rows, columns, then the numbers
    row by row); or text with one permutation a line, its numbers separated by blanks, commas or semicolons.
    Numbers count from 0, or from 1 in the whole file.

    Raises:
        ConfigError: if the file is missing, or holds something else than distinct permutations.
    """
    name, file = f"`permutation_set` file {str(path)!r}", Path(path).expanduser()
    try:
        if file.suffix == ".npy":
            values = np.load(file, allow_pickle=False)
        elif file.suffix == ".bin":
            values = _read_bin(file)
        else:
            lines = file.read_text(encoding="utf-8").replace(",", " ").replace(";", " ").splitlines()
            values = np.array([[float(number) for number in line.split()] for line in lines if line.strip()])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"{name} cannot be read ({reason}); give a .npy, .bin or text file") from None
    if values.ndim != 2 or values.shape[1] != tiles or values.dtype.kind not in "iuf" or len(values) < 2:
        raise ConfigError(
            f"{name} must hold at least two rows of {tiles} numbers. Received: shape {values.shape}, {values.dtype}"
        )
    values = values - values.min()
    wrong = np.flatnonzero((np.sort(values, axis=1) != np.arange(tiles)).any(axis=1))
    if len(wrong):
        raise ConfigError(f"{name}: row {wrong[0] + 1} is no permutation of 0 ... {tiles - 1} or 1 ... {tiles}")
    values = values.astype(np.uint8)
    if len(np.unique(values, axis=0)) < len(values):
        raise ConfigError(f"{name} holds {len(values)} rows, of which some are equal; remove the copies")
    values.setflags(write=False)
    return values


def _read_bin(file):
    content = file.read_bytes()
    numbers = np.frombuffer(content[: len(content) // 4 * 4], "<i4").astype(np.int64)
    if len(numbers) < 2 or 4 * (2 + numbers[0] * numbers[1]) != len(content) or (numbers[:2] < 1).any():
        raise ValueError(f"its {len(content)} bytes are not int32 numbers: rows, columns, then rows x columns")
    return numbers[2:].reshape(numbers[:2])


def _distances(columns, index):
    distances = np.zeros(columns.shape[1], np.int32)
    for symbols in columns:
        distances += symbols != symbols[index]
    return distances
