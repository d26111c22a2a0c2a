"""How well the sound of a frame is told, beside what is trivial; pictures of what each cluster or bit looks like."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import logsumexp

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.record import method_record
from tfssl.evaluation.runner import limited
from tfssl.evaluation.sounds import measure_sounds, purity
from tfssl.methods.ambient_sound import data
from tfssl.ops.sound_texture import BANDS, GROUPS, MODULATIONS, SAMPLE_RATE, STATISTICS
from tfssl.options import at_least_one
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_ROWS, _COLUMNS, _CELL = 8, 8, 96  # of a sheet; pixels of an image on it
_SPREAD = 96  # frames that a sheet is chosen from


def evaluate(method, model, source, *, out=None, limit=None, batch_size=64, progress=None):
    """Let the network tell the sounds of frames.

    Args:
        method: the :class:`~tfssl.methods.AmbientSound` that the model belongs to, with its statistics.
        model: its model.
        source, out, limit, batch_size, progress: see :meth:`tfssl.methods.base.Method.evaluate`.

    Returns:
        :class:`~tfssl.evaluation.record.Record`, all frames counted, those too that would not have trained the network:

        - of clusters ``accuracy``, the fraction of frames whose cluster is told, and ``accuracy_near`` of those within
          the median distance of training, each beside always saying the commonest here; ``loss``; ``near``, the
          fraction within that distance;
        - of bits ``accuracy``, the fraction of bits told, beside always saying the commoner value of each; ``loss``;
        - where the source has labels, such as rendered scenes, ``purity`` of the sounds' own clusters or codes and
          ``told_purity`` of the told ones: the fraction of frames with the commonest label of their cluster, beside
          that of the commonest label;
        - the counts ``images``, frames that were used, and ``images_skipped``.
    """
    at_least_one(limit=limit)
    source, skipped = method.open(source), Skipped()
    check_source(source)
    total, found = min(len(source), limit or len(source)), []
    options = {"training": False, "limit": limit, "skipped": skipped}
    for crops, sounds, labels in batches(source, Heard(method), batch_size, **options):
        logits = np.asarray(model(data.to_inputs(crops), training=False), np.float64)
        found.append((logits, np.asarray(sounds), np.asarray(labels)))
        if progress is not None:
            progress(sum(len(part[0]) for part in found), total)
    logits, sounds, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(logits).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    if method.targets == "clusters":
        values, kinds = cluster_metrics(logits, data.targets(method, sounds), data.near(method, sounds))
    else:
        values, kinds = code_metrics(logits, data.targets(method, sounds))
    values["guessing"] = method.baseline
    if (labels >= 0).all() and method.targets == "clusters":
        values |= {
            "purity": purity(data.targets(method, sounds), labels),
            "told_purity": purity(logits.argmax(axis=1), labels),
            "commonest_label": float(np.bincount(labels).max() / len(labels)),
        }
        kinds |= dict.fromkeys(("purity", "told_purity"), ("fraction", True, {"commonest": "commonest_label"}))
    values |= {"images": float(len(labels)), "images_skipped": float(len(skipped.reasons))}
    record = method_record(method, values, kinds, skipped=skipped.reasons)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def evaluate_sounds(method, recordings, labels, *, out=None, limit=None, progress=None):
    """What the textures of labeled recordings, which the targets are made of, know of the labels; no network is asked.

    Args:
        recordings, labels: see :func:`tfssl.data.sound_source`.
        method, out, limit, progress: see :func:`evaluate`.

    Returns:
        :class:`~tfssl.evaluation.record.Record` of :func:`tfssl.evaluation.sounds.measure_sounds`.
    """
    from tfssl.data.sounds import sound_source

    at_least_one(limit=limit)
    source = limited(sound_source(recordings, SAMPLE_RATE, labels=labels), limit)
    check_source(source)
    metrics, skipped = measure_sounds(source, progress=progress)
    record = dataclasses.replace(method_record(method, {}, {}, skipped=skipped), metrics=metrics)
    if out is not None:
        record.write(out)
    return record


class Heard:
    """The sampler of an evaluation: the middle of a frame, the texture of its sound, and its label, -1 for none."""

    def __init__(self, method):
        self._method = method

    def __call__(self, example, rng, training):
        (crop,) = self._method.crop.sample(example, rng, training)
        label = np.int32(example.get("label", -1))
        return crop, data.audible(self._method, example["sound"]), label


def cluster_metrics(logits, clusters, near):
    """Numbers of :func:`evaluate` and what they are, of logits (N, K), true clusters (N,) and nearness (N,)."""
    right = logits.argmax(axis=1) == clusters
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(logits)), clusters]
    values = {
        "accuracy": float(right.mean()),
        "commonest": float(np.bincount(clusters).max() / len(clusters)),
        "accuracy_near": float(right[near].mean()) if near.any() else float("nan"),
        "commonest_near": float(np.bincount(clusters[near]).max() / near.sum()) if near.any() else float("nan"),
        "loss": float(losses.mean()),
        "near": float(near.mean()),
    }
    return values, {
        "accuracy": ("fraction", True, {"commonest": "commonest"}),
        "accuracy_near": ("fraction", True, {"commonest": "commonest_near"}),
        "loss": ("nats", False, {"guessing": "guessing"}),
    }


def code_metrics(logits, bits):
    """Numbers of :func:`evaluate` and what they are, of logits and true bits, each (N, n)."""
    bits, ones = bits.astype(bool), bits.mean(axis=0)
    losses = np.logaddexp(0, np.where(bits, -logits, logits)).sum(axis=1)
    values = {
        "accuracy": float(np.mean((logits > 0) == bits)),
        "commonest": float(np.maximum(ones, 1 - ones).mean()),
        "loss": float(losses.mean()),
    }
    return values, {
        "accuracy": ("fraction", True, {"commonest": "commonest"}),
        "loss": ("nats", False, {"guessing": "guessing"}),
    }


def write_sheet(method, model, source, path):
    """Draw what clusters, or bits, sound and look like, one a row.

    First its center, or the direction of its bit: 32 bands, low ones at the bottom, with their mean, variation and
    modulations from slow to fast from left to right; red is more than on average, blue less. Then the frames, of some
    that are spread over the source, for which the network is surest of it, in green where it is right.
    """

    def draw(example, seed):
        return Heard(method)(example, np.random.default_rng(seed), False)

    drawn = spread_examples(method.open(source), _SPREAD, draw)
    crops, sounds, _ = (np.stack(part) for part in zip(*drawn, strict=True))
    logits = np.asarray(model(data.to_inputs(crops), training=False))
    truth = data.targets(method, sounds)
    if method.targets == "clusters":
        often = np.bincount(logits.argmax(axis=1), minlength=method.clusters)
        rows, name = np.argsort(-often, kind="stable")[:_ROWS], "cluster"
        truth = truth[:, None] == np.arange(method.clusters)
    else:
        rows, name = np.arange(method.bits)[:_ROWS], "bit"
    pictures = []
    for row in rows.tolist():
        best = np.argsort(-logits[:, row], kind="stable")[:_COLUMNS]
        frames = [tile(crops[i], _CELL, text=None, frame=GOOD if truth[i, row] else BAD) for i in best.tolist()]
        pictures.append([heard(method, row), *frames])
    titles = ["sound", "surest"] + [""] * (max(map(len, pictures)) - 2)
    picture_sheet(
        pictures, path, titles=titles, labels=[f"{name} {row}" for row in rows.tolist()], cell=_CELL, margin=4
    )


def heard(method, row):
    """The picture of what a cluster or a bit hears, see :func:`write_sheet`; low bands are at the bottom."""
    vector = data.heard(method, row)
    bands = np.zeros((BANDS, 2 + MODULATIONS))
    bands[:, 0] = vector[GROUPS["mean"]]
    if len(vector) == STATISTICS:
        bands[:, 1] = vector[GROUPS["variation"]]
        bands[:, 2:] = vector[GROUPS["modulation"]].reshape(BANDS, MODULATIONS)
    for part in (bands[:, :1], bands[:, 1:2], bands[:, 2:]):  # groups have units of their own
        part /= max(np.abs(part).max(), 1e-9)
    cells = np.stack([1 + np.minimum(bands, 0), 1 - np.abs(bands), 1 - np.maximum(bands, 0)], axis=-1)
    image = Image.fromarray(np.rint(255 * np.clip(cells, 0, 1)).astype(np.uint8)[::-1])
    return image.resize((_CELL, _CELL), Image.Resampling.NEAREST)
