"""PCA whitening of patches, in NumPy."""

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

CONTRAST_FLOOR = np.sqrt(10.0) / 255.0
"""Deviation, of images in [0, 1], below which contrast is not stretched to 1: a variance of 10 squared levels (Coates,
Ng and Lee, An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011; recalled)."""

_SMALLEST = 1e-6  # variance, of the mean one, below which a direction holds rounding only


def standardize_patches(patches, floor=CONTRAST_FLOOR):
    """Each patch without its mean and divided by ``sqrt(variance + floor^2)``: float (N, d) -> float32."""
    check_shapes(patches=(patches, "N d"))
    patches = patches - patches.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(patches).mean(axis=1, keepdims=True) + floor**2)
    return (patches / deviation).astype(np.float32)


def principal_directions(patches, components):
    """Directions of largest mean square, about zero.

    Args:
        patches: float (N, d).
        components: int, number of directions, at least 1; or float, fraction of the sum of squares, in (0, 1], that
            the fewest directions hold which hold at least so much. Directions in which nothing varies are none.

    Returns:
        ``(variances, directions, kept)``: float64 (k,), falling, and (d, k), columns of length 1, and the fraction of
        the squares that lies in them.

    Raises:
        ConfigError: if the patches do not vary in so many directions.
    """
    check_shapes(patches=(patches, "N d"))
    whole = isinstance(components, (int, np.integer))
    if whole:
        check_integers(1, patches.shape[1], components=components)
    elif not 0 < components <= 1:
        raise ConfigError(f"`components` must be a number, or a fraction in (0, 1]. Received: components={components}")
    patches = np.asarray(patches, np.float64)
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    variances, directions = variances[::-1], directions[:, ::-1]
    varied = int(np.count_nonzero(variances > _SMALLEST * max(variances.mean(), 1e-12)))
    fractions = np.cumsum(variances) / max(variances.sum(), 1e-12)
    if not whole:
        components = min(1 + int(np.searchsorted(fractions, components - 1e-9)), varied)
    if not 1 <= components <= varied:
        raise ConfigError(
            f"`components` must be at most {varied}, the directions in which the data's patches vary. "
            f"Received: components={components}"
        )
    return variances[:components], directions[:, :components], float(fractions[components - 1])


def pca_whitening(patches, components, pixel_floor=None):
    """Directions of largest variance of patches without their means, scaled so that each coordinate has variance 1.

    Args:
        patches: float (N, d), see :func:`standardize_patches`.
        components: number of directions, at most d - 1, because the mean of a patch was taken off; or fraction of the
            variance, see :func:`principal_directions`.
        pixel_floor: each of the d numbers is first divided by its standard deviation plus this; None: by nothing.

    Returns:
        ``(mean, matrix, kept)``: float32 (d,) and (d, k), columns that sum to zero, and the fraction of the variance
        that lies in these directions. Coordinates are ``(patches - mean) @ matrix``.

    Raises:
        ConfigError: if the patches do not vary in so many directions.
    """
    check_shapes(patches=(patches, "N d"))
    mean = patches.mean(axis=0, dtype=np.float64)
    centered = patches - mean
    spread = 1.0 if pixel_floor is None else centered.std(axis=0, keepdims=True) + pixel_floor
    variances, directions, kept = principal_directions(centered / spread, components)
    matrix = directions / np.sqrt(variances) / np.transpose(spread)
    matrix -= matrix.mean(axis=0)
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
