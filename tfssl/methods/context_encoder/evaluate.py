"""How well holes are filled on photographs: errors and sharpness beside mean colors and nearest neighbors."""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.context_encoder.data import cut_hole
from tfssl.methods.context_encoder.fill import complete
from tfssl.methods.context_encoder.neighbors import feature_cells, hog_cells, nearest, visible_cells
from tfssl.ops.patches import MEAN_COLOR
from tfssl.options import at_least_one
from tfssl.visualization.sheet import picture_sheet

_SMALLEST = 1e-10  # of a squared error, in [0, 1]: a perfect fill has 100 dB

BASELINES = ("mean_fill", "surround_fill", "nn_hog", "nn_features")
"""What the network is held against."""

_TITLES = {
    "": "filled",
    "surround_fill": "mean of\nthe visible",
    "nn_hog": "neighbor\nby HOG",
    "nn_features": "neighbor\nby features",
}

METRICS = {
    name: (unit, higher, {other: f"{other}_{name}" for other in BASELINES})
    for name, unit, higher in (
        ("psnr", "dB", True),
        ("psnr_of_mean", "dB", True),
        ("l1", "%", False),
        ("l2", "%", False),
        ("gradient_energy", "", None),
    )
} | {"psnr_gain": ("dB", True, {}), "psnr_gain_nn": ("dB", True, {})}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, bank=None, bank_limit=2000, batch_size=32, progress=None):
    """Cut holes into the center crops of a source's images, fill them and compare with what was there.

    Masks are drawn as in training, that of an image from its number: always the same. The prediction replaces the
    dropped pixels as it is, nothing is blended. Metrics are of values in [0, 1] of the pixels of the hole only, each
    image by itself; then means over images. The mean of the PSNR of images is at least the PSNR of their mean error, so
    both are reported.

    Args:
        method, model, data, out, limit, batch_size, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        bank: images that nearest neighbors are taken from, such as those of training; None for the other images
            of ``data``.
        bank_limit: use only the first so many of the bank.

    Returns:
        :class:`~tfssl.evaluation.record.Record`, means over images of their hole's

        - ``l1``, ``l2`` (per cent), ``psnr`` (dB), ``gradient_energy``; ``psnr_of_mean``, the PSNR of the mean ``l2``;
        - beside them the same of ``mean_fill`` (ImageNet's mean color), ``surround_fill`` (mean color of the visible
          pixels), ``nn_hog`` and ``nn_features`` (the same part of the image whose visible cells are nearest in
          HOG, or in the encoder's conv5); no neighbors where there is no other image;
        - ``psnr_gain`` over mean fill and ``psnr_gain_nn`` over the better neighbor;
        - ``true_gradient_energy``, and ``sharpness``, the ratio of the two: 1 is as sharp as the truth;
        - the counts ``images``, ``images_skipped`` and ``bank``.
    """
    at_least_one(limit=limit, bank_limit=bank_limit)
    skipped = Skipped()
    pixels, dropped = _holes(method, data, limit, skipped)
    fills = {"": _predict(method, model, pixels, dropped, batch_size, progress)}
    fills |= _mean_fills(pixels, dropped)
    others, excluded = (pixels, np.arange(len(pixels))) if bank is None else (_holes(method, bank, bank_limit)[0], None)
    if bank is not None or len(others) > 1:
        fills |= _neighbor_fills(method, model, pixels, dropped, others, excluded)
    metrics = _summary(pixels, dropped, fills)
    counts = {"images": len(pixels), "images_skipped": len(skipped.reasons), "bank": len(others) - (bank is None)}
    metrics |= {name: float(count) for name, count in counts.items()}
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons)
    if out is not None:
        record.write(out)
        _draw(pixels, dropped, fills, Path(out) / "sheet.png")
    return record


def write_sheet(method, model, data, path, count=8):
    """Draw images with their hole, filled, and as they were; one column for each."""
    found = spread_examples(
        method.open(data),
        count,
        lambda example, seed: cut_hole(method, example["image"], np.random.default_rng(seed), False)[:2],
    )
    pixels, dropped = (np.stack(part) for part in zip(*found, strict=True))
    _draw(pixels, dropped, {"": _predict(method, model, pixels, dropped, len(pixels))}, path)


def _holes(method, data, limit, skipped=None):
    """Center crops uint8 (N, S, S, 3) and their masks bool (N, S, S)."""
    source = method.open(data)
    check_source(source)
    parts = batches(source, method.sample, 64, training=False, skipped=skipped, limit=limit)
    pixels, dropped, _ = zip(*parts.as_numpy_iterator(), strict=True)
    return np.concatenate(pixels), np.concatenate(dropped)


