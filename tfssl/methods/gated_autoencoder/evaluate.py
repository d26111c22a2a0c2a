"""Whether mapping units tell how patches were moved, whether the mapping of one pair moves another, and pictures."""

from pathlib import Path

import keras
import numpy as np

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation import logistic
from tfssl.evaluation.record import method_record
from tfssl.methods.gated_autoencoder.data import as_pixels, prepared
from tfssl.options import at_least_one
from tfssl.visualization.filters import filter_sheet, stretch
from tfssl.visualization.sheet import picture_sheet

STRENGTH = 1.0
"""C of the logistic regression that reads transformations out, see :mod:`tfssl.evaluation.logistic`."""

METRICS = {
    "readout_accuracy": ("fraction", True, {"pixels": "readout_pixels", "chance": "readout_chance"}),
    "analogy_error": ("", False, {"copy": "analogy_copy", "constant": "analogy_constant"}),
    "analogy_ratio": ("", False, {}),
    "reconstruction_error": ("", False, {"copy": "reconstruction_copy", "constant": "reconstruction_constant"}),
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, seed=0, repeats=1, batch_size=500, progress=None):
    """Draw pairs and analogies of a source, and measure what the mapping units know of their transformations.

    Args:
        method: the :class:`~tfssl.methods.GatedAutoencoder` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json``, ``sheet.png`` (analogies), ``x_filters.png`` and ``y_filters.png``; None
            writes nothing.
        seed: of the patches and their transformations.
        repeats: passes over the source, each with a seed of its own.
        batch_size: pairs that the network sees at a time; changes nothing but memory.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``readout_accuracy``: fraction of transformations (shifts by whole
        pixels along both axes, or angles in steps of 20 degrees) that logistic regression on the mapping units tells
        right, learned on the first half of the pairs, measured on the second; beside that on the prepared pixels of
        both patches and the most frequent transformation. ``analogy_error``: mean squared error of d^, from a, b and
        c, per component of the prepared d; beside c and the constant 0 in its place; ``analogy_ratio`` to that of c.
        ``reconstruction_error``: of b from a by their own mapping. The counts ``images``, ``images_skipped``,
        ``pairs``. Without known transformations, of frames, only the last ones.

    Raises:
        SourceError: if the source holds nothing readable.
        ConfigError: if limit or repeats is below 1.
        ModelError: if the model predicts NaN.
    """
    at_least_one(limit=limit, repeats=repeats)
    source = method.open(data)
    check_source(source)
    skipped = Skipped()
    found = _answers(method, model, source, limit, seed, repeats, batch_size, skipped, progress)
    if not all(np.isfinite(part).all() for part in found.values()):
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    first, second = found["patches"][:, 0], found["patches"][:, 1]
    metrics = {}
    if "moves" in found:
        metrics |= readout(found["mapping"], np.concatenate([first, second], axis=1), found["moves"])
        third, fourth = found["patches"][:, 2], found["patches"][:, 3]
        metrics |= _errors("analogy", found["analogy"], third, fourth)
        metrics["analogy_ratio"] = metrics["analogy_error"] / metrics["analogy_copy"]
    metrics |= _errors("reconstruction", found["reconstruction"], first, second)
    pairs = float(len(first))
    metrics |= {
        "images": pairs / method.patches / repeats,
        "images_skipped": float(len(skipped.reasons)),
        "pairs": pairs,
    }
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
        for name, filters in filter_fields(method, model).items():
            filter_sheet(filters, Path(out) / f"{name}.png")
    return record


def readout(codes, pixels, moves):
    """How well transformations are told by logistic regression, learned on the first half and measured on the second.

    Args:
        codes: float (N, K), mapping units.
        pixels: float (N, 2 D), both patches.
        moves: (N, 2) or (N, 1); equal rows are one class.

    Returns:
        ``readout_accuracy``, ``readout_pixels`` and ``readout_chance``; NaN where one half has a single class.
    """
    classes, labels = np.unique(moves, axis=0, return_inverse=True)
    labels, half = labels.ravel(), len(moves) // 2
    if half < 1 or len(np.unique(labels[:half])) < 2:
        return dict.fromkeys(("readout_accuracy", "readout_pixels", "readout_chance"), float("nan"))
    result = {}
    for name, features in (("readout_accuracy", codes), ("readout_pixels", pixels)):
        rows = logistic.Rows(np.ascontiguousarray(features[:half], np.float32))
        classifier = logistic.fit(rows, labels[:half], len(classes), STRENGTH * half)
        result[name] = logistic.accuracy(classifier, rows.project(features[half:]), labels[half:])
    most = np.bincount(labels[:half]).argmax()
    return result | {"readout_chance": float(np.mean(labels[half:] == most))}


