"""What is told of detectors: a table of classes, a sheet of images."""

from collections import Counter

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.evaluation.average_precision import Objects
from tfssl.visualization.line_plot import COLORS

SHOWN = 8
"""Test images on the sheet."""

DRAWN_SCORE = 0.5
"""Detections with a lower score are not drawn."""

CELL = 256
"""Longer side of an image on the sheet, in pixels."""

_FONT_SIZE = 13


def shown_indices(count):
    """Indices of the test images on the sheet, spread evenly."""
    return np.unique(np.linspace(0, count - 1, SHOWN).round().astype(int)).tolist()


def class_rows(scores, classes, examples):
    """The average precision of each class in one run, as rows of ``classes.csv``.

    Args:
        scores: ``{"ap_11point", "ap_area", "coco_ap", "coco_ap50": float (classes,)}``.
        classes: their names.
        examples: of the test set, see :func:`tfssl.evaluation.detection.data.scaled_examples`.

    Returns:
        list of dicts.
    """
    objects = Counter(int(label) for example in examples for label in example["label"][~example["difficult"]])
    return [
        {"class": name, "objects": objects[number], **{key: float(values[number]) for key, values in scores.items()}}
        for number, name in enumerate(classes)
    ]


def draw(image, objects, classes):
    """A copy of an image with boxes, each in the color of its class, under its name and score.

    Args:
        image: ``PIL.Image``, RGB.
        objects: :class:`~tfssl.evaluation.average_precision.Objects`; those with a score below :data:`DRAWN_SCORE` are
            left out.
        classes: their names.

    Returns:
        ``PIL.Image``, its longer side :data:`CELL` pixels.
    """
    scale = CELL / max(image.size)
    drawn = image.resize([max(1, round(extent * scale)) for extent in image.size], Image.Resampling.BICUBIC)
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
