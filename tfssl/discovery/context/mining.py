"""Object discovery by context, from images to ranked clusters."""

import contextlib
import dataclasses

import numpy as np

from tfssl.data.images import image_source
from tfssl.discovery.clusters import Cluster, Member as Place
from tfssl.discovery.context.neighbors import find_neighbors, learn_whitening, sample_seeds
from tfssl.discovery.context.pyramid import pyramid, working_size
from tfssl.discovery.context.ranking import deduplicate, greedy_order, patch_mask, thing_mask
from tfssl.discovery.context.stuff import learn_stuff
from tfssl.discovery.context.thing import LOCATION
from tfssl.discovery.context.verify import Verification
from tfssl.errors import ConfigError, SourceError
from tfssl.ops.arguments import check_integers


@dataclasses.dataclass(frozen=True)
class ContextMining:
    """How much to search; the defaults take minutes on a processor."""

    seeds: int = 200  # random patches to start clusters from (paper: one or more of each image)
    neighbors: int = 20  # images in each cluster (official code: 200 candidates)
    predictors: int = 5  # images that predict the surroundings of a patch (paper: 20)
    components: int = 64  # of each mixture of the stuff model (paper: 5000)
    levels: int = 3  # of the pyramid in an octave (paper: 8)
    rounds: tuple[int, ...] = (1, 2, 4)  # patches to verify in each round, which halves the clusters (paper: 1 to 16)
    clusters: int = 50  # fewest that a round keeps (paper: 1000)
    set_size: int = 5  # members that count for coverage and purity, those of the highest score
    seed: int = 0  # of what is drawn
    location: tuple[float, float] = LOCATION  # variance of corresponding cells, see its own text

    def __post_init__(self):
        least = {
            "seeds": 1,
            "neighbors": 3,
            "predictors": 1,
            "components": 1,
            "levels": 1,
            "clusters": 1,
            "set_size": 2,
        }
        for name, bound in least.items():
            check_integers(bound, **{name: getattr(self, name)})
        if not self.rounds:
            raise ConfigError("`rounds` must hold a number of patches. Received: rounds=()")
        for count in self.rounds:
            check_integers(1, rounds=count)
        for name, most, bound in (
            ("predictors", self.neighbors - 1, "`neighbors` - 1"),
            ("set_size", min(self.neighbors, sum(self.rounds)), "the smaller of `neighbors` and the sum of `rounds`"),
        ):
            if getattr(self, name) > most:
                raise ConfigError(f"`{name}` must be at most {most} ({bound}). Received: {name}={getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class Member(Place):
    """A patch whose surroundings were predicted, or one that only looks alike."""

    match: float  # cosine of whitened gradient histograms with the seed, in [-1, 1]
    score: float | None = None  # log likelihood ratio of thing to stuff, clipped and summed; None if not verified
    thing: np.ndarray | None = dataclasses.field(default=None, compare=False)  # its mask, uint8 (h, w)

    @property
    def mask(self):
        return self.thing

    @property
    def measures(self):
        known = {} if self.score is None else {"score": round(self.score, 2)}
        return {**known, "match": round(self.match, 4)}


@dataclasses.dataclass(frozen=True)
class ContextMined:
    """What :func:`mine_context` found."""

    clusters: list[Cluster]  # ranked by the sum of positive scores, repetitions left out
    neighbors: list[Cluster]  # the same number, by their gradient histograms alone, for comparison
    unverified: list[Cluster]  # the seeds of ``clusters`` with their nearest neighbors, for comparison
    images: tuple[int, ...]  # numbers in the source of those that were searched
    seeds: int  # how many patches were drawn
    verified: int  # how many patches were verified
    repeated: int  # clusters left out because better ones show the same
    skipped: dict[str, str]  # {name: reason} of the images that do not serve


def mine_context(data, mining=None, *, limit=None, progress=None):
    """Discover things in images by predictable context.

    Args:
        data: images, see :func:`tfssl.data.images.image_source`; the first ``limit``, None for all. Of larger ones a
            version of 256 pixels on the longer side is searched.
        mining: :class:`ContextMining`; None is its defaults.
        progress: called with a unit in the plural, gives a context manager whose value is called with (done, total),
            such as the class ``tfssl.training.progress.CountProgress``.

    Returns:
        :class:`ContextMined`. Takes about 1 MB of memory for each image.

    Raises:
        SourceError: if fewer images serve than a cluster has.
    """
    mining, progress = mining or ContextMining(), progress or (lambda unit: contextlib.nullcontext())
    source = image_source(data)
    rng = np.random.default_rng(mining.seed)
    images, sizes, pyramids, skipped = _read(source, mining, limit, progress("images read"))
    whitening = learn_whitening(pyramids, rng)
    seeds = sample_seeds(pyramids, mining.seeds, mining.levels, rng)
    if not seeds:
        raise SourceError("`data` has no patch with enough gradient to start a cluster from; give images with more")
    with progress("images searched") as report:
        patches, cosines = find_neighbors(pyramids, seeds, whitening, mining.neighbors, progress=report)
    with progress("texture models") as report:
        stuff = learn_stuff(pyramids, mining.components, mining.seed, progress=report)
    candidates = [
        Verification(pyramids, found, values, whitening, mining.predictors, mining.location)
        for found, values in zip(patches, cosines, strict=True)
    ]
    chosen = _verify(candidates, stuff, mining, progress("patches verified"))
    ranked = sorted(chosen, key=lambda number: -_worth(candidates[number]))
    described = _Described(images, sizes, pyramids, patches, cosines)
    found = [described.verified(number, candidates[number]) for number in ranked]
    kept = deduplicate([described.masks(number, candidates[number]) for number in ranked])
    plain = sorted(range(len(seeds)), key=lambda number: -cosines[number][: mining.set_size].sum())
    alone = deduplicate([described.masks(number) for number in plain])[: len(kept)]
    return ContextMined(
        clusters=[found[place] for place in kept],
        neighbors=[described.unverified(plain[place]) for place in alone],
        unverified=[described.unverified(ranked[place]) for place in kept],
        images=tuple(images),
        seeds=len(seeds),
        verified=sum(len(candidate.contexts) for candidate in candidates),
        repeated=len(ranked) - len(kept),
        skipped=skipped,
    )


def _read(source, mining, limit, progress):
    images, sizes, pyramids, skipped = [], [], [], {}
    total = len(source) if limit is None else min(limit, len(source))
    with progress as report:
        for number in range(total):
            try:
                image = source.example(number)["image"]
                levels = pyramid(image.resize(working_size(image.size)), mining.levels)
                if not any(level.textured.any() for level in levels):
                    raise ValueError("no structure: all gradients are next to zero")
            except (ValueError, OSError) as error:
                skipped[source.name(number)] = str(error)
            else:
                images.append(number)
                sizes.append(image.size)
                pyramids.append(levels)
            if report is not None:
                report(number + 1, total)
    if len(images) < mining.neighbors:
        few = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:2])
        raise SourceError(
            f"`data` has {len(images)} images that serve{f' ({few})' if few else ''}, fewer than the "
            f"{mining.neighbors} of a cluster (`neighbors`); give more images or fewer `neighbors`"
        )
    return images, sizes, pyramids, skipped


