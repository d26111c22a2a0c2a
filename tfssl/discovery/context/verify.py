"""Context verification: how much better than texture do the other members of a cluster predict what surrounds one?"""

import dataclasses

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import ConvexHull
from scipy.special import log_softmax, logsumexp

from tfssl.discovery.context import evidence, thing
from tfssl.discovery.context.neighbors import patch_feature
from tfssl.discovery.context.pyramid import SIDE

_GROWS_FROM, _EXPANDED = 0.05, 1.1  # mimicry score of the cells that growth goes on around, and by how many cells
_DOT = 0.01  # a cell counts as a square of this half width, so that a hull of cells in a row has an area


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """What was predicted around a patch: maps over all cells of its level, (H, W)."""

    thing: np.ndarray  # log p^T, 0 where nothing was predicted
    stuff: np.ndarray  # log p^S, likewise
    evidence: np.ndarray  # c, in [0, 1]
    transferred: np.ndarray  # beta where there is enough gradient, 0 elsewhere; 1 on the patch
    mimicry: np.ndarray  # beta * c where there is enough gradient, 0 on the patch and where nothing was predicted
    predicted: np.ndarray  # which cells were, bool
    usage: np.ndarray  # of each predictor: sum of omega_i * c over the cells that count, (P,)

    @property
    def score(self):
        return evidence.patch_score(self.thing, self.stuff, self.mimicry)

    @property
    def thing_probability(self):
        """``p^T / (p^T + p^S)``, 0.5 where nothing was predicted."""
        return 1 / (1 + np.exp(np.clip(self.stuff - self.thing, -80, 80)))


def predict_context(pyramids, patch, others, things, stuff, location=thing.LOCATION):
    """Predict the surroundings of a patch, ring by ring, from other patches and from texture.

    Args:
        pyramids: for each image its levels.
        patch: the :class:`~tfssl.discovery.context.pyramid.Patch` asked about.
        others: P patches in other images.
        things: for each of them its ``thing_probability`` if it was verified before, or None.
        stuff: :class:`~tfssl.discovery.context.stuff.StuffModel`.
        location: variance of where a cell lies in another image, and its growth with the distance from the patch.

    Returns:
        :class:`Context`.
    """
    level = pyramids[patch.image][patch.level]
    low = [max(0, at - thing.REACH) for at in (patch.y, patch.x)]
    high = [min(n, at + SIDE + thing.REACH) for at, n in zip((patch.y, patch.x), level.textured.shape, strict=True)]
    part = tuple(slice(*ends) for ends in zip(low, high, strict=True))
    first = (patch.y - low[0], patch.x - low[1])
    growth = _Growth(level.hog[part], level.textured[part], first, len(others), location)
    margin = thing.window_radius(growth.variance.max())
    places = [(other.y, other.x) for other in others]
    levels = [pyramids[other.image][other.level] for other in others]
    predictors = thing.align(levels, places, things, first, level.hog[part].shape[:2], margin)
    while growth.step(predictors, stuff):
        pass
    maps = [np.zeros(level.textured.shape, np.float32) for _ in range(5)]
    for whole, found in zip(maps, growth.maps(), strict=True):
        whole[part] = found
    predicted = np.zeros(level.textured.shape, bool)
    predicted[part] = growth.known & ~growth.seed
    return Context(*maps, predicted, growth.usage())


