"""Which colors and textures occur beside each other in one image: pairs of pixels, their density, their PMI."""

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KernelDensity

from tfssl.ops.pmi import REG, RHO, pmi

VARIANCE = 0.25
"""Of the offset of a pixel from the middle of its pair, along each axis, beside a step of 1 px (code: ``sig``)."""

BANDWIDTHS = (0.01, 0.018, 0.032, 0.056, 0.1)
"""Of the kernels, in units of features in [0, 1]: those that are tried (code: 0.01 to 0.1)."""

VALIDATION_PAIRS = 500
"""On which the bandwidth is chosen (code)."""

_FARTHEST = 4 * VARIANCE + 1  # px along an axis
_DENSITY_ERROR = 1e-2  # relative: a fifth of the time of exact sums


def feature_sets(image):
    """What pixels are described by: Lab color, and how much its surroundings vary.

    As the released code, but for the square that the variation is taken from, a disk of radius 1 there.

    Args:
        image: uint8 or float in [0, 1], (H, W, 3), sRGB.

    Returns:
        ``{"color": float64 (H, W, 3), "variation": (H, W, 3)}``, decorrelated; all values of a set lie in [0, 1].
    """
    lab = rgb2lab(image)
    channels = _decorrelated(np.asarray(image, np.float64))
    mean, square = (ndimage.uniform_filter(part, (3, 3, 1)) for part in (channels, channels**2))
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return {"color": _decorrelated(lab), "variation": _decorrelated(np.sqrt(deviation))}


def _decorrelated(features):
    flat = PCA().fit_transform(features.reshape(-1, features.shape[-1]))
    spread = np.ptp(flat)
    return ((flat - flat.min()) / (spread if spread > 0 else 1.0)).reshape(features.shape)


def sample_pairs(shape, count, rng):
    """Draw pairs of pixels that are near each other.

    The middle is uniform. Each pixel lies at ``r`` from it, on opposite sides: a Gaussian offset of variance
    :data:`VARIANCE` with a unit vector along it added, at most 2 px along each axis. Pairs that leave the image, and
    pairs of a pixel with itself, are dropped: there are fewer than ``count``.

    Args:
        shape: (H, W).
        rng: ``numpy.random.Generator``.

    Returns:
        Numbers of the pixels, row by row, int64 (n, 2).
    """
    middle = np.stack([rng.integers(0, size, count) for size in shape], axis=-1)
    offset = rng.normal(size=(count, 2)) * np.sqrt(VARIANCE)
    offset += offset / np.linalg.norm(offset, axis=1, keepdims=True)
    offset = np.clip(offset, -_FARTHEST, _FARTHEST)
    ends = np.rint(np.stack([middle + offset, middle - offset])).astype(np.int64)
    inside = ((ends >= 0) & (ends < shape)).all(axis=(0, 2)) & (ends[0] != ends[1]).any(axis=-1)
    return np.ravel_multi_index(tuple(np.moveaxis(ends[:, inside], -1, 0)), shape).T


class PairDensity:
    """Kernel density of pairs (A, B) of features, the same for both orders, and its margins.

    Kernels are Epanechnikov's, of one width for all features (the code has a width for each). The width is the one of
    ``bandwidths`` that gives other pairs the highest likelihood, mixed with a uniform density: no pair is impossible.

    Args:
        pairs: features of pairs, float (n, 2, k), in [0, 1].
        others: of pairs that are left out of the kernels, (m, 2, k).
    """

    def __init__(self, pairs, others, bandwidths=BANDWIDTHS):
        found = {width: _kernels(pairs.reshape(len(pairs), -1), width) for width in bandwidths}
        self.bandwidth = max(found, key=lambda width: np.log(_joint(found[width], others) + 1).mean())
        self._pairs = found[self.bandwidth]
        single = pairs[::4].reshape(-1, pairs.shape[-1])  # margins have half the dimensions: fewer kernels do
        self._single = _kernels(single, self.bandwidth)

    def joint(self, pairs):
        """P(A, B) of pairs (n, 2, k): float64 (n,)."""
        return _joint(self._pairs, pairs)

    def margin(self, features):
        """P(A) of features (n, k): float64 (n,)."""
        return np.exp(self._single.score_samples(features))


def _kernels(points, width):
    return KernelDensity(bandwidth=width, kernel="epanechnikov", rtol=_DENSITY_ERROR).fit(points)


def _joint(kernels, pairs):
    both = (kernels.score_samples(part.reshape(len(part), -1)) for part in (pairs, pairs[:, ::-1]))
    return sum(map(np.exp, both)) / 2


class Affinity:
    """``exp(PMI)`` of any pairs of pixels of one image: a density for each set of features, a forest that repeats it.

    Args:
        image: see :func:`feature_sets`.
        kernels: pairs that the density is made of (code: 10,000).
        regressed: pairs that the forest learns from (code: 10,000).
        trees: of the forest (code: 4, 32 in its accurate variant).
        rho, reg: see :func:`tfssl.ops.pmi.pmi`.
        seed: of pairs and forests.
    """

    def __init__(self, image, *, kernels=10_000, regressed=10_000, trees=4, rho=RHO, reg=REG, seed=0):
        rng = np.random.default_rng(seed)
        self.sets = {name: maps.reshape(-1, maps.shape[-1]) for name, maps in feature_sets(image).items()}
        self.forests, self.bandwidths, shape = {}, {}, image.shape[:2]
        for name, features in self.sets.items():
            pairs, others, learned = (
                features[sample_pairs(shape, count, rng)] for count in (kernels, VALIDATION_PAIRS, regressed)
            )
            density = PairDensity(pairs, others)
            margins = (density.margin(learned[:, side]) for side in (0, 1))
            values = pmi(density.joint(learned), *margins, rho=rho, reg=reg)
            forest = RandomForestRegressor(trees, min_samples_leaf=2, random_state=seed)
            self.forests[name] = forest.fit(_unordered(learned), values)
            self.bandwidths[name] = density.bandwidth

    def __call__(self, first, second):
        """Affinity of pixels, by number, int (n,) each: float64 (n,), above 0, of all sets multiplied."""
        found = np.zeros(len(first))
        for name, features in self.sets.items():
            pairs = np.stack([features[first], features[second]], axis=1)
            found += self.forests[name].predict(_unordered(pairs).astype(np.float32))
        return np.exp(found)


def _unordered(pairs):
    """Pairs (n, 2, k) as (n, 2 k) in which their order is lost: the forest is symmetric, and has half to learn."""
    swap = pairs[:, :1, :1] > pairs[:, 1:, :1]
    return np.where(swap, pairs[:, ::-1], pairs).reshape(len(pairs), -1)