def _verify(candidates, stuff, mining, progress):
    """Verify the members of all clusters, then more of the better half, and so on; the numbers of those left."""
    left, sizes = list(range(len(candidates))), []
    for _ in mining.rounds:
        sizes.append(len(left) if not sizes else min(sizes[-1], max(mining.clusters, sizes[-1] // 2)))
    done, total = 0, sum(size * count for size, count in zip(sizes, mining.rounds, strict=True))
    with progress as report:
        for size, count in zip(sizes, mining.rounds, strict=True):
            if size < len(left):
                scores = [{candidates[n].patches[m].image: s for m, s in candidates[n].scores.items()} for n in left]
                left = sorted(left[place] for place in greedy_order(scores, size)[0])
            for number in left:
                for _ in range(count):
                    candidates[number].verify_next(stuff)
                    done += 1
                    if report is not None:
                        report(done, total)
    return left


def _worth(candidate):
    return sum(max(0.0, score) for score in candidate.scores.values())


class _Described:
    """Clusters in terms of the source's images."""

    def __init__(self, images, sizes, pyramids, patches, cosines):
        self._images, self._sizes, self._pyramids = images, sizes, pyramids
        self._patches, self._cosines = patches, cosines

    def verified(self, number, candidate):
        """The members that were verified, best first, with their masks."""
        scores = candidate.scores
        order = sorted(scores, key=lambda place: -scores[place])
        members = [self._member(number, place, candidate.contexts[place]) for place in order]
        return Cluster(self._member(number, 0), tuple(members), _worth(candidate))

    def unverified(self, number):
        """The nearest neighbors, best first."""
        members = [self._member(number, place) for place in range(len(self._patches[number]))]
        return Cluster(members[0], tuple(members), float(self._cosines[number].sum()))

    def masks(self, number, candidate=None):
        """``{image: mask}`` of the members, at the finest level of each image."""
        found = {}
        for place, patch in enumerate(self._patches[number]):
            context = None if candidate is None else candidate.contexts.get(place)
            if candidate is None or context is not None:
                found[patch.image] = self._mask(patch, context)[::4, ::4] / 255.0
        return found

    def _member(self, number, place, context=None):
        patch = self._patches[number][place]
        level, size = self._pyramids[patch.image][patch.level], self._sizes[patch.image]
        zoom = size[0] / working_size(size)[0]
        box = tuple(edge * zoom for edge in level.box(patch.y, patch.x))
        score, mask = (None, None) if context is None else (context.score, self._mask(patch, context))
        return Member(self._images[patch.image], box, float(self._cosines[number][place]), score, mask)

    def _mask(self, patch, context):
        level = self._pyramids[patch.image][patch.level]
        cells = patch_mask(level, patch) if context is None else thing_mask(context, patch)
        return level.spread(cells, working_size(self._sizes[patch.image]))
