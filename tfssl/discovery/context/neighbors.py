"""Nearest neighbors of random patches in the space of whitened gradient histograms: the proposals for clusters."""

import dataclasses

import numpy as np
from scipy.linalg import eigh

from tfssl.discovery.context.pyramid import Patch
from tfssl.ops.boxes import iou

REGULARIZER = 0.01
"""Added to the covariance of unit vectors before it is inverted (official code)."""

MAX_OVERLAP = 0.6
"""Largest intersection over union of two seeds of one image (official code)."""

_SAMPLES = 20_000  # patches from which mean and covariance are learned
_LEAST = 0.05  # eigenvalues below this part of the regularizer change the whitening by less than 2.5 percent
_TRIALS = 50  # draws of a seed before its image counts as full


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """``W = (C + 0.01 I)^(-1/2)`` of patches of unit length; C by its leading directions, the others are left alike."""

    mean: np.ndarray  # float32 (D,)
    directions: np.ndarray  # leading eigenvectors of C, float32 (D, K)
    variances: np.ndarray  # their eigenvalues, float32 (K,)

    @classmethod
    def fit(cls, patches):
        """Learn mean and covariance of patches, float array (N, D)."""
        features = standardize(patches)
        mean = features.mean(axis=0)
        centered = features - mean
        covariance = centered.T @ centered / len(features)
        values, vectors = eigh(covariance, subset_by_value=(_LEAST * REGULARIZER, np.inf), overwrite_a=True)
        return cls(mean, np.ascontiguousarray(vectors), values)

    def __call__(self, patches):
        """Whitened patches of unit length, float32 (N, D); the product of two is their cosine."""
        return _unit(self._stretched(standardize(patches) - self.mean))

    def cosines(self, patches, templates):
        """Cosines of patches (N, D) with whitened ones (M, D), without whitening the former: float32 (N, M)."""
        centered = standardize(patches) - self.mean
        # |W x|^2 = x^T (C + 0.01 I)^-1 x, by the eigenvectors of C.
        known = np.square(centered @ self.directions) @ (self.variances / (self.variances + REGULARIZER))
        lengths = np.sqrt(np.maximum((np.square(centered).sum(axis=1) - known) / REGULARIZER, 1e-12))
        return centered @ self._stretched(templates).T / lengths[:, None]

    def _stretched(self, vectors):
        less = 1 - np.sqrt(REGULARIZER / (self.variances + REGULARIZER))
        return (vectors - (vectors @ self.directions * less) @ self.directions.T) / np.float32(np.sqrt(REGULARIZER))


def standardize(patches):
    """Patches without their mean, of unit length: float32 (N, D)."""
    patches = np.asarray(patches, np.float32)
    return _unit(patches - patches.mean(axis=1, keepdims=True))


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def learn_whitening(pyramids, rng):
    """:class:`Whitening` of random patches of a collection, as many of each image."""
    each, samples = -(-_SAMPLES // len(pyramids)), []
    for image, levels in enumerate(pyramids):
        counts = np.array([np.prod(level.positions) for level in levels])
        for place in rng.choice(counts.sum(), min(each, counts.sum()), replace=False):
            depth = int(np.searchsorted(counts.cumsum(), place, side="right"))
            samples.append(patch_feature(pyramids, _patch(pyramids, image, depth, place - counts[:depth].sum())))
    return Whitening.fit(np.stack(samples))


def sample_seeds(pyramids, count, levels, rng):
    """Random patches, about as many of each image, that overlap one another by at most 0.6.

    Levels half an octave apart take part, each as likely as it has area; within a level a patch is as likely as it
    has gradient energy. ``levels`` are those of an octave.

    Returns:
        A list of at most ``count`` :class:`~tfssl.discovery.context.pyramid.Patch`.
    """
    seeds, boxes = [], {number: [] for number in range(len(pyramids))}
    waiting = rng.permutation(len(pyramids)).tolist()
    while waiting and len(seeds) < count:
        kept = []
        for number in waiting:
            seed = _draw(pyramids[number], number, boxes[number], max(1, levels // 2), rng)
            if seed is not None and len(seeds) < count:
                seeds.append(seed)
                kept.append(number)
        waiting = kept
    return seeds


def _draw(levels, image, boxes, step, rng):
    chosen = range(0, len(levels), step)
    areas = np.array([np.prod(levels[number].scale) for number in chosen])
    for _ in range(_TRIALS):
        number = int(rng.choice(chosen, p=areas / areas.sum()))
        level = levels[number]
        sums = level.energy * level.textured
        for axis in (0, 1):
            sums = np.lib.stride_tricks.sliding_window_view(sums, 8, axis=axis).sum(axis=-1)
        if sums.sum() <= 0:
            continue
        place = int(rng.choice(sums.size, p=(sums / sums.sum()).ravel()))
        y, x = divmod(place, sums.shape[1])
        box = level.box(y, x)
        if not boxes or iou(np.array([box]), np.array(boxes)).max() <= MAX_OVERLAP:
            boxes.append(box)
            return Patch(image, number, y, x)
    return None


def find_neighbors(pyramids, seeds, whitening, count, progress=None):
    """The patch of each image that is most like each seed, and for each seed the ``count`` best of these.

    ``progress`` is called with (images done, images in all).

    Returns:
        ``(patches, scores)``: for each seed a list of its :class:`~tfssl.discovery.context.pyramid.Patch`, best first
        (the seed itself as a rule), and their cosines, float32 (seeds, count).
    """
    templates = whitening(np.stack([patch_feature(pyramids, seed) for seed in seeds]))
    scores = np.full((len(pyramids), len(seeds)), -np.inf, np.float32)
    places = np.zeros((len(pyramids), len(seeds), 2), np.int64)
    for number, levels in enumerate(pyramids):
        for depth, level in enumerate(levels):
            cosines = whitening.cosines(level.windows(), templates)
            best = cosines.argmax(axis=0)
            values = cosines[best, np.arange(len(seeds))]
            better = values > scores[number]
            scores[number][better] = values[better]
            places[number][better] = np.stack([np.full(len(seeds), depth), best], axis=-1)[better]
        if progress is not None:
            progress(number + 1, len(pyramids))
    order = np.argsort(-scores, axis=0, kind="stable")[:count].T
    patches = [[_patch(pyramids, int(image), *places[image, s]) for image in row] for s, row in enumerate(order)]
    return patches, np.take_along_axis(scores.T, order, axis=1)


def _patch(pyramids, image, level, place):
    y, x = divmod(int(place), pyramids[image][level].positions[1])
    return Patch(image, int(level), y, x)


def patch_feature(pyramids, patch):
    """The 1984 numbers of a patch."""
    hog = pyramids[patch.image][patch.level].hog
    return hog[patch.y : patch.y + 8, patch.x : patch.x + 8].reshape(-1)
