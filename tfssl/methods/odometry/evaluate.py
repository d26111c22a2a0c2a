"""Paths that a model drives by sight, beside the true ones, those of true classes, and of constant velocity."""

from pathlib import Path

import numpy as np

from tfssl.data.examples import Skipped
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.odometry import final_errors, path_length, segment_errors
from tfssl.evaluation.record import method_record
from tfssl.methods.odometry.data import edges_of, mirror, whitening_of, window
from tfssl.ops.trajectory import centers, motions, path_of, poses_of_path, steps_of_windows, to_classes
from tfssl.options import at_least_one
from tfssl.visualization.filters import stretch
from tfssl.visualization.paths import draw_paths
from tfssl.visualization.sheet import picture_sheet

TRUTH, CLASSES, MODEL, CONSTANT = "truth", "truth in classes", "model", "constant velocity"
ANSWERS = ("velocity", "heading")
_LENGTHS = 8  # KITTI's 100 to 800 m
_SHOWN, _SHOWN_PER_EPOCH, _SHOWN_FILTERS = 6, 3, 24


def _kinds(*names):
    return {
        name: (unit, False, {"constant_velocity": f"{name}_constant", "classes": f"{name}_classes"})
        for name, unit in names
    }


METRICS = {
    **_kinds(
        ("drift", "fraction"),
        ("heading_error", "degrees per 100 m"),
        ("translation_error", "fraction"),
        ("rotation_error", "degrees per 100 m"),
    ),
    "velocity_error": ("m per frame", False, {"constant_velocity": "velocity_error_constant"}),
    "turn_error": ("degrees per frame", False, {"constant_velocity": "turn_error_constant"}),
    "velocity_accuracy": ("fraction", True, {"most_frequent": "velocity_accuracy_frequent"}),
    "heading_accuracy": ("fraction", True, {"most_frequent": "heading_accuracy_frequent"}),
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, segment=100.0, batch_size=64, progress=None):
    """Drive along every sequence by sight, and measure where that ends.

    Motions of overlapping windows are averaged for each step; where a window cannot be read the one before goes on.

    Args:
        method: the :class:`~tfssl.methods.Odometry` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`; items are windows.
        out: folder for ``metrics.json`` and ``paths.png``; None writes nothing.
        segment: meters of the shortest parts that KITTI's errors are measured over, the others are 2 to 8 times as
            long (100). Where all paths are shorter, there are no such errors.
        batch_size: windows that the network sees at a time; changes nothing but memory.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``drift`` and ``heading_error`` at the ends, see
        :func:`tfssl.evaluation.odometry.final_errors`, mean over the sequences; ``translation_error`` and
        ``rotation_error`` over all parts, see :func:`~tfssl.evaluation.odometry.segment_errors`; all beside those of
        going straight on at the true speed of the first window (``constant_velocity``) and of the centers of the true
        classes (``classes``). ``velocity_error`` and ``turn_error``: mean absolute errors of windows;
        ``velocity_accuracy`` and ``heading_accuracy``: windows whose likeliest class is the true one, beside the most
        frequent class of these windows; the counts ``images`` (windows), ``images_skipped``, ``sequences``, ``meters``.

    Raises:
        SourceError: if no sequence has a readable window.
        ConfigError: if limit is below 1 or segment not above 0.
        ModelError: if the model predicts NaN.
    """
    at_least_one(limit=limit)
    if not segment > 0:
        raise ConfigError(f"`segment` must be above 0. Received: segment={segment!r}")
    source, skipped = method.open(data), Skipped()
    check_source(source)
    drives = list(_drives(method, model, source, limit, batch_size, skipped, progress))
    for name, reason in source.faults.items():
        skipped.add(name, reason)
    if not drives:
        name, reason = next(iter(skipped.reasons.items()))
        raise SourceError(f"`data`: no window can be read ({name}: {reason})")
    metrics = _metrics(method, drives, [segment * k for k in range(1, _LENGTHS + 1)])
    metrics["images_skipped"] = float(len(skipped.reasons))
    rows = [
        {"name": drive["name"], "meters": path_length(drive[TRUTH])}
        | dict(zip(("drift", "heading_error"), final_errors(drive[TRUTH], drive[MODEL]), strict=True))
        for drive in drives
    ]
    protocol = {"segment": segment, "kitti_step": 10, "windows": "averaged for each step"}
    record = method_record(
        method, metrics, METRICS, details={"sequences": rows}, protocol=protocol, skipped=skipped.reasons
    )
    if out is not None:
        record.write(out)
        _draw(drives[:_SHOWN], Path(out) / "paths.png")
    return record


def _drives(method, model, source, limit, batch_size, skipped, progress):
    """For each sequence of which a window can be read its poses by each way of driving, and motions of its windows."""
    left = len(source) - len(source.faults) if limit is None else limit
    total, done = left, 0
    for number, name in enumerate(source.names):
        read = {}
        count = int(source.firsts[number + 1] - source.firsts[number])
        for first in range(count):
            index = int(source.firsts[number]) + first
            if len(read) == left:
                count = first
                break
            try:
                read[first] = window(method, source.example(index))[0]
            except (ValueError, OSError) as error:
                skipped.add(source.name(index), str(error))
        left -= len(read)
        if read:
            yield _driven(method, model, source.sequences[number], name, read, count, batch_size)
        done += len(read)
        if progress is not None:
            progress(done, total)


