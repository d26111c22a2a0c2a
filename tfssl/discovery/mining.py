"""Object discovery from images to ranked clusters, for any embedding of patches."""

import contextlib
import dataclasses

import numpy as np

from tfssl.data.images import image_source
from tfssl.discovery import constellations as search
from tfssl.discovery.clusters import Cluster, Member as Place
from tfssl.discovery.patch_index import build_index
from tfssl.discovery.purity import select_sets
from tfssl.errors import ConfigError, SourceError


@dataclasses.dataclass(frozen=True)
class Mining:
    """How much to search."""

    constellations: int = 1000  # how many to draw (paper: 16,384)
    top: int = 100  # images in which each is looked for, those that match most strongly (paper: 100)
    set_size: int = 10  # images of a cluster that count for coverage and purity, and the fewest it needs (paper: 10)
    clusters: int = 1000  # most to keep (paper: 1000)
    seed: int = 0  # of the constellations drawn

    def __post_init__(self):
        if not 2 <= self.set_size <= self.top:
            raise ConfigError(f"`set_size` must lie in [2, {self.top}] (`top`). Received: set_size={self.set_size}")
        for name in ("constellations", "clusters"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be at least 1. Received: {name}={getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class Member(Place):
    """An image in which a constellation was found; the box is what its four patches cover.

    The members of a :class:`~tfssl.discovery.clusters.Cluster` are the images in which it was found in the same
    arrangement, strongest match first; their number is its score. Its seed is where the constellation was cut, with
    error 0 and strength 4; its own image is usually the first member.
    """

    error: float  # e of :func:`~tfssl.discovery.constellations.fit_square`, in [0, 1)
    strength: float  # sum of the four cosines, in [-4, 4]

    @property
    def measures(self):
        return {"e": round(self.error, 4), "match": round(self.strength, 4)}


@dataclasses.dataclass(frozen=True)
class Mined:
    """What :func:`mine` found."""

    clusters: list[Cluster]  # in the order of :func:`~tfssl.discovery.purity.select_sets`
    scores: np.ndarray  # verified images of every constellation drawn, highest first
    images: tuple[int, ...]  # numbers in the source of those that were searched
    patches: int  # how many were embedded
    dimensions: int  # of the embedding
    skipped: dict[str, str]  # {name: reason} of the images that do not serve


def mine(data, embed, grid, mining, *, limit=None, progress=None):
    """Discover clusters of images that show the same thing.

    Args:
        data, embed, grid, limit: see :func:`~tfssl.discovery.patch_index.build_index`.
        mining: a :class:`Mining`.
        progress: called with a unit in the plural, gives a context manager whose value is called with
            (done, total), such as the class ``tfssl.training.progress.CountProgress``.

    Returns:
        :class:`Mined`; no clusters if no constellation was verified in ``set_size`` images.

    Raises:
        SourceError: if fewer than ``set_size`` images serve.
    """
    source, progress = image_source(data), progress or (lambda unit: contextlib.nullcontext())

    def check(count, why=""):
        if count < mining.set_size:
            raise SourceError(
                f"`data` has {count} images that serve{why}, fewer than the {mining.set_size} of a cluster "
                "(`set_size`); give more or larger images"
            )

    check(len(source) if limit is None else min(limit, len(source)))
    with progress("images") as report:
        index = build_index(source, embed, grid, limit=limit, progress=report)
    few = "; ".join(f"{name}: {reason}" for name, reason in list(index.skipped.items())[:2])
    check(len(index.images), f" ({few})" if few else "")
    drawn = search.sample_constellations(index, mining.constellations, np.random.default_rng(mining.seed))
    with progress("constellations") as report:
        matches = search.find_matches(index, drawn, mining.top, progress=report)
    order, scores = search.rank_constellations(matches)
    ranked = [n for n in order.tolist() if scores[n] >= mining.set_size]
    sets = [matches.images[n][matches.verified[n]][: mining.set_size].tolist() for n in ranked]
    found = [_cluster(index, matches, drawn, ranked[number]) for number in select_sets(sets, mining.clusters)]
    return Mined(found, scores[order], index.images, *index.embeddings.shape, index.skipped)


def _cluster(index, matches, drawn, number):
    rows = drawn[number]
    center, side = index.centers[rows].mean(axis=0), index.sides[rows].mean()
    box = (*(center - side).tolist(), *(center + side).tolist())
    found = matches.verified[number]
    parts = (matches.images, matches.boxes, matches.errors, matches.strengths)
    members = [
        Member(index.images[image], tuple(square), error, strength)
        for image, square, error, strength in zip(*(part[number][found].tolist() for part in parts), strict=True)
    ]
    seed = Member(index.images[index.image_of(rows[0])], box, 0.0, 4.0)
    return Cluster(seed, tuple(members), len(members))
