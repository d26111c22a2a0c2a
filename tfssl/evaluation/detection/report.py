"""A sheet of what detectors find."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfssl.evaluation.average_precision import Objects
from tfssl.evaluation.runner import spread
from tfssl.visualization.line_plot import COLORS
from tfssl.visualization.sheet import picture_sheet

SHOWN = 8  # test images on the sheet
DRAWN_SCORE = 0.5  # detections with a lower score are not drawn

_CELL = 256
_FONT_SIZE = 13


def write_sheet(path, test, classes, runs):
    """Some test images of a ``ScaledImages``: their objects, and what the first run of each encoder detected."""
    first, rows = [run for run in runs if run.seed == 0], []
    for index in spread(len(test.examples), SHOWN):
        example = test.examples[index]
        image = Image.fromarray(np.uint8(np.round(255 * test(index))))
        answers = [Objects(example["boxes"], example["label"]), *(run.shown[1][index] for run in first)]
        rows.append([draw(image, objects, classes) for objects in answers])
    titles = ["objects", *(f"{run.encoder}, score at least {DRAWN_SCORE:g}" for run in first)]
    picture_sheet(rows, path, titles=titles, cell=_CELL)


def draw(image, objects, classes):
    """A copy of an image with the boxes of ``Objects``, each in the color of its class, under its name and score."""
    scale = _CELL / max(image.size)
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
