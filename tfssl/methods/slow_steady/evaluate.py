"""How many labels are told, whether features are slow and steady, and what comes next in a sequence; its picture."""

from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import labeled_batches
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError, SourceError
from tfssl.evaluation.baselines import untrained
from tfssl.evaluation.ranking import fraction_smaller, percentile_ranks
from tfssl.evaluation.record import method_record
from tfssl.methods.slow_steady.data import draw_tuples
from tfssl.methods.slow_steady.network import distances
from tfssl.options import at_least_one
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_QUERIES, _FOUND, _CELL = 8, 3, 96  # rows of the sheet, frames that are found, pixels
_POOL = 200  # clips that a sheet looks for frames in, at most


def evaluate(method, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
    """Classify the labeled images; measure features, and complete sequences, on tuples of the clips.

    Completion: of two frames the features of the third are foretold, ``2 z_m - z_l``, and the third frames of all
    steady triples that were drawn are ordered by their distance from it.

    Args:
        method: the :class:`~tfssl.methods.SlowSteady` that the model belongs to.
        model: its model.
        data, out, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        limit: use at most so many images, and so many clips.
        repeats: tuples of each kind that are drawn from a clip, at least 1.
        seed: of the tuples, and of the untrained network.
        batch_size: images that the network sees at a time; clips at a time.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``accuracy``: fraction of images whose label is told, beside chance and always saying the commonest;
        - ``completed``: fraction of sequences of which the right third frame is the nearest, and ``completion_rank``:
          mean fraction of third frames that are nearer than the right one, 0 at best; beside chance, the same with z_m
          in place of the foretold (``repeating``), with pixels for features, and with the network untrained;
        - ``near_first``: probability that a near pair has the smaller distance of a near and a far one, and
          ``steady_first`` likewise of triples, beside chance, pixels and the network untrained;
        - the counts ``images``, ``clips`` and ``images_skipped``.
    """
    at_least_one(limit=limit, repeats=repeats)
    source, skipped = method.open(data), Skipped()
    check_source(source)
    classes = len(source.labeled.classes)
    if model.output["label"].shape[-1] != classes:
        raise SourceError(
            f"`data` has {classes} classes, the model tells {model.output['label'].shape[-1]}; give images of the same "
            f"classes"
        )
    todo = [min(len(part), limit or len(part)) for part in (source.labeled, source.clips)]
    report = _Progress(progress, sum(todo))
    tower = model.get_layer("tower")

    told, labels = [], []
    for images, truth in labeled_batches(source.labeled, _crop(method), batch_size=batch_size, skipped=skipped):
        images, truth = images[: todo[0] - len(labels)], truth[: todo[0] - len(labels)]
        logits = model.get_layer("logits")(tower(_floats(images), training=False)["z"])
        told += np.asarray(logits).argmax(axis=1).tolist()
        labels += np.asarray(truth).tolist()
        report(len(truth))
        if len(labels) >= todo[0]:
            break
    counts = np.bincount(labels, minlength=classes)
    values = {
        "accuracy": float(np.mean(np.equal(told, labels))),
        "chance_accuracy": 1 / classes,
        "commonest_accuracy": float(counts.max() / len(labels)),
    }
    pairs, triples = tuples_of(method, source.clips, repeats, seed, batch_size, skipped, todo[1], report)
    towers = {"": tower, "untrained": untrained(tower, seed), "pixels": None}
    for name, network in towers.items():
        prefix = name and f"{name}_"
        measured = tuple_metrics(method, *(features_of(method, network, t, batch_size) for t in (pairs, triples)))
        values |= {prefix + key: value for key, value in measured.items() if not (name and key.startswith("repeating"))}
    values |= {"images": float(len(labels)), "clips": float(len(pairs) / (2 * repeats))}
    values |= {"images_skipped": float(len(skipped.reasons)), "chance": 0.5, "chance_completed": 2 / len(triples)}
    kinds = {"accuracy": ("fraction", True, {"chance": "chance_accuracy", "commonest": "commonest_accuracy"})}
    for key, higher in {"completed": True, "completion_rank": False, "near_first": True, "steady_first": True}.items():
        names = ("pixels", "untrained", *(["repeating"] if key.startswith("complet") else []))
        chance = "chance_completed" if key == "completed" else "chance"
        kinds[key] = ("fraction", higher, {"chance": chance} | {name: f"{name}_{key}" for name in names})
    record = method_record(
        method, values, kinds, details={"classes": list(source.labeled.classes)},
        protocol={"repeats": repeats, "limit": limit}, skipped=skipped.reasons, seed=seed,
    )  # fmt: skip
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


class _Progress:
    def __init__(self, progress, total):
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, count):
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def tuples_of(method, clips, repeats, seed, batch_size, skipped, limit=None, report=None):
    """Pairs uint8 (2 n, 2, s, s, 3), near and far in turn, and triples (2 n, 3, s, s, 3), of a source of clips."""

    def sample(example, rng, training):
        pairs, triples = (draw_tuples(method, example["clip"], size, repeats, rng, False)[0] for size in (2, 3))
        return pairs, triples

    found = []
    options = {"training": False, "seed": seed, "skipped": skipped, "limit": limit}
    for drawn in batches(clips, sample, batch_size, **options):
        pairs, triples = (np.asarray(part) for part in drawn)
        found.append((pairs.reshape(-1, *pairs.shape[2:]), triples.reshape(-1, *triples.shape[2:])))
        if report is not None:
            report(len(drawn[0]))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def features_of(method, tower, tuples, batch_size=64):
    """z of tuples uint8 (n, k, s, s, 3), float64 (n, k, features); their pixels where ``tower`` is None."""
    images = tuples.reshape(-1, *tuples.shape[2:])
    if tower is None:
        found = images if method.color else images.mean(axis=-1)
        found = found.reshape(len(images), -1) / 255.0
    else:
        parts = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
        found = np.concatenate([np.asarray(tower(_floats(part), training=False)["z"], np.float64) for part in parts])
        if not np.isfinite(found).all():
            raise ModelError("the model gives NaN; its training has failed, start again with a lower learning_rate")
    return found.reshape(*tuples.shape[:2], -1)


