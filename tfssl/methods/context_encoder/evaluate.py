"""How well holes are filled on photographs: errors and sharpness beside mean colors and nearest neighbors."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.context_encoder.data import cut_hole
from tfssl.methods.context_encoder.fill import complete
from tfssl.methods.context_encoder.metrics import NAMES, gradient_energy, hole_metrics, psnr
from tfssl.methods.context_encoder.neighbors import feature_cells, hog_cells, nearest, visible_cells
from tfssl.ops.patches import MEAN_COLOR
from tfssl.visualization.sheet import picture_sheet

BASELINES = ("mean_fill", "surround_fill", "nn_hog", "nn_features")
"""What the network is held against."""

_TITLES = {"": "filled", "surround_fill": "mean of\nthe visible", "nn_hog": "neighbor\nby HOG", "nn_features": (
    "neighbor\nby features"
)}  # fmt: skip


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
    dropped pixels as it is, nothing is blended. Conventions: see
    :mod:`tfssl.methods.context_encoder.metrics`.

    Args:
        method: the :class:`~tfssl.methods.ContextEncoder` that the model belongs to.
        model: its model.
        data: photographs that it was not trained on, see :func:`tfssl.data.images.image_source`.
        out: folder for ``metrics.json`` and ``sheet.png``; None writes nothing.
        limit: use only the first so many readable images; None for all.
        bank: images that nearest neighbors are taken from, such as those of training; None for the other images
            of ``data``.
        bank_limit: use only the first so many of the bank.
        batch_size: images that the network sees at a time; changes nothing but memory.
        progress: called with (images done, images in all) after each batch.

    Returns:
        :class:`~tfssl.evaluation.record.Record`, means over images of their hole's

        - ``l1``, ``l2`` (per cent), ``psnr`` (dB), ``gradient_energy``; ``psnr_of_mean``, the PSNR of the mean ``l2``;
        - beside them the same of ``mean_fill`` (ImageNet's mean color), ``surround_fill`` (mean color of the visible
          pixels), ``nn_hog`` and ``nn_features`` (the same place of the image whose visible cells are nearest in
          HOG, or in the encoder's conv5); no neighbors where there is no other image;
        - ``psnr_gain`` over mean fill and ``psnr_gain_nn`` over the better neighbor;
        - ``true_gradient_energy``, and ``sharpness``, the ratio of the two: 1 is as sharp as the truth;
        - the counts ``images``, ``images_skipped`` and ``bank``.

    Raises:
        SourceError: if the source holds no readable image, or is mostly unreadable.
        ConfigError: if a limit is below 1.
        ModelError: if the model predicts NaN.
    """
    for name, value in (("limit", limit), ("bank_limit", bank_limit)):
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1. Received: {name}={value}")
    skipped = Skipped()
    pixels, dropped = _holes(method, data, limit, skipped)
    fills = {"": _predict(method, model, pixels, dropped, batch_size, progress)}
    fills |= _mean_fills(pixels, dropped)
    others, excluded = (pixels, np.arange(len(pixels))) if bank is None else (_holes(method, bank, bank_limit)[0], None)
    if bank is not None or len(others) > 1:
        fills |= _neighbor_fills(method, model, pixels, dropped, others, excluded)
    metrics = _summary(pixels, dropped, fills)
    metrics |= {
        "images": float(len(pixels)),
        "images_skipped": float(len(skipped.reasons)),
        "bank": float(len(others) - (bank is None)),
    }
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons)
    if out is not None:
        record.write(out)
        _draw(pixels, dropped, fills, Path(out) / "sheet.png")
    return record


def write_sheet(method, model, data, path, count=8):
    """Draw images with their hole, filled, and as they were; one column for each.

    They are spread evenly over the source and always the same; unreadable ones give way to the next.

    Args:
        method: a :class:`~tfssl.methods.ContextEncoder`.
        model: its model.
        data: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.
        count: number of images.

    Raises:
        SourceError: if no image is readable.
    """
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
        metrics |= {prefix + key: float(np.mean([row[key] for row in rows])) for key in NAMES}
        metrics[f"{prefix}psnr_of_mean"] = psnr(metrics[f"{prefix}l2"] / 100.0)
    metrics["psnr_gain"] = metrics["psnr"] - metrics["mean_fill_psnr"]
    if "nn_hog" in fills:
        metrics["psnr_gain_nn"] = metrics["psnr"] - max(metrics["nn_hog_psnr"], metrics["nn_features_psnr"])
    true = float(np.mean([gradient_energy(*example) for example in zip(truth, dropped, strict=True)]))
    return {**metrics, "true_gradient_energy": true, "sharpness": metrics["gradient_energy"] / max(true, 1e-12)}


def _draw(pixels, dropped, fills, path, count=8):
    shown = np.linspace(0, len(pixels), min(count, len(pixels)), endpoint=False).astype(int)
    masked = np.where(dropped[..., None], np.rint(MEAN_COLOR).astype(np.uint8), pixels)
    rows = {"masked": masked, **{title: fills[name] for name, title in _TITLES.items() if name in fills}}
    rows["truth"] = pixels
    images = [[image if image.dtype == np.uint8 else _levels(image) for image in row[shown]] for row in (
        rows.values()
    )]  # fmt: skip
    picture_sheet(images, path, labels=list(rows), cell=min(max(pixels.shape[1], 96), 192))


def _levels(image):
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
