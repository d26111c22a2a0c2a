"""How well a trained discriminator spots repaired images and their damage, and how good the images are; sheets."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import expit

from tfssl.data.examples import spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.record import method_record
from tfssl.files import cell, writing
from tfssl.layers.corruption import Damage
from tfssl.methods.spot_artifacts.loss import mask_loss, spotting_loss
from tfssl.methods.spot_artifacts.network import CORRUPT, REAL
from tfssl.visualization.sheet import picture_sheet

_CELL = 144  # of the sheet, in pixels

COLUMNS = (
    "name", "status", "dropped", "real_logit", "corrupt_logit", "class_loss", "mask_loss", "mask_auc",
    "psnr_autoencoder", "psnr_damaged", "psnr_repaired", "psnr_mean_color",
)  # fmt: skip
"""Of ``per_image.csv``. The logits are those of "real" less those of "corrupt": positive is judged real."""

METRICS = {
    "accuracy": ("fraction", True, {"chance": "chance"}),
    "accuracy_real": ("fraction", True, {"chance": 0.5}),
    "accuracy_corrupt": ("fraction", True, {"chance": 0.5}),
    "auc": ("fraction", True, {"chance": 0.5}),
    "mask_auc": ("fraction", True, {"chance": 0.5}),
    "mask_accuracy": ("fraction", True, {"constant": "mask_accuracy_constant"}),
    "loss": ("", False, {"guessing": "baseline"}),
    "psnr_autoencoder": ("dB", True, {"mean_color": "psnr_mean_color"}),
    "psnr_damaged": ("dB", True, {"mean_color": "psnr_mean_color"}),
    "psnr_repaired": ("dB", True, {"mean_color": "psnr_mean_color"}),
    "theta": ("fraction", None, {}),
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
    """Show the discriminator images of a source, autoencoded, and damaged and repaired.

    Each image's central square is judged twice, once whole and once with damage of its own, drawn as in training.

    Args:
        method: the :class:`~tfssl.methods.SpotArtifacts` that the model belongs to.
        model: its :class:`~tfssl.methods.spot_artifacts.adversarial.SpottingModel`.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json``, ``per_image.csv`` and ``sheet.png``; None writes nothing.
        seed: of the damage; the same seed gives the same.
        batch_size: images that the networks see at a time; changes nothing but memory.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` over real and corrupt images in equal numbers, and of
        each kind; ``auc``, area under the ROC curve of the difference of logits; ``mask_auc``, that of the predicted
        damage over all cells of all corrupt images (NaN if all or none were dropped), and ``mask_accuracy`` at a
        probability of 1/2; the discriminator's ``loss``; ``psnr_autoencoder``, ``psnr_damaged``, ``psnr_repaired`` and
        ``psnr_mean_color`` in dB against the image, mean over images, of D(E(x)), of the damaged features decoded
        without repair, of the corrupt image, and of the image's own mean color; ``theta``, the fraction of cells
        dropped; the counts ``images``, ``images_skipped``.

    Raises:
        SourceError: if the source holds no readable image, or is mostly unreadable.
        ConfigError: if limit is below 1.
        ModelError: if the model predicts NaN.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"`limit` must be at least 1. Received: limit={limit}")
    source = method.open(data)
    check_source(source)
    rows, truths, guesses = [], [], []
    total = min(len(source), limit or len(source))
    for start in range(0, total, batch_size):
        numbers = range(start, min(start + batch_size, total))
        readable, cuts = [], []
        for number in numbers:
            rows.append({"name": source.name(number), "status": "measured"})
            try:
                cuts.append(method.sample(source.example(number), np.random.default_rng((seed, 1, number)), False))
                readable.append(rows[-1])
            except (ValueError, OSError) as error:
                rows[-1]["status"] = str(error)
        if cuts:
            judged, omega, mask = judge(model, method.prepare(*map(np.stack, zip(*cuts, strict=True)))[0])
            truths.append(omega)
            guesses.append(mask)
            for i, row in enumerate(readable):
                row.update({name: float(values[i]) for name, values in judged.items()})
        if progress is not None:
            progress(numbers[-1] + 1, total)
    if not truths:
        raise SourceError(f"`data` has no readable image among {len(source)}; give photographs")
    metrics = spotting_metrics(rows, np.concatenate(truths), np.concatenate(guesses), method)
    skipped = {row["name"]: row["status"] for row in rows if row["status"] != "measured"}
    record = method_record(method, metrics, METRICS, skipped=skipped, seed=seed)
    if out is not None:
        record.write(out)
        with writing(Path(out) / "per_image.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def judge(model, inputs):
    """What the networks make of a batch: ``{column: (B,)}``, the damage (B, cells), and the predicted one as logits."""
    painted = model.paint(inputs)
    real, corrupt = (model.discriminator(painted[name], training=False) for name in ("real", "repaired"))
    images, omega = np.asarray(inputs["images"]), np.asarray(inputs["omega"])
    values = {
        "dropped": 1 - omega.mean(axis=(1, 2, 3)),
        "real_logit": _difference(real["logits"]),
        "corrupt_logit": _difference(corrupt["logits"]),
        "class_loss": np.asarray(spotting_loss(real["logits"], corrupt["logits"])),
        "mask_loss": np.asarray(mask_loss(real["mask"], corrupt["mask"], omega)),
        "psnr_autoencoder": psnr(images, painted["autoencoded"]),
        "psnr_damaged": psnr(images, model.decode_damaged(inputs)),
        "psnr_repaired": psnr(images, painted["repaired"]),
        "psnr_mean_color": psnr(images, images.mean(axis=(1, 2), keepdims=True)),
    }
    flat = [np.asarray(x, np.float64).reshape(len(images), -1) for x in (omega, corrupt["mask"])]
    if not all(np.isfinite(x).all() for x in (*values.values(), flat[1])):
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    values["mask_auc"] = np.array([area_under_curve(*pair) for pair in zip(*flat, strict=True)])
    return values, *flat


def spotting_metrics(rows, omega, mask, method):
    """The metrics of :func:`evaluate` from the rows of ``per_image.csv``, the damage and its prediction (N, cells)."""
    measured = [row for row in rows if row["status"] == "measured"]
    column = {name: np.array([row[name] for row in measured]) for name in COLUMNS[2:]}
    right_real, right_corrupt = column["real_logit"] > 0, column["corrupt_logit"] < 0
    labels = np.repeat([REAL, CORRUPT], len(measured))
    return {
        "accuracy": float((right_real.mean() + right_corrupt.mean()) / 2),
        "chance": 0.5,
        "accuracy_real": float(right_real.mean()),
        "accuracy_corrupt": float(right_corrupt.mean()),
        "auc": area_under_curve(labels, np.concatenate([column["real_logit"], column["corrupt_logit"]])),
        "mask_auc": area_under_curve(omega.ravel(), mask.ravel()),
        "mask_accuracy": float(np.mean((mask > 0) == (omega > 0))),
        "mask_accuracy_constant": float(max(omega.mean(), 1 - omega.mean())),
        "loss": float(np.mean(column["class_loss"] + method.mask_weight * column["mask_loss"])),
        "baseline": method.baseline,
        **{name: float(column[name].mean()) for name in COLUMNS if name.startswith("psnr")},
        "theta": float(column["dropped"].mean()),
        "images": float(len(measured)),
        "images_skipped": float(len(rows) - len(measured)),
    }


def psnr(images, others):
    """Peak signal-to-noise ratio in dB of images in [-1, 1], (B, H, W, 3): float64 (B,); at most 100."""
    error = np.square(np.asarray(images, np.float64) - np.asarray(others, np.float64)).mean(axis=(1, 2, 3))
    return 10 * np.log10(2.0**2 / np.maximum(error, 2.0**2 * 1e-10))


def area_under_curve(labels, scores):
    """Area under the ROC curve; NaN where there is one class only."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores)) if 0 < np.mean(labels) < 1 else float("nan")


def _difference(logits):
    logits = np.asarray(logits, np.float64)
    return logits[:, REAL] - logits[:, CORRUPT]


def write_sheet(method, model, data, path, count=6):
    """Draw what the networks make of ``count`` images spread evenly over the source, one row each.

    Beside each row stands the probability of "real" that the discriminator gives the real and the repaired image.
    Damage is black; where it is predicted, the darker the more probable. An autoencoder has neither.
    """

    def cut(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)

    found = spread_examples(method.open(data), count, cut)
    inputs = method.prepare(*map(np.stack, zip(*found, strict=True)))[0]
    columns, labels = {"image": _visible(inputs["images"])}, None
    if model.name == "autoencoder":
        encoder, decoder = (model.get_layer(name) for name in ("encoder", "decoder"))
        features = encoder(inputs["images"], training=False)
        damaged = Damage(method.local_mean)([features, inputs["omega"]])
        columns["autoencoded"] = _visible(decoder(features, training=False))
        columns["damaged"] = _visible(decoder(damaged, training=False))
        columns["damage"] = _squares(inputs["omega"])
    else:
        painted = model.paint(inputs)
        real, corrupt = (model.discriminator(painted[name], training=False) for name in ("real", "repaired"))
        columns["autoencoded"] = _visible(painted["autoencoded"])
        columns["damaged"] = _visible(model.decode_damaged(inputs))
        columns["repaired"] = _visible(painted["repaired"])
        columns["damage"] = _squares(inputs["omega"])
        columns["predicted"] = _squares(expit(np.asarray(corrupt["mask"], np.float64)))
        judged = (expit(_difference(logits["logits"])) for logits in (real, corrupt))
        labels = [f"real {p:.2f}\nrepaired {q:.2f}" for p, q in zip(*judged, strict=True)]
    rows = list(zip(*columns.values(), strict=True))
    picture_sheet(rows, path, titles=list(columns), labels=labels, cell=_CELL)


def _visible(images):
    return np.clip(np.round((np.asarray(images, np.float64) + 1) * 127.5), 0, 255).astype(np.uint8)


def _squares(masks):
    """Masks (B, h, w, 1) in [0, 1] as gray images with hard borders between cells."""
    levels = np.round(255 * np.asarray(masks)[..., 0]).astype(np.uint8)
    return [Image.fromarray(level).resize((_CELL, _CELL), Image.Resampling.NEAREST) for level in levels]
