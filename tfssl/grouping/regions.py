"""Regions from eigenvectors and boundaries: superpixels, merged pair by pair; groups and proposals of that tree."""

import dataclasses

import numpy as np
from scipy import ndimage, sparse
from skimage.feature import peak_local_max
from skimage.segmentation import relabel_sequential, watershed
from sklearn.cluster import AgglomerativeClustering

SUPERPIXELS = 300
"""About as many are there at most before they are merged."""

_LEAST_AREA, _MOST_AREA = 0.01, 0.7  # of the image, that an object proposal covers
_SAME = 0.75  # overlap from which on two proposals are one


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A region that may be an object.

    Args:
        mask: bool (H, W).
        score: by how much the boundary around it is stronger than those within, in units of the image's mean, times
            the root of the part of the image that it covers.
    """

    mask: np.ndarray
    score: float

    @property
    def box(self):
        """Left, top, right, bottom in pixels, the last two exclusive."""
        ((rows, columns),) = ndimage.find_objects(self.mask.astype(np.uint8))
        return columns.start, rows.start, columns.stop, rows.stop


class Regions:
    """Superpixels of an image, and the tree of their merging.

    Superpixels are basins of the boundary map. Of two neighbors those are merged first whose places in the space of
    eigenvectors, each divided by the root of its eigenvalue, differ least (Ward's linkage along shared borders).

    Args:
        strength: boundary map, float (H, W).
        values, vectors: of :func:`tfssl.grouping.spectral.eigenvectors`, of as many pixels.
        most: see :data:`SUPERPIXELS`.
    """

    def __init__(self, strength, values, vectors, most=SUPERPIXELS):
        smooth = ndimage.gaussian_filter(strength, 1.0)
        apart = max(1, round(np.sqrt(strength.size / most) / 2))
        markers = np.zeros(strength.shape, np.int32)
        basins = peak_local_max(-smooth, min_distance=apart, exclude_border=False)
        markers[tuple(basins.T)] = np.arange(1, len(basins) + 1)
        self.superpixels = watershed(smooth, markers) - 1
        flat, self.count, self.mean = self.superpixels.ravel(), len(basins), strength.mean()
        self.areas = np.bincount(flat, minlength=self.count)
        space = (vectors / np.sqrt(np.maximum(values, 1e-9))).T
        self._places = np.stack([np.bincount(flat, axis, self.count) for axis in space], axis=-1) / self.areas[:, None]
        self.borders, self.strengths, self.lengths = _borders(self.superpixels, strength)
        self.merges = self._merged() if self.count > 1 else np.zeros((0, 2), np.int64)

    def _merged(self):
        graph = sparse.coo_matrix((np.ones(len(self.lengths)), self.borders), (self.count,) * 2)
        tree = AgglomerativeClustering(1, connectivity=graph + graph.T, linkage="ward", compute_full_tree=True)
        return tree.fit(self._places).children_

    def groups(self, count):
        """The image in ``count`` connected groups, or as many as there are superpixels: int (H, W) from 0 on."""
        parent = np.arange(self.count + len(self.merges))
        for number, pair in enumerate(self.merges[: max(0, self.count - count)], start=self.count):
            parent[list(pair)] = number
        for number in reversed(range(len(parent))):  # from the root down: its parent has found its own already
            parent[number] = parent[parent[number]]
        return relabel_sequential(parent[self.superpixels] + 1)[0] - 1

    def proposals(self, count=20):
        """The nodes of the tree that look most like objects, the best first: list of :class:`Proposal`.

        Ranked by the mean boundary strength along their outline, less that of the borders that were merged in them,
        times the root of their area: otherwise scraps come first. Where the image ends the outline has no strength. Of
        nodes that overlap by more than 0.75 the best is kept. (This ranking is this project's choice.)
        """
        members = list(np.eye(self.count, dtype=bool))
        for first, second in self.merges:
            members.append(members[first] | members[second])
        ends = [self.superpixels[[0, -1]].ravel(), self.superpixels[:, [0, -1]].ravel()]
        at_end = np.bincount(np.concatenate(ends), minlength=self.count)
        found = []
        for chosen in members:
            area = self.areas[chosen].sum() / self.areas.sum()
            inside = chosen[self.borders].sum(axis=0)
            outline, within = self._strength(inside == 1, at_end[chosen].sum()), self._strength(inside == 2)
            if _LEAST_AREA <= area <= _MOST_AREA:
                found.append(((outline - within) * np.sqrt(area), chosen))
        kept = []
        for score, chosen in sorted(found, key=lambda one: -one[0]):
            if all(self._overlap(chosen, other) < _SAME for _, other in kept):
                kept.append((score, chosen))
            if len(kept) == count:
                break
        return [Proposal(chosen[self.superpixels], float(score / max(self.mean, 1e-12))) for score, chosen in kept]

    def _strength(self, borders, more=0):
        return self.strengths[borders].sum() / max(self.lengths[borders].sum() + more, 1)

    def _overlap(self, first, second):
        return self.areas[first & second].sum() / self.areas[first | second].sum()


def _borders(labels, strength):
    """Pairs of neighboring labels int (2, e); the sum of strengths along the border of each; its length in pixels."""
    pairs, weights = [], []
    for axis in (0, 1):
        sides = range(labels.shape[axis] - 1), range(1, labels.shape[axis])
        before, after = (np.take(labels, side, axis) for side in sides)
        differ = before != after
        pairs.append(np.sort(np.stack([before[differ], after[differ]]), axis=0))
        weights.append(np.maximum(*(np.take(strength, side, axis) for side in sides))[differ])
    borders, which = np.unique(np.concatenate(pairs, axis=1), axis=1, return_inverse=True)
    which = which.ravel()
    return borders, np.bincount(which, np.concatenate(weights)), np.bincount(which)
