"""Boundary maps against those that people drew: F-measure as of the Berkeley Segmentation Dataset.

Reference:
    D. Martin, C. Fowlkes, J. Malik: Learning to detect natural image boundaries using local brightness, color, and
    texture cues. PAMI 2004. P. Arbelaez, M. Maire, C. Fowlkes, J. Malik: Contour detection and hierarchical image
    segmentation. PAMI 2011.
"""

import dataclasses

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree
from skimage.morphology import thin

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_shapes

TOLERANCE = 0.0075
"""How far apart boundary pixels may lie that match, as a fraction of the image's diagonal (BSDS)."""

THRESHOLDS = np.linspace(0, 1, 26)[1:]


def matched(found, truth, distance):
    """Match boundary pixels one to one, as many as possible, at most ``distance`` pixels apart.

    Args:
        found, truth: bool (H, W).

    Returns:
        Which pixels of each have a partner, bool (H, W) twice.
    """
    check_shapes(found=(found, "H W"), truth=(truth, "H W"))
    ours, theirs = np.argwhere(found), np.argwhere(truth)
    results = np.zeros((2, *np.shape(found)), bool)
    if len(ours) and len(theirs):
        near = cKDTree(ours).sparse_distance_matrix(cKDTree(theirs), distance + 1e-9, output_type="ndarray")
        graph = sparse.coo_matrix((np.ones(len(near), bool), (near["i"], near["j"])), (len(ours), len(theirs))).tocsr()
        partner = maximum_bipartite_matching(graph, perm_type="column")
        for result, points in zip(results, (ours[partner >= 0], theirs[partner[partner >= 0]]), strict=True):
            result[tuple(points.T)] = True
    return results


@dataclasses.dataclass(frozen=True)
class BoundaryCounts:
    """Counts of one image, or of several added up, at each threshold.

    Args:
        found: boundary pixels of the map, and how many of them match anyone's, int (thresholds, 2).
        truth: boundary pixels of all annotators together, and how many of them are matched, int (thresholds, 2).
    """

    found: np.ndarray
    truth: np.ndarray

    def __add__(self, other):
        return BoundaryCounts(self.found + other.found, self.truth + other.truth)

    @property
    def precision(self):
        """Fraction of found pixels that match, float (thresholds,); 1 where nothing is found."""
        return np.where(self.found[:, 0] > 0, self.found[:, 1] / np.maximum(self.found[:, 0], 1), 1.0)

    @property
    def recall(self):
        """Fraction of the annotators' pixels that are matched, float (thresholds,)."""
        return self.truth[:, 1] / np.maximum(self.truth[:, 0], 1)

    @property
    def f(self):
        """Harmonic mean of precision and recall, float (thresholds,)."""
        total = self.precision + self.recall
        return np.where(total > 0, 2 * self.precision * self.recall / np.maximum(total, 1e-12), 0.0)


def count_boundaries(strength, truths, *, thresholds=THRESHOLDS, tolerance=TOLERANCE):
    """Compare a boundary map with those of several people.

    At each threshold the map is thinned to lines of one pixel and matched with every annotator's. A pixel is right if
    it matches anyone's; recall is of all their pixels.

    Args:
        strength: float (H, W) in [0, 1].
        truths: list of bool (H, W), one an annotator.
        thresholds: a pixel is a boundary from there on.
        tolerance: see :data:`TOLERANCE`.

    Raises:
        ConfigError: without a truth.
    """
    return count_lines((strength >= threshold for threshold in thresholds), truths, tolerance=tolerance)


def count_lines(maps, truths, *, tolerance=TOLERANCE):
    """:func:`count_boundaries` of maps that are lines already, bool (H, W), one a threshold; they are thinned."""
    if not len(truths):
        raise ConfigError("`truths` must hold the boundaries of one annotator or more. Received: none")
    distance = tolerance * np.hypot(*np.shape(truths[0]))
    found, truth = [], []
    for lines in maps:
        lines = thin(lines)
        pairs = [matched(lines, np.asarray(one, bool), distance) for one in truths]
        found.append([lines.sum(), np.logical_or.reduce([ours for ours, _ in pairs]).sum()])
        truth.append([sum(np.sum(one) for one in truths), sum(theirs.sum() for _, theirs in pairs)])
    return BoundaryCounts(np.array(found), np.array(truth))


def boundary_scores(counts):
    """Numbers of a set of images, from the counts of each.

    Returns:
        ``{"ods", "ods_precision", "ods_recall", "ods_threshold"}``: F at the one threshold that is best for all images,
        by its place in the list; ``"ois"``: F of the sums where each image has its own best threshold.
    """
    total = sum(counts[1:], counts[0])
    best = int(total.f.argmax())
    picks = [int(one.f.argmax()) for one in counts]
    own = [BoundaryCounts(one.found[[k]], one.truth[[k]]) for one, k in zip(counts, picks, strict=True)]
    return {
        "ods": float(total.f[best]),
        "ods_precision": float(total.precision[best]),
        "ods_recall": float(total.recall[best]),
        "ods_threshold": best,
        "ois": float(sum(own[1:], own[0]).f[0]),
    }
