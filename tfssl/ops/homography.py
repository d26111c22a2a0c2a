# LEAD: cv2 is installed in the venv now (see AAA_MESSAGE_FROM_LEAD.txt): use OpenCV instead of this file.
"""Homographies in NumPy: mappings between two views of a plane, or of a camera that turns, and their robust fit."""

import numpy as np

from tfssl.ops.arguments import check_integers, check_shapes

_TRIES = 200  # sets of four points: with half of all points astray, one set in 16 is without
_REFITS = 3


def apply_homography(matrix, points):
    """Where points (N, 2) go, float64: ``(x', y', 1) ~ H (x, y, 1)``; infinity where that is nowhere.

    Args:
        matrix: H (3, 3).
        points: x and y.
    """
    check_shapes(matrix=(matrix, "3 3"), points=(points, "N 2"))
    matrix, points = np.asarray(matrix, np.float64), np.asarray(points, np.float64)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = moved[:, :2] / moved[:, 2:]
    return np.where(np.isfinite(moved), moved, np.inf)


def fit_homography(first, second):
    """The homography that takes points to others with the smallest algebraic error, float64 (3, 3), its last number 1.

    Both sets are first centered and scaled to a mean distance of sqrt(2) (normalized DLT).

    Args:
        first, second: (N, 2), four at least, no three of them on a line.

    Raises:
        ValueError: if the points do not determine it.

    Reference:
        R. Hartley, A. Zisserman: Multiple View Geometry in Computer Vision, 2nd edition, algorithm 4.2. 2004.
    """
    check_shapes(first=(first, "N 2"), second=(second, "N 2"))
    if len(first) < 4:
        raise ValueError(f"a homography needs 4 points, there are {len(first)}")
    (x, y), from_pixels = _normalized(first)
    (u, v), to_pixels = _normalized(second)
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [[x, y, one, zero, zero, zero, -u * x, -u * y, -u], [zero, zero, zero, x, y, one, -v * x, -v * y, -v]]
    equations = np.concatenate([np.stack(row, axis=1) for row in rows])
    # The eigenvectors of this product are the right singular vectors, at no cost of the many rows.
    squares, vectors = np.linalg.eigh(equations.T @ equations)
    if squares[1] < 1e-14 * squares[-1]:
        raise ValueError("the points lie on a line, or too many are the same")
    matrix = np.linalg.inv(to_pixels) @ vectors[:, 0].reshape(3, 3) @ from_pixels
    return matrix / matrix[2, 2]


def ransac_homography(first, second, rng, *, threshold=1.0, weights=None, tries=_TRIES):
    """The homography that most pairs of points agree with, and which ones: float64 (3, 3), bool (N,).

    Of ``tries`` homographies of four pairs each the one with the largest sum of ``w max(0, 1 - (d / threshold)^2)``, d
    the distance from where it takes a point, is fitted anew to the points that it takes to within ``threshold``.

    Args:
        first, second: (N, 2).
        rng: what draws the pairs, ``numpy.random.Generator``.
        threshold: pixels (1).
        weights: w of the points, (N,), at least 0, by which they are also drawn; None for 1.
        tries: sets of four pairs (200).

    Raises:
        ValueError: if there are fewer than four points, or nothing fits.

    Reference:
        M. Fischler, R. Bolles: Random sample consensus. Communications of the ACM 24, 1981; the sum is that of
        P. Torr, A. Zisserman: MLESAC. Computer Vision and Image Understanding 78, 2000.
    """
    weights = np.ones(len(first)) if weights is None else weights
    check_shapes(first=(first, "N 2"), second=(second, "N 2"), weights=(weights, "N"))
    check_integers(1, tries=tries)
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if len(first) < 4:
        raise ValueError(f"a homography needs 4 points, there are {len(first)}")
    # Of exponential times with these rates the first four are a draw by weights without repetition.
    times = rng.exponential(size=(tries, len(first))) / np.maximum(weights, 1e-12)
    sets = np.argsort(times, axis=1)[:, :4]
    (scaled, from_pixels), (others, to_pixels) = _normalized(first), _normalized(second)
    candidates = np.linalg.inv(to_pixels) @ _of_four(scaled.T[sets], others.T[sets]) @ from_pixels
    inliers, best = np.zeros(len(first), bool), 0.0
    for candidate in candidates:
        missing = _distances(candidate, first, second) / threshold
        agreement = np.dot(weights, np.maximum(1 - missing**2, 0))
        if agreement > best:
            inliers, best = missing <= 1, agreement
    matrix = None
    for _ in range(_REFITS):
        if inliers.sum() < 4:
            raise ValueError("no homography fits four of the points")
        matrix = fit_homography(first[inliers], second[inliers])
        inliers = _distances(matrix, first, second) <= threshold
    return matrix, inliers


def _distances(matrix, first, second):
    return np.linalg.norm(apply_homography(matrix, first) - second, axis=1)


def _normalized(points):
    """Coordinates (2, N) of points around 0 at a mean distance of sqrt(2), and the matrix that makes them so."""
    points = np.asarray(points, np.float64)
    center = points.mean(axis=0)
    distance = np.linalg.norm(points - center, axis=1).mean()
    scale = np.sqrt(2) / distance if distance > 0 else 1.0
    matrix = np.array([[scale, 0, -scale * center[0]], [0, scale, -scale * center[1]], [0, 0, 1]])
    return ((points - center) * scale).T, matrix


def _of_four(first, second):
    """Homographies of sets of four pairs, (T, 4, 2) twice -> (M, 3, 3), M <= T: without those that are none."""
    x, y, u, v = first[..., 0], first[..., 1], second[..., 0], second[..., 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    upper = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    lower = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    equations, values = np.concatenate([upper, lower], axis=1), np.concatenate([u, v], axis=1)
    good = np.abs(np.linalg.det(equations)) > 1e-9  # not three points on a line; coordinates are about 1
    solved = np.linalg.solve(equations[good], values[good][..., None])[..., 0]
    return np.concatenate([solved, np.ones((len(solved), 1))], axis=1).reshape(-1, 3, 3)
