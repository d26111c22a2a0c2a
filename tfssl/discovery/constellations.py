"""Objects found without labels: four patches that occur together, in the same arrangement, in many images.

Reference:
    Doersch, Gupta and Efros: Unsupervised Visual Representation Learning by Context Prediction. ICCV 2015,
    section 4.4 and its footnote on geometric verification.
"""

import dataclasses

import numpy as np

from tfssl.errors import ConfigError

MATCH_BYTES = 256 << 20
"""About how much memory the search takes on top of the embeddings (256 MiB)."""

MAX_ERROR = 1.0
"""A match is verified if its e lies below this (paper)."""

SIDE_RANGE = (2 / 3, 4 / 3)
"""Smallest and largest side of the fitted square, as multiples of the mean patch side (paper)."""

_CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """The K images that match each of N constellations most strongly, strongest first."""

    images: np.ndarray  # their numbers in :attr:`PatchIndex.images`, int (N, K)
    patches: np.ndarray  # rows of the best patches, in the order of the constellation, int (N, K, 4)
    strengths: np.ndarray  # sum of the four cosines, in [-4, 4], float32 (N, K)
    errors: np.ndarray  # e of :func:`fit_square`, float (N, K)
    boxes: np.ndarray  # left, top, right, bottom of what the patches cover, in pixels of the image, float32 (N, K, 4)

    @property
    def verified(self):
        """Which matches keep the arrangement of the constellation, bool (N, K)."""
        return self.errors < MAX_ERROR


def sample_constellations(index, count, rng):
    """Draw different squares of four touching patches: each image is as likely as any other, then each square in it.

    Returns:
        Rows of the index, int array (N, 4); all that there are if ``count`` is more.
    """
    if count < 1:
        raise ConfigError(f"`constellations` must be at least 1. Received: constellations={count}")
    if count >= len(index.squares):
        return index.squares
    image = index.image_of(index.squares[:, 0])
    weights = 1.0 / np.bincount(image)[image]
    return index.squares[rng.choice(len(index.squares), count, replace=False, p=weights / weights.sum())]


def find_matches(index, constellations, top=100, progress=None):
    """Search all images for the four patches of each constellation, rows of the index: int array (N, 4).

    In each image every patch of the constellation takes the patch with the highest cosine, wherever it lies; the
    ``top`` images with the highest sums of four are kept (paper: 100; the constellation's own image among them), then
    :func:`fit_square` checks the arrangement. ``progress`` is called with (constellations done, N).

    Returns:
        :class:`Matches`. Takes about :data:`MATCH_BYTES` of memory, and 48 bytes for each match that is returned.
    """
    if top < 2:
        raise ConfigError(f"`top` must be at least 2 images. Received: top={top}")
    top = min(top, len(index.images))
    # A constellation takes sums, patches and order of all images; the check of the best; the queries; their cosines
    # with one image.
    patches, dimensions = int(np.diff(index.starts).max()), index.embeddings.shape[1]
    block = max(1, MATCH_BYTES // (32 * len(index.images) + 512 * top + 24 * dimensions + 16 * patches))
    found = []
    for start in range(0, len(constellations), block):
        found.append(_verify(index, *_search(index, constellations[start : start + block], top)))
        if progress is not None:
            progress(min(start + block, len(constellations)), len(constellations))
    return Matches(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _search(index, constellations, top):
    """Numbers, best patches and sums of the ``top`` images of a block of constellations."""
    count, images = len(constellations), len(index.images)
    queries = index.embeddings[constellations.reshape(-1)].astype(np.float32)
    patches = np.empty((count, images, 4), np.int32)
    strengths = np.empty((count, images), np.float32)
    for number, (first, last) in enumerate(zip(index.starts[:-1], index.starts[1:], strict=True)):
        cosines = queries @ index.embeddings[first:last].astype(np.float32).T
        best = cosines.argmax(axis=1)
        patches[:, number] = (first + best).reshape(count, 4)
        strengths[:, number] = np.take_along_axis(cosines, best[:, None], axis=1).reshape(count, 4).sum(axis=1)
    order = np.argsort(-strengths, axis=1, kind="stable")[:, :top]  # equal ones in the order of the images
    return order, np.take_along_axis(patches, order[..., None], axis=1), np.take_along_axis(strengths, order, axis=1)


def _verify(index, images, patches, strengths):
    center, side, errors = fit_square(index.centers[patches], index.sides[patches])
    half = (side + index.sides[patches].mean(axis=-1))[..., None] / 2  # S joins centers; a patch reaches half beyond
    boxes = np.concatenate([center - half, center + half], axis=-1).astype(np.float32)
    return images.astype(np.int32), patches, strengths, errors, boxes


def fit_square(centers, sides):
    """Least-squares square through four patch centers: axis aligned, its size held to a range.

    ``S = t + a * c`` with the corners ``c = (+-1/2, +-1/2)``: t is the mean of the centers, ``a = sum(p . c) / 2``
    clipped to [2/3, 4/3] of the mean patch size, and ``e = sum |p - S|^2 / a^2`` (verified if e < 1).

    Args:
        centers: (x, y) of the upper left, upper right, lower left and lower right patch, float array (..., 4, 2).
        sides: sizes of the patches in the same unit, float array (..., 4).

    Returns:
        ``(t, a, e)``, float64 arrays (..., 2), (...) and (...).
    """
    centers = np.asarray(centers, np.float64)
    mean_side = np.mean(sides, axis=-1, dtype=np.float64)
    center = centers.mean(axis=-2)
    fitted = np.sum(centers * _CORNERS, axis=(-2, -1)) / np.sum(np.square(_CORNERS))
    # The squared distance is a parabola of the side, so clipping its minimum gives the minimum over the range.
    side = np.clip(fitted, SIDE_RANGE[0] * mean_side, SIDE_RANGE[1] * mean_side)
    corners = center[..., None, :] + side[..., None, None] * _CORNERS
    return center, side, np.sum(np.square(centers - corners), axis=(-2, -1)) / np.square(side)


def rank_constellations(matches):
    """Order of the constellations by the number of verified images; equal ones by the strength of these.

    Returns:
        ``(order, scores)``: numbers of the constellations, best first, and the number of verified images of each.
    """
    scores = matches.verified.sum(axis=1)
    strength = np.where(matches.verified, matches.strengths, 0).sum(axis=1, dtype=np.float64)
    return np.lexsort((-strength, -scores)), scores