def _predict(method, model, pixels, dropped, batch_size, progress=None):
    """Completed images, float32 (N, S, S, 3) in [0, 1]."""
    parts = []
    for start in range(0, len(pixels), batch_size):
        images = tf.constant(pixels[start : start + batch_size], tf.float32) / 255.0
        hole = tf.constant(dropped[start : start + batch_size])[..., None]
        parts.append(complete(method, model, images, hole, blend=False).numpy())
        if progress is not None:
            progress(min(start + batch_size, len(pixels)), len(pixels))
    filled = np.concatenate(parts)
    if not np.isfinite(filled).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    return filled


def _mean_fills(pixels, dropped):
    images, hole = pixels / np.float32(255.0), dropped[..., None]
    count = np.maximum(np.sum(~hole, axis=(1, 2), keepdims=True), 1)
    seen = np.sum(images * ~hole, axis=(1, 2), keepdims=True) / count
    return {
        "mean_fill": np.where(hole, np.float32(MEAN_COLOR) / 255.0, images),
        "surround_fill": np.where(hole, seen, images),
    }


def _neighbor_fills(method, model, pixels, dropped, others, excluded):
    images, hole = pixels / np.float32(255.0), dropped[..., None]
    masked = np.where(hole, np.rint(MEAN_COLOR).astype(np.uint8), pixels)
    encoder = method.encoder(model)
    described = {
        "nn_hog": (hog_cells(masked), hog_cells(others)),
        "nn_features": tuple(feature_cells(encoder, x / np.float32(255.0)) for x in (masked, others)),
    }
    fills = {}
    for name, (queries, bank) in described.items():
        chosen = nearest(queries, visible_cells(dropped, queries.shape[1]), bank, excluded)
        fills[name] = np.where(hole, others[chosen] / np.float32(255.0), images)
    return fills


def _summary(pixels, dropped, fills):
    truth = pixels / np.float32(255.0)
    metrics = {}
    for name, filled in fills.items():
        rows = [hole_metrics(*example) for example in zip(truth, filled, dropped, strict=True)]
        prefix = f"{name}_" if name else ""
        metrics |= {prefix + key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        metrics[f"{prefix}psnr_of_mean"] = psnr(metrics[f"{prefix}l2"] / 100.0)
    metrics["psnr_gain"] = metrics["psnr"] - metrics["mean_fill_psnr"]
    if "nn_hog" in fills:
        metrics["psnr_gain_nn"] = metrics["psnr"] - max(metrics["nn_hog_psnr"], metrics["nn_features_psnr"])
    true = float(np.mean([gradient_energy(*example) for example in zip(truth, dropped, strict=True)]))
    return {**metrics, "true_gradient_energy": true, "sharpness": metrics["gradient_energy"] / max(true, 1e-12)}


def hole_metrics(truth, filled, hole):
    """Errors inside the hole, bool (H, W), of a filled image; images are float (H, W, 3) in [0, 1].

    Returns:
        ``l1`` and ``l2``, mean absolute and mean squared error in per cent; ``psnr`` in dB, at most 100;
        ``gradient_energy`` of ``filled``, see :func:`gradient_energy`.
    """
    difference = np.asarray(filled, np.float64)[hole] - np.asarray(truth, np.float64)[hole]
    squared = float(np.mean(np.square(difference)))
    return {
        "l1": 100.0 * float(np.mean(np.abs(difference))),
        "l2": 100.0 * squared,
        "psnr": psnr(squared),
        "gradient_energy": gradient_energy(filled, hole),
    }


def psnr(squared_error):
    """Peak signal-to-noise ratio ``-10 log10(e)`` in dB of a mean squared error of values in [0, 1]."""
    return -10.0 * math.log10(max(squared_error, _SMALLEST))


def gradient_energy(image, hole):
    """Mean squared difference of neighboring pixels inside a hole, over both directions and all channels.

    0 if no two neighbors lie inside. Compare it with that of the true image: less is blurred, more is noise.
    """
    image = np.asarray(image, np.float64)
    across = np.square(image[:, 1:] - image[:, :-1])[hole[:, 1:] & hole[:, :-1]]
    down = np.square(image[1:] - image[:-1])[hole[1:] & hole[:-1]]
    count = across.size + down.size
    return float((across.sum() + down.sum()) / count) if count else 0.0


def _draw(pixels, dropped, fills, path, count=8):
    shown = np.linspace(0, len(pixels), min(count, len(pixels)), endpoint=False).astype(int)
    masked = np.where(dropped[..., None], np.rint(MEAN_COLOR).astype(np.uint8), pixels)
    rows = {"masked": masked, **{title: fills[name] for name, title in _TITLES.items() if name in fills}}
    rows["truth"] = pixels
    images = [list(row[shown] if row.dtype == np.uint8 else np.clip(row[shown], 0.0, 1.0)) for row in rows.values()]
    picture_sheet(images, path, labels=list(rows), cell=min(max(pixels.shape[1], 96), 192))