class _Growth:
    """The condition region of a query, which grows by the cells that were predicted."""

    def __init__(self, hog, textured, first, predictors, location):
        shape = hog.shape[:2]
        self.hog, self.textured = hog, textured
        self.seed = np.zeros(shape, bool)
        self.seed[first[0] : first[0] + SIDE, first[1] : first[1] + SIDE] = True
        self.known = self.seed.copy()
        self.distance = thing.distances(*shape, first)
        self.variance = location[0] + location[1] * self.distance
        self.thing, self.stuff = np.zeros((2, *shape))
        self.beta = self.seed.astype(float)  # the official code starts from a score of 1 on the patch
        self.mimicry = self.beta.copy()
        log_trust = np.log([1 / predictors, max(1 - 1 / predictors, 1e-12)])
        self.log_for, self.log_against = (np.full((*shape, predictors), value) for value in log_trust)
        self._blur()

    def _blur(self):
        """c and omega from the evidence so far."""
        ratio = self.thing - self.stuff
        self.c = evidence.blurred_evidence(-np.logaddexp(0, -ratio), -np.logaddexp(0, ratio), self.known)
        trust = evidence.blurred_evidence(self.log_for, self.log_against, self.known)
        self.omega = evidence.cap(np.maximum(trust, 1e-12), evidence.MAX_TRUST)

    def step(self, predictors, stuff):
        """Predict one ring of cells; False if there is none."""
        cells = np.argwhere(candidates(self.known, self.mimicry) & (self.distance <= thing.REACH))
        if not cells.size:
            return False
        at = tuple(cells.T)
        seen = self.hog[at]
        mean, covariance = stuff.predict(self.hog, self.known, cells)
        texture = evidence.log_likelihood((seen - mean)[:, None], covariance)[:, 0]
        likelihood, experts, beta = thing.predict(predictors, cells, self.variance[at], self.omega[at], seen)
        self.stuff[at], self.thing[at] = texture, np.where(np.isnan(likelihood), texture, likelihood)
        if experts.shape[1] > 1:
            logs = log_softmax(experts, axis=1)
            without = [logsumexp(np.delete(logs, i, axis=1), axis=1) for i in range(logs.shape[1])]
            self.log_for[at], self.log_against[at] = logs, np.stack(without, axis=1)
        self.beta[at] = beta * self.textured[at]
        self.mimicry[at] = self.beta[at] * self.c[at]
        self.known[at] = True
        self._blur()
        return True

    def maps(self):
        predicted = self.known & ~self.seed
        return self.thing, self.stuff, self.c, self.beta, self.mimicry * predicted

    def usage(self):
        counted = (self.mimicry > evidence.COUNTED) & ~self.seed
        return (self.omega * self.c[..., None])[counted].sum(axis=0)


def candidates(known, mimicry):
    """The cells to predict next, bool (H, W): 4-neighbors of the known ones inside a hull that growth is limited to.

    The hull is that of the known cells and of the hull of cells with a mimicry score above 0.05, grown by 1.1 cells.
    """
    ring = binary_dilation(known) & ~known
    cells = np.argwhere(ring)
    if not cells.size:
        return ring
    points = _dots(np.argwhere(known))
    promising = np.argwhere(mimicry > _GROWS_FROM)
    if promising.size:
        points = np.concatenate([points, _expanded(_dots(promising))])
    sides = ConvexHull(points).equations
    inside = (cells @ sides[:, :2].T + sides[:, 2] <= 1e-6).all(axis=1)
    ring[tuple(cells[~inside].T)] = False
    return ring


def _dots(cells):
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * _DOT
    return (cells[:, None] + corners).reshape(-1, 2)


def _expanded(points):
    """Corners of the convex hull of points, each moved outwards so that the sides move by 1.1 cells."""
    hull = ConvexHull(points)
    corners = points[hull.vertices]  # counterclockwise
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    before = np.roll(normals, 1, axis=0)
    bisector = normals + before
    return corners + _EXPANDED * bisector / np.maximum(1 + (normals * before).sum(axis=1, keepdims=True), 0.1)


class Verification:
    """The members of a cluster, verified one after the other, each by those that fit best so far."""

    def __init__(self, pyramids, patches, cosines, whitening, predictors, location=thing.LOCATION):
        self.patches, self.cosines = patches, cosines
        self.contexts = {}  # {position in patches: Context}, in the order of verification
        self._pyramids, self._predictors, self._location = pyramids, predictors, location
        self._features = whitening(np.stack([patch_feature(pyramids, patch) for patch in patches]))
        self._usage = np.zeros(len(patches))

    @property
    def scores(self):
        """``{position in patches: score}`` of those verified."""
        return {number: context.score for number, context in self.contexts.items()}

    def verify_next(self, stuff):
        """Verify one more member; False if none is left.

        The first is the best neighbor; then the one that was most useful as a predictor so far. Up to half of the
        predictors are verified members with positive scores, the others those most like the mean of these.
        """
        left = [number for number in range(len(self.patches)) if number not in self.contexts]
        if not left or len(self.patches) < 2:
            return False
        query = max(left, key=lambda number: (self._usage[number], -number))
        scores = self.scores
        good = [number for number in sorted(scores, key=lambda number: -scores[number]) if scores[number] > 0]
        likeness = self.cosines if len(good) < 2 else self._features @ self._features[good].mean(axis=0)
        chosen = good[: self._predictors // 2]
        fresh = sorted((number for number in left if number != query), key=lambda number: -likeness[number])
        chosen = [*chosen, *fresh[: self._predictors - len(chosen)]]
        if not chosen:
            return False
        things = [self.contexts[n].thing_probability if n in self.contexts else None for n in chosen]
        others = [self.patches[number] for number in chosen]
        context = predict_context(self._pyramids, self.patches[query], others, things, stuff, self._location)
        self.contexts[query] = context
        self._usage[chosen] += context.usage
        return True