def tuple_metrics(method, pairs, triples):
    """Numbers of :func:`evaluate` of features of pairs (2 n, 2, k) and triples (2 n, 3, k), near and far in turn."""
    values = {}
    for name, z in (("near_first", pairs), ("steady_first", triples)):
        d = np.asarray(distances(z, method.distance))
        values[name] = fraction_smaller(d[::2], d[1::2])
    first, second, third = np.moveaxis(triples[::2], 1, 0)
    for prefix, guess in (("", 2 * second - first), ("repeating_", second)):
        ranks = percentile_ranks(guess, third) if len(third) > 1 else np.array([np.nan])
        values |= {f"{prefix}completion_rank": float(ranks.mean()), f"{prefix}completed": float((ranks == 0).mean())}
    return values


def write_sheet(method, model, data, path):
    """Draw sequences that are completed: two frames, the third, and the frames found nearest to what was foretold.

    They come from clips spread over the source, the frames from the steady triples of all of them. The right one is
    framed in green where it is found.
    """
    clips = method.open(data).clips
    chosen = np.linspace(0, len(clips), min(_POOL, len(clips)), endpoint=False).astype(int)
    pool = []
    for number in chosen.tolist():
        try:
            clip, rng = clips.example(number)["clip"], np.random.default_rng(number)
            pool.append(draw_tuples(method, clip, 3, 2, rng, False)[0][::2])
        except (ValueError, OSError):  # told when it is read in training
            continue
    if not pool:
        raise SourceError(f"`data`: none of {len(chosen)} clips has steady triples; raise window")
    triples = np.concatenate(pool)
    z = features_of(method, model.get_layer("tower"), triples)
    queries = np.linspace(0, len(triples), min(_QUERIES, len(triples)), endpoint=False).astype(int)
    order = cdist(2 * z[queries, 1] - z[queries, 0], z[:, 2]).argsort(axis=1)[:, :_FOUND]
    rows = []
    for query, nearest in zip(queries, order, strict=True):
        row = [tile(_shown(method, frame), _CELL, text=None) for frame in triples[query]]
        frames = [GOOD if found == query else BAD for found in nearest]
        found = zip(nearest, frames, strict=True)
        rows.append(row + [tile(_shown(method, triples[n, 2]), _CELL, text=None, frame=frame) for n, frame in found])
    titles = ["first", "second", "third", *(f"found {n + 1}" for n in range(order.shape[1]))]
    picture_sheet(rows, path, titles=titles, cell=_CELL)


def _shown(method, frame):
    return frame if method.color else np.repeat(frame.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)


def _crop(method):
    return Crop(method.crop_size, resize=method.resize, flip=False)


def _floats(images):
    return np.asarray(images, np.float32) / 255.0