def _driven(method, model, sequence, name, read, count, batch_size):
    span = method.frames - 1
    poses = np.linalg.solve(sequence.poses[0], sequence.poses[: count + span])
    true = motions(poses, span)
    pixels = np.stack(list(read.values()))
    found = [_predicted(method, model, pixels[i : i + batch_size]) for i in range(0, len(pixels), batch_size)]
    likeliest, answers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(answers).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    numbers = np.array(list(read))
    before = np.maximum(np.searchsorted(numbers, np.arange(count), side="right") - 1, 0)
    edges = [edges_of(method, answer) for answer in ANSWERS]
    classes = np.stack([to_classes(true[:, k], edges[k]) for k in (0, 1)], axis=1)
    straight = np.tile([true[0, 0], 0.0], (count, 1))
    ways = {
        MODEL: answers[before],
        CLASSES: np.stack([centers(edges[k])[classes[:, k]] for k in (0, 1)], axis=1),
        CONSTANT: straight,
    }
    driven = {way: poses_of_path(path_of(steps_of_windows(values, span))) for way, values in ways.items()}
    about = {"true": true[numbers], "answers": answers, "straight": straight[numbers]}
    return driven | about | {"name": name, TRUTH: poses, "likeliest": likeliest, "classes": classes[numbers]}


def _predicted(method, model, pixels):
    """Likeliest classes, int (N, 2), and speeds and changes of heading, float (N, 2), of windows.

    A model that has learned from mirrored windows sees both, so that left and right are alike to it.
    """
    found = _probabilities(method, model, pixels)
    if method.mirror:
        mirrored = _probabilities(method, model, mirror(pixels))
        mirrored["heading"] = mirrored["heading"][:, ::-1]
        found = {answer: (found[answer] + mirrored[answer]) / 2 for answer in ANSWERS}
    likeliest, answers = [], []
    for answer in ANSWERS:
        middles, best = centers(edges_of(method, answer)), found[answer].argmax(axis=1)
        around = np.clip(best, 1, len(middles) - 2)[:, None] + np.arange(-1, 2)
        weights = np.take_along_axis(found[answer], around, axis=1)
        soft = (weights * middles[around]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
        likeliest.append(best)
        answers.append(soft if method.soft else middles[best])
    return np.stack(likeliest, axis=1), np.stack(answers, axis=1)


def _probabilities(method, model, pixels):
    inputs, _ = method.prepare(pixels, np.zeros((len(pixels), 2), np.float32))
    return {answer: np.asarray(found, np.float64) for answer, found in model(inputs, training=False).items()}


def _metrics(method, drives, lengths):
    found = {}
    for way, end in ((MODEL, ""), (CONSTANT, "_constant"), (CLASSES, "_classes")):
        ends = [final_errors(drive[TRUTH], drive[way]) for drive in drives]
        found[f"drift{end}"], found[f"heading_error{end}"] = np.mean(ends, axis=0).tolist()
        parts = np.concatenate([segment_errors(drive[TRUTH], drive[way], lengths) for drive in drives])
        if len(parts):
            found[f"translation_error{end}"] = float(parts[:, 1].mean())
            found[f"rotation_error{end}"] = float(parts[:, 2].mean() * 100)
    true, answers, straight, likeliest, classes = (
        np.concatenate([drive[name] for drive in drives])
        for name in ("true", "answers", "straight", "likeliest", "classes")
    )
    for values, end in ((answers, ""), (straight, "_constant")):
        errors = np.abs(values - true).mean(axis=0)
        found |= {f"velocity_error{end}": float(errors[0]), f"turn_error{end}": float(np.degrees(errors[1]))}
    for column, answer in enumerate(ANSWERS):
        found[f"{answer}_accuracy"] = float(np.mean(likeliest[:, column] == classes[:, column]))
        found[f"{answer}_accuracy_frequent"] = float(np.bincount(classes[:, column]).max() / len(classes))
    found |= {"images": float(len(true)), "sequences": float(len(drives))}
    return found | {"meters": sum(path_length(drive[TRUTH]) for drive in drives)}


def _draw(drives, path):
    panels = {
        f"{drive['name']}: {path_length(drive[TRUTH]):.0f} m": {
            way: drive[way][:, [0, 2], 3] for way in (TRUTH, CLASSES, MODEL, CONSTANT)
        }
        for drive in drives
    }
    draw_paths(panels, path, dashed=(CONSTANT,))


def write_sheet(method, model, data, path):
    """Draw the paths of the first sequences; in the first phase pairs of filters, their first and last frame."""
    if model.name == "synchrony_autoencoder":
        _write_filters(method, model, path)
        return
    source = method.open(data)
    count = min(_SHOWN_PER_EPOCH, len(source.names))
    _draw(list(_drives(method, model, source, int(source.firsts[count]), 64, Skipped(), None)), path)


def _write_filters(method, model, path):
    product = model.get_layer("product")
    back = np.linalg.pinv(whitening_of(method)[1])
    sides = [
        (np.asarray(k).T @ back).reshape(-1, method.patch_size, method.patch_size, method.frames)
        for k in (product.kernel_x, product.kernel_y)
    ]
    rows, labels = [], []
    for name, side in zip(("left", "right"), sides, strict=True):
        for frame in (0, method.frames - 1):
            shown = zip(side[:_SHOWN_FILTERS], sides[0][:_SHOWN_FILTERS], strict=True)
            rows.append([stretch(one[..., frame], like=own).clip(0, 1) for one, own in shown])
            labels.append(f"{name}\nframe {frame + 1}")
    picture_sheet(rows, path, labels=labels, cell=48)
