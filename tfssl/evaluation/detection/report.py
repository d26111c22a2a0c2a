"""What is told of an evaluation of detectors: its numbers, a table of classes, a sheet of pictures."""

import csv
import dataclasses
import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.evaluation.detection.scores import Objects, coco_average_precision, voc_average_precision
from tfssl.visualization.line_plot import COLORS
from tfssl.visualization.sheet import picture_sheet

SHOWN = 8
"""Test pictures on the sheet."""

DRAWN_SCORE = 0.5
"""Detections with a lower score are not drawn."""

_CELL = 256
_FONT_SIZE = 13


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A detector trained and tested once.

    Args:
        encoder: ``"encoder"``, ``"untrained"`` or the name of a compared one.
        seed: of the head, of the regions drawn, and of the weights of an untrained network.
        training_loss: mean over the last tenth of the steps.
        voc: average precision of each class, 11 points, float64 (classes,).
        voc_area: the same with the area.
        coco: average precision of each class at each IoU, float64 (10, classes).
        shown: ``{index of a test picture: Objects}``, some of the detections.
    """

    encoder: str
    seed: int
    training_loss: float
    voc: np.ndarray
    voc_area: np.ndarray
    coco: np.ndarray
    shown: dict[int, Objects]

    def metrics(self, classes):
        """``{name: number}`` of this run; means over the classes that have objects."""
        return {
            "map": float(np.nanmean(self.voc)),
            "map_area": float(np.nanmean(self.voc_area)),
            "coco_ap": float(np.nanmean(self.coco)),
            "coco_ap50": float(np.nanmean(self.coco[0])),
            "coco_ap75": float(np.nanmean(self.coco[5])),
            **{f"ap_{name}": float(value) for name, value in zip(classes, self.voc, strict=True)},
            "training_loss": self.training_loss,
        }


def score(found, detected, classes, **about):
    """Score the detections of a run.

    Args:
        found: list of :class:`tfssl.evaluation.detection.data.Example` of the test set.
        detected: list of :class:`Objects` with scores, one for each.
        classes: number of classes.
        **about: ``encoder``, ``seed``, ``training_loss``.

    Returns:
        :class:`Run`.
    """
    truths = [Objects(example.boxes, example.labels, None, example.difficult) for example in found]
    return Run(
        voc=voc_average_precision(truths, detected, classes),
        voc_area=voc_average_precision(truths, detected, classes, interpolation="area"),
        coco=coco_average_precision(truths, detected, classes),
        shown={index: detected[index] for index in shown_indices(len(found))},
        **about,
    )


def shown_indices(count):
    """Indices of the test pictures on the sheet, spread evenly."""
    return np.unique(np.linspace(0, count - 1, SHOWN).round().astype(int)).tolist()


def summary(runs, classes):
    """Mean over the seeds and sample standard deviation (``NAME_std``, 0 for one seed) of each number.

    Args:
        runs: list of :class:`Run`.
        classes: their names.

    Returns:
        ``{name: number}``: ``map`` (VOC 2007: IoU 0.5, 11 points), ``map_area``, ``coco_ap``, ``coco_ap50``,
        ``coco_ap75``, ``ap_CLASS`` and ``training_loss``; of other networks prefixed by their name and ``_``; ``gain``
        and ``coco_gain``, those of ``map`` and ``coco_ap`` over the untrained network.
    """
    numbers = {}
    for name in dict.fromkeys(run.encoder for run in runs):
        own = [run.metrics(classes) for run in runs if run.encoder == name]
        prefix = "" if name == "encoder" else f"{name}_"
        for key in own[0]:
            values = [metrics[key] for metrics in own]
            numbers[prefix + key] = float(np.mean(values))
            numbers[f"{prefix}{key}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if "untrained_map" in numbers:
        numbers["gain"] = numbers["map"] - numbers["untrained_map"]
        numbers["coco_gain"] = numbers["coco_ap"] - numbers["untrained_coco_ap"]
    return numbers


def write_classes(runs, classes, found, path):
    """Write the average precision of each class of each run as CSV, whole or not at all.

    Args:
        runs: list of :class:`Run`.
        classes: their names.
        found: list of :class:`tfssl.evaluation.detection.data.Example` of the test set.
        path: file to write.
    """
    objects = Counter(int(label) for example in found for label in example.labels[~example.difficult])
    path = Path(path)
    unfinished = path.with_name(path.name + ".tmp")
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["encoder", "seed", "class", "objects", "ap_11point", "ap_area", "coco_ap", "coco_ap50"])
        for run in runs:
            columns = (run.voc, run.voc_area, run.coco.mean(axis=0), run.coco[0])
            for number, name in enumerate(classes):
                values = ["" if np.isnan(column[number]) else f"{column[number]:.6f}" for column in columns]
                writer.writerow([run.encoder, run.seed, name, objects[number], *values])
    os.replace(unfinished, path)


def write_sheet(runs, classes, found, path):
    """Draw some test pictures: their objects, and what the first run of each network detects with some certainty.

    Args:
        runs, classes, found: as :func:`write_classes`.
        path: PNG to write.
    """
    first = {}
    for run in runs:
        first.setdefault(run.encoder, run)
    rows = []
    for index in next(iter(first.values())).shown:
        example = found[index]
        image = Image.fromarray(np.uint8(np.round(255 * example.pixels())))
        answers = [Objects(example.boxes, example.labels), *(run.shown[index] for run in first.values())]
        rows.append([draw(image, objects, classes) for objects in answers])
    titles = ["objects", *(f"{name}, score at least {DRAWN_SCORE:g}" for name in first)]
    picture_sheet(rows, path, titles=titles, cell=_CELL)


def draw(image, objects, classes):
    """A copy of a picture with boxes, each in the color of its class, under its name and score.

    Args:
        image: ``PIL.Image``, RGB.
        objects: :class:`Objects`; those with a score below :data:`DRAWN_SCORE` are left out.
        classes: their names.

    Returns:
        ``PIL.Image``, its longer side :data:`_CELL` pixels.
    """
    scale = _CELL / max(image.size)
    drawn = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(_FONT_SIZE)
    for number in reversed(range(len(objects.boxes))):  # the best on top
        if objects.scores is not None and objects.scores[number] < DRAWN_SCORE:
            continue
        box, label = [float(v) * scale for v in objects.boxes[number]], int(objects.labels[number])
        color = COLORS[label % len(COLORS)]
        text = classes[label] + ("" if objects.scores is None else f" {objects.scores[number]:.2f}")
        pen.rectangle([box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])], outline=color, width=2)
        left, top, right, bottom = pen.textbbox((box[0] + 3, box[1] + 2), text, font=font)
        pen.rectangle([left - 3, top - 2, right + 2, bottom + 2], fill=color)
        pen.text((box[0] + 3, box[1] + 2), text, "white", font=font)
    return drawn
