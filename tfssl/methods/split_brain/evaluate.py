"""How well channels are predicted from each other, beside constant predictions, and an image of it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.examples import Skipped, spread_examples
from tfssl.errors import ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.split_brain.data import to_example
from tfssl.methods.split_brain.loss import (
    AB_SCALE,
    HHA_SCALE,
    LIGHTNESS_SCALE,
    ab_class,
    channels_of,
    lightness_class,
)
from tfssl.methods.split_brain.network import LIGHTNESS_BINS
from tfssl.ops.ab_bins import CENTERS
from tfssl.ops.color import lab_to_rgb
from tfssl.visualization.sheet import picture_sheet

_LIGHTNESS_CENTERS = (np.arange(LIGHTNESS_BINS, dtype=np.float32) + 0.5)[:, None] * (100.0 / LIGHTNESS_BINS)

_COLORS = {"autoencoder": "colors", "rgbd": "color\nfrom\ndepth"}  # labels of a row of the sheet
_CHANNELS = {"lightness": slice(0, 1), "ab": slice(1, 3), "hha": slice(3, 6)}  # of the maps that are the truth

METRICS = {
    f"{part}_{name}": (unit, higher, {"constant": f"{part}_{name}_constant"})
    for part in ("ab", "lightness", "ab_again", "lightness_again", "hha")
    for name, unit, higher in (("accuracy", "fraction", True), ("loss", "", False), ("rmse", "", False))
} | {"loss": ("", False, {"guessing": "baseline"})}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, batch_size=32, progress=None):
    """Predict the cells of center crops, and compare with what is there; see ``Method.evaluate``.

    Returns:
        :class:`~tfssl.evaluation.record.Record`, for ``ab`` and for ``lightness``, as far as the task predicts them;
        for ``ab_again`` and ``lightness_again`` where it predicts them twice (of ``"mixture"`` where they were seen);
        and for ``hha``, disparity, height and angle together:

        - ``ab_rmse``: root mean square error in units of a, b, L or bytes of HHA, of the mean of the predicted
          distribution or of the regressed value, beside the best constant, the mean of all cells;
        - of classifications ``ab_loss``, cross-entropy in nats, beside the frequencies of the bins in these images, the
          best constant; ``ab_accuracy`` beside that of the most frequent bin;
        - of regressions ``ab_loss`` alone;

        and ``loss`` beside that of guessing, the counts ``images`` and ``images_skipped``.
    """
    source, skipped, loss, done = method.open(data), Skipped(), method.loss(), 0
    tallies = {name: _Tally(name, kind) for name, kind in loss.kinds.items()}
    for lab, truth in method.measured(source, batch_size, skipped, limit=limit, progress=progress):
        scores = model(lab, training=False)
        losses, scores = loss.parts(truth, scores), loss.split_scores(scores)
        for name, tally in tallies.items():
            tally.add(np.asarray(scores[name]), np.asarray(losses[name], np.float64), truth.numpy())
        done += len(lab)
    metrics = {name: value for tally in tallies.values() for name, value in tally.metrics().items()}
    total = sum(loss.weights[name] * metrics[f"{name}_loss"] for name in tallies)
    metrics |= {"loss": total, "baseline": method.baseline}
    metrics |= {"images": float(done), "images_skipped": float(len(skipped.reasons))}
    if not np.isfinite(metrics["loss"]):
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    record = method_record(method, metrics, METRICS, skipped=skipped.reasons)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


class _Tally:
    """Sums over cells of what is known of one prediction."""

    def __init__(self, name, kind):
        self.name, self.of, self.kind = name, channels_of(name), kind
        self.count, self.loss, self.squares, self.right = 0, 0.0, 0.0, 0
        self.sum, self.sum_of_squares = 0.0, 0.0
        self.frequencies = np.zeros(len(CENTERS) if self.of == "ab" else LIGHTNESS_BINS, np.int64)

    def add(self, scores, losses, maps):
        truth = maps[..., _CHANNELS[self.of]].astype(np.float64)
        self.count += losses.size
        self.loss += losses.sum()
        self.squares += np.square(values(self.of, self.kind, scores) - truth).sum()
        self.sum += truth.sum(axis=(0, 1, 2))
        self.sum_of_squares += np.square(truth).sum()
        if self.kind == "classification":
            classes = np.asarray(ab_class(maps[..., 1:3]) if self.of == "ab" else lightness_class(maps[..., 0]))
            self.right += int((scores.argmax(axis=-1) == classes).sum())
            self.frequencies += np.bincount(classes.ravel(), minlength=len(self.frequencies))

    def metrics(self):
        numbers = self.count * len(self.sum)
        variance = self.sum_of_squares - np.square(self.sum).sum() / self.count
        found = {
            "loss": self.loss / self.count,
            "rmse": np.sqrt(self.squares / numbers),
            "rmse_constant": np.sqrt(max(variance, 0.0) / numbers),
        }
        if self.kind == "classification":
            fractions = self.frequencies[self.frequencies > 0] / self.count
            found |= {
                "loss_constant": -np.sum(fractions * np.log(fractions)),
                "accuracy": self.right / self.count,
                "accuracy_constant": fractions.max(),
            }
        return {f"{self.name}_{key}": float(value) for key, value in found.items()}


def values(name, kind, scores):
    """What scores (..., channels) predict in units of a, b, L or bytes of HHA, float64 (..., 1 to 3).

    ``name`` is ``"ab"``, ``"lightness"`` or ``"hha"``. Of classes, their mean.
    """
    scores = np.asarray(scores, np.float64)
    if kind == "regression":
        if name == "ab":
            return scores * AB_SCALE
        return (scores + 1.0) * (LIGHTNESS_SCALE if name == "lightness" else HHA_SCALE)
    likely = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return likely / likely.sum(axis=-1, keepdims=True) @ (CENTERS if name == "ab" else _LIGHTNESS_CENTERS)


def write_sheet(method, model, data, path, count=6):
    """Draw images, one in each column: the truth, its L with the predicted ab, its L, and the predicted L.

    Of task ``"rgbd"``: the truth, its color predicted from depth, its HHA, and the predicted HHA. Predictions of a grid
    are enlarged to the size of the image.
    """
    crops = np.stack(
        spread_examples(method.open(data), count, lambda example, _: method.sample(example, None, False)[0])
    )
    maps, _ = to_example(crops, method.grid_cells)
    loss = method.loss()
    predicted = {
        name: np.stack([_enlarge(one, maps.shape[1]) for one in values(channels_of(name), loss.kinds[name], part)])
        for name, part in loss.split_scores(model(maps, training=False)).items()
    }
    rows, texts = [list(crops[..., :3])], ["picture"]
    if "ab" in predicted:
        level = predicted["lightness"] if method.task == "rgbd" else maps[..., :1]
        rows.append(list(np.asarray(lab_to_rgb(np.concatenate([level, predicted["ab"]], axis=-1)))))
        texts.append(_COLORS.get(method.task, "colors\nfrom\nlightness"))
    if "hha" in predicted:
        rows += [list(crops[..., 3:]), list(np.clip(predicted["hha"] / 255.0, 0.0, 1.0))]
        texts += ["depth", "depth\nfrom\ncolor"]
    elif "lightness" in predicted:
        rows.append([np.clip(one / 100.0, 0.0, 1.0) for one in maps[..., 0]])
        rows.append([np.clip(one[..., 0] / 100.0, 0.0, 1.0) for one in predicted["lightness"]])
        texts += ["lightness", "lightness\nfrom\ncolors" if method.task != "autoencoder" else "lightness\nagain"]
    picture_sheet(rows, path, labels=texts, cell=160)


def _enlarge(grid, size):
    """(h, w, channels) to float32 (size, size, channels), bilinear."""
    channels = [Image.fromarray(channel) for channel in np.moveaxis(grid.astype(np.float32), -1, 0)]
    return np.stack([np.asarray(c.resize((size, size), Image.Resampling.BILINEAR)) for c in channels], axis=-1)
