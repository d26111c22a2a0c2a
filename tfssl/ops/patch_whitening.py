"""PCA whitening of patches, in NumPy."""

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

CONTRAST_FLOOR = np.sqrt(10.0) / 255.0
"""Deviation, of images in [0, 1], below which contrast is not stretched to 1: a variance of 10 squared levels (Coates,
Ng and Lee, An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011; recalled)."""

_SMALLEST = 1e-6  # variance, of the mean one, below which a direction holds rounding only


def standardize_patches(patches):
    """Each patch without its mean and divided by ``sqrt(variance + CONTRAST_FLOOR^2)``: float (N, d) -> float32."""
    check_shapes(patches=(patches, "N d"))
    patches = patches - patches.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(patches).mean(axis=1, keepdims=True) + CONTRAST_FLOOR**2)
    return (patches / deviation).astype(np.float32)


def pca_whitening(patches, components):
    """Directions of largest variance of standardized patches, scaled so that each coordinate has variance 1.

    Args:
        patches: float (N, d), see :func:`standardize_patches`.
        components: number of directions, at most d - 1: the mean of a patch was taken off.

    Returns:
        ``(mean, matrix, kept)``: float32 (d,) and (d, components), columns that sum to zero, and the fraction of the
        variance that lies in these directions. Coordinates are ``(patches - mean) @ matrix``.

    Raises:
        ConfigError: if the patches do not vary in so many directions.
    """
    check_shapes(patches=(patches, "N d"))
    check_integers(1, patches.shape[1] - 1, components=components)
    mean = patches.mean(axis=0, dtype=np.float64)
    centered = patches - mean
    variances, directions = np.linalg.eigh(centered.T @ centered / len(patches))
    variances, directions = variances[::-1], directions[:, ::-1]
    varied = int(np.count_nonzero(variances > _SMALLEST * max(variances.mean(), 1e-12)))
    if components > varied:
        raise ConfigError(
            f"`components` must be at most {varied}, the directions in which the data's patches vary. "
            f"Received: components={components}"
        )
    matrix = directions[:, :components] / np.sqrt(variances[:components])
    matrix -= matrix.mean(axis=0)
    kept = float(variances[:components].sum() / variances.sum())
    return mean.astype(np.float32), matrix.astype(np.float32), kept


def cosine_whitening(shape, components):
    """What stands in where no data have been seen: the cosines of lowest frequency, scaled to norm sqrt(d) / 4.

    Returns:
        ``(mean, matrix)`` as :func:`pca_whitening`, for patches of ``shape`` (size, size, frames).
    """
    axes = [np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * np.arange(n) / n) for n in shape]
    basis = np.einsum("ia,jb,kc->ijkabc", *axes).reshape(np.prod(shape), -1)
    frequencies = np.add.outer(np.add.outer(*[np.arange(n) for n in shape[:2]]), np.arange(shape[2])).ravel()
    chosen = np.argsort(frequencies, kind="stable")[1 : components + 1]
    matrix = basis[:, chosen] / np.linalg.norm(basis[:, chosen], axis=0)
    return np.zeros(len(matrix), np.float32), (matrix * np.sqrt(len(matrix)) / 4).astype(np.float32)
