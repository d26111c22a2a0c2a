"""From affinities to eigenvectors, from these to boundaries and groups."""

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import eigsh

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

ORIENTATIONS = 8
"""Of the derivatives (spectral Pb)."""

_TOLERANCE = 1e-3  # of the eigenvalues: the picture does not change below


def neighbor_pairs(shape, radius):
    """All pairs of pixels at most ``radius`` apart, each once and none with itself: numbers, two int64 (n,)."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    reach = range(-int(radius), int(radius) + 1)
    first, second = [], []
    for down in range(int(radius) + 1):
        for right in reach:
            if (down, right) <= (0, 0) or down**2 + right**2 > radius**2:
                continue
            left, cut = max(0, -right), max(0, right)
            first.append(numbers[: shape[0] - down, left : shape[1] - cut].ravel())
            second.append(numbers[down:, left + right : shape[1] - cut + right].ravel())
    return np.concatenate(first), np.concatenate(second)


def affinity_matrix(affinity, shape, radius=5):
    """Symmetric ``scipy.sparse`` matrix (H W, H W) of the affinities within a radius in pixels (code: 5)."""
    first, second = neighbor_pairs(shape, radius)
    values, size = affinity(first, second), shape[0] * shape[1]
    half = sparse.coo_matrix((values, (first, second)), (size, size))
    return (half + half.T).tocsr()


def eigenvectors(matrix, count, seed=0):
    """The smoothest eigenvectors of ``(D - W) v = lambda D v`` (normalized cuts), the constant one left out.

    Args:
        matrix: W, symmetric and not negative, sparse or dense (n, n).
        count: of eigenvectors; at most n - 2 are there.
        seed: of the start of the iteration.

    Returns:
        Eigenvalues float64 (count,), ascending; eigenvectors (n, count), each of unit length.
    """
    matrix = sparse.csr_matrix(matrix)
    check_integers(1, count=count)
    scale = sparse.diags(1 / np.sqrt(np.maximum(_sums(matrix), 1e-12)))
    start = np.random.default_rng(seed).normal(size=matrix.shape[0])
    count = min(count, matrix.shape[0] - 2)
    values, vectors = eigsh(scale @ matrix @ scale, count + 1, which="LA", v0=start, tol=_TOLERANCE)
    order = np.argsort(-values)[1:]
    vectors = scale @ vectors[:, order]
    return np.maximum(1 - values[order], 0), vectors / np.linalg.norm(vectors, axis=0)


def image_eigenvectors(matrix, shape, count, halvings=2, seed=0):
    """:func:`eigenvectors` of the affinities of an image, by way of one with fewer pixels.

    Each halving keeps every other row and column; what a dropped pixel has in common with kept ones carries affinities
    to them, and eigenvectors back (Arbelaez et al., CVPR 2014, section 3: "downsampled normalized cuts").

    Args:
        matrix: of :func:`affinity_matrix`.
        shape: (H, W).
        halvings: 0 is exact; 2 (the released code's faster variants) takes a twentieth of the time and gives the same
            picture.
    """
    back = []
    for _ in range(halvings):
        if min(shape) < 4:
            break
        kept = np.zeros(shape, bool)
        kept[1::2, 1::2] = True
        some = matrix[np.flatnonzero(kept)]
        back.append((some @ sparse.diags(1 / np.maximum(_sums(some, 0), 1e-12))).T.tocsr())
        matrix = some @ back[-1]
        matrix, shape = (matrix + matrix.T) / 2, (shape[0] // 2, shape[1] // 2)  # rounding is not symmetric
    values, vectors = eigenvectors(matrix, count, seed)
    for carry in reversed(back):
        vectors = carry @ vectors
    return values, vectors / np.linalg.norm(vectors, axis=0)


def _sums(matrix, axis=1):
    return np.asarray(matrix.sum(axis=axis)).ravel()


def boundary_energy(values, vectors, shape, sigma=1.0):
    """Strength of a boundary at each pixel and orientation: spectral Pb (Maire et al., CVPR 2008).

    Sum over eigenvectors, scaled to [0, 1], of the absolute oriented derivative divided by the root of the eigenvalue.

    Args:
        values, vectors: of :func:`eigenvectors`.
        shape: (H, W).
        sigma: of the Gaussian that is differentiated, in pixels.

    Returns:
        float64 (H, W, :data:`ORIENTATIONS`): derivatives along ``pi k / 8`` from the x axis towards y.
    """
    angles = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    energy = np.zeros((*shape, ORIENTATIONS))
    for value, vector in zip(values, vectors.T, strict=True):
        spread = np.ptp(vector)
        if value <= 1e-9 or spread == 0:
            continue  # parts that nothing joins: their border has no finite weight
        image = vector.reshape(shape) / (spread * np.sqrt(value))
        down, right = (ndimage.gaussian_filter(image, sigma, order) for order in ((1, 0), (0, 1)))
        energy += np.abs(right[..., None] * np.cos(angles) + down[..., None] * np.sin(angles))
    return energy


def spectral_groups(matrix, count, seed=0):
    """Groups of a matrix of affinities: int (n,), numbers from 0 to ``count`` - 1.

    Args:
        matrix: symmetric, not negative (n, n); what stands on the diagonal, the affinity of a thing with itself, is
            left out.
        count: of groups, from 1 to n.
        seed: of k-means.
    """
    from sklearn.cluster import SpectralClustering

    matrix = np.array(matrix, np.float64)
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1] or not np.allclose(matrix, matrix.T) or matrix.min() < 0:
        raise ConfigError(f"`matrix` must be symmetric and not negative. Received: matrix.shape={matrix.shape}")
    check_integers(1, len(matrix), count=count)
    np.fill_diagonal(matrix, 0)
    if count in (1, len(matrix)):
        return np.arange(len(matrix)) % count
    found = SpectralClustering(count, affinity="precomputed", random_state=seed, assign_labels="kmeans")
    return found.fit_predict(matrix)
