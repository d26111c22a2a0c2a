"""Examples of ambient sound: crops of frames, and classes or codes of the textures of the sounds around them."""

import hashlib
import logging

import numpy as np

from tfssl.data.sounding import Part, texture, textures
from tfssl.errors import SourceError, counted
from tfssl.ops.sound_texture import GROUPS, STATISTICS, group_scaling

log = logging.getLogger("tfssl")

SILENCE = 0.1
"""Loudness below which a sound is silence: the dither of 16 bits has 0.12."""

_MANY = 20_000  # sounds from which on k-means looks at parts of them in turn
_STARTS = 10  # of k-means


def target(method, sound, known=True):
    """What the network has to tell of a sound: int32 (), or uint8 (bits,); if ``known``, as found by ``adapt``."""
    keys = method.statistics.get("keys")
    if known and keys is not None:
        key = _key(getattr(sound, "name", ""))
        place = int(np.searchsorted(keys, key))
        if place < len(keys) and keys[place] == key:
            return method.statistics["found"][place]
    return targets(method, audible(method, sound)[None])[0]


def audible(method, sound):
    """The texture of a sound, float32 (502,); ValueError where it is silent, or cannot be read."""
    found = texture(sound, method.cache)
    if found[-1] < SILENCE:
        raise ValueError(f"its sound is silent, the loudness is {found[-1]:.3f}, below {SILENCE}")
    return found


def targets(method, found):
    """Targets of textures (N, 502): int32 (N,), the nearest center of each, or uint8 (N, bits)."""
    vectors, statistics = _vectors(method, found), _statistics(method)
    if method.targets == "clusters":
        return _nearest(vectors, statistics["centers"])[0].astype(np.int32)
    return (vectors @ statistics["directions"].T > statistics["thresholds"]).astype(np.uint8)


def near(method, found):
    """Which textures (N, 502) are near enough to a center to train the network, bool (N,); all of codes."""
    if method.targets != "clusters":
        return np.ones(len(found), bool)
    statistics = _statistics(method)
    clusters, distances = _nearest(_vectors(method, found), statistics["centers"])
    return distances <= statistics["radii"][clusters]


def heard(method, row):
    """The standardized texture that a cluster stands for, or a bit looks for: float32 (502,), of the spectrum (32,)."""
    return _statistics(method)["centers" if method.targets == "clusters" else "directions"][row]


def statistics_of(method, source):
    """See :meth:`AmbientSound.adapt`."""
    source = getattr(source, "source", source)  # threads are enough: NumPy and FFmpeg let go of the interpreter lock
    found, faults = textures(source, method.cache)
    heard = np.flatnonzero(found[:, -1] >= SILENCE)
    silent = len(source) - len(faults) - len(heard)
    (log.warning if faults or silent else log.info)(
        "of the sounds of %s %d are silent and %d cannot be read",
        counted(len(source), source.noun),
        silent,
        len(faults),
    )
    if len(heard) < max(method.outputs, 2):
        first = next(iter(faults.values()), "the others are silent")
        name = "clusters" if method.targets == "clusters" else "bits"
        raise SourceError(
            f"`data`: {len(heard)} of {len(source)} sounds can be used, fewer than {name}: {method.outputs} ({first}); "
            f"give more, or lower {name}"
        )
    found = found[heard]
    mean, scale = group_scaling(found)
    statistics = {"mean": mean.astype(np.float32), "scale": scale.astype(np.float32)}
    vectors = _vectors(method.adapted(statistics), found)
    statistics |= _clusters(method, vectors) if method.targets == "clusters" else _codes(method, vectors)
    known = method.adapted(statistics)
    keys = np.array([_key(source.name(index)) for index in heard.tolist()], np.uint64)
    order = np.argsort(keys)
    return statistics | {
        "keys": keys[order],
        "found": targets(known, found)[order],
        "near": near(known, found)[order],
    }


def without_far(method, source):
    """A source without the frames that ``adapt`` found too far from the centers; what it does not know stays."""
    statistics = method.statistics
    if "near" not in statistics or statistics["near"].all():
        return source
    far, whole = set(statistics["keys"][~statistics["near"]].tolist()), getattr(source, "source", source)
    kept = [index for index in range(len(whole)) if _key(whole.name(index)) not in far]
    part = Part(whole, np.array(kept))
    return part if whole is source else source.of(part)


def to_inputs(crops):
    """Crops as float32 (B, s, s, 3) in [0, 1]."""
    import tensorflow as tf

    return tf.cast(crops, tf.float32) / 255.0


def _clusters(method, vectors):
    from sklearn.cluster import KMeans, MiniBatchKMeans

    learner = KMeans if len(vectors) <= _MANY else MiniBatchKMeans
    centers = learner(method.clusters, n_init=_STARTS, random_state=0).fit(vectors).cluster_centers_.astype(np.float32)
    clusters, distances = _nearest(vectors, centers)
    radii = np.full(method.clusters, np.inf if method.drop == "none" else np.median(distances))
    if method.drop == "cluster":
        radii = np.array(
            [np.median(distances[clusters == k]) if (clusters == k).any() else 0 for k in range(len(radii))]
        )
    return {"centers": centers, "radii": radii}


def _codes(method, vectors):
    center = vectors.mean(axis=0)
    directions = np.linalg.svd(vectors - center, full_matrices=False)[2][: method.bits]
    # A component and its negative are the same: the largest entry is positive, so that bits do not depend on chance.
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    directions = (directions * np.sign(largest)[:, None]).astype(np.float32)
    middle = np.mean if method.threshold == "mean" else np.median
    return {"directions": directions, "thresholds": middle(vectors @ directions.T, axis=0)}


def _vectors(method, found):
    """Textures (N, 502) as standardized vectors, float32; of the spectrum its means only."""
    statistics = _statistics(method)
    vectors = (np.asarray(found, np.float32) - statistics["mean"]) * statistics["scale"]
    return vectors[:, GROUPS["mean"]] if method.targets == "spectrum" else vectors


def _nearest(vectors, centers):
    """Number of the nearest center and the distance from it, each (N,)."""
    squares = np.square(vectors).sum(axis=1)[:, None] - 2 * vectors @ centers.T + np.square(centers).sum(axis=1)
    clusters = squares.argmin(axis=1)
    # Of differences, because the ends of a difference of squares would decide what is nearer than the median.
    return clusters, np.linalg.norm(vectors - centers[clusters], axis=1)


def _statistics(method):
    """What ``adapt`` gave; where no data have been seen, arbitrary centers and directions."""
    if method.statistics:
        return method.statistics
    rng, size = np.random.default_rng(0), 32 if method.targets == "spectrum" else STATISTICS
    drawn = rng.normal(size=(method.outputs, size)).astype(np.float32)
    scale = np.ones(STATISTICS, np.float32)
    return {
        "mean": np.zeros(STATISTICS, np.float32), "scale": scale, "centers": drawn, "directions": drawn,
        "radii": np.full(method.outputs, np.inf), "thresholds": np.zeros(method.outputs),
    }  # fmt: skip


def _key(name):
    """A number made of a name, uint64."""
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big"))