def filter_fields(method, model):
    """Filters as images, ``{"x_filters": float32 (F, s, s), "y_filters": ...}``; the f-th of both belong together."""
    found = {}
    for name in ("x_filters", "y_filters"):
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel).T
        found[name] = as_pixels(kernel, method.statistics).reshape(-1, method.crop_size, method.crop_size)
    return found


def write_sheet(method, model, data, path, count=8):
    """Draw analogies, one column for each of ``count`` items spread over the source; of frames, pairs.

    Prepared patches are stretched for display, each column from the darkest to the brightest value of its truth.
    """

    def cut(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)[0][:1]

    drawn = np.concatenate(spread_examples(method.open(data), count, cut))
    patches = prepared(drawn, method.statistics)
    answers = _second(model, patches if method.analogies else patches[:, :2])
    columns = [*as_pixels(patches, method.statistics).transpose(1, 0, 2)]
    labels = ["a", "b", "c", "d"][: len(columns)]
    if not method.analogies and len(columns) > 2:
        columns, labels = columns[:2], labels[:2]
    truth, columns = columns[-1], [*columns, as_pixels(answers, method.statistics)]
    labels.append(f"{labels[-1]} of the model")
    size = method.crop_size
    rows = [
        [stretch(patch.reshape(size, size), like=own) for patch, own in zip(part, truth, strict=True)]
        for part in columns
    ]
    picture_sheet(rows, path, labels=labels, cell=96)


def _second(model, patches):
    """The second patch of the last pair, from the first one and the mapping of the first pair."""
    return np.asarray(model(patches, training=False))[:, 1]


def _errors(name, answers, copies, truth):
    squares = {"error": answers - truth, "copy": copies - truth, "constant": truth}
    return {f"{name}_{key}": float(np.mean(np.square(part, dtype=np.float64))) for key, part in squares.items()}


def _answers(method, model, source, limit, seed, repeats, batch_size, skipped, progress):
    """Everything that is measured, by pair: prepared patches, moves, mapping units, answers."""
    mapping = keras.Model(model.input, model.get_layer("mapping").output)
    known = method.pairs != "frames"
    names = ["patches", "mapping", "reconstruction", *(["moves", "analogy"] if known else [])]
    found = {name: [] for name in names}
    total, done = repeats * min(len(source), limit or len(source)), 0
    options = {"training": False, "per_item": method.examples_per_item, "limit": limit, "skipped": skipped}
    for own_seed in range(seed, seed + repeats):
        for drawn in batches(source, method.sample, batch_size, seed=own_seed, **options):
            raw, *moves = (np.asarray(part) for part in drawn)
            patches = prepared(raw, method.statistics)
            pairs = patches[:, :2]
            own = np.concatenate([pairs, pairs], axis=1) if method.analogies else pairs
            found["patches"].append(patches)
            found["mapping"].append(np.asarray(mapping(own, training=False)))
            found["reconstruction"].append(_second(model, own))
            if known:
                found["moves"].append(moves[0])
                found["analogy"].append(_analogies(method, model, patches))
            done += len(raw)
            if progress is not None:
                progress(done // method.patches, total)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _analogies(method, model, patches):
    """d^ from a, b and c; also of a model that learned from pairs alone, whose parts are put together anew."""
    if method.analogies:
        return _second(model, patches)
    layer = model.get_layer
    mapping = layer("mapping")(layer("x_filters")(patches[:, 0]) * layer("y_filters")(patches[:, 1]))
    moved = layer("x_filters")(patches[:, 2]) * layer("feedback")(mapping)
    return np.asarray(layer("y_filters")(moved, transposed=True))
