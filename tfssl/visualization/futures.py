"""Sheets of clips: what was seen, what came, and what was predicted, frame below frame; masks in colors."""

import itertools

import numpy as np
from PIL import ImageColor

from tfssl.visualization.line_plot import COLORS
from tfssl.visualization.sheet import picture_sheet


def futures_sheet(examples, path, *, context, cell=72):
    """Draw the frames of clips as rows below each other, and write them as one PNG; returns the sheet.

    Args:
        examples: list of clips, each ``{label: frames}``: frames (T, H, W, C) as :func:`picture_sheet` takes images,
            or a list of them with None for empty cells. A row that is shorter than the longest of its clip ends with
            it: predictions stand below the frames that they predict.
        path: file to write.
        context: number of frames that were seen; the columns are titled 1, 2, ... and from there on +1, +2, ...
        cell: longest side of a frame on the sheet, in pixels.
    """
    rows, labels = [], []
    for example in examples:
        longest = max(len(frames) for frames in example.values())
        for label, frames in example.items():
            rows.append([None] * (longest - len(frames)) + list(frames))
            labels.append(label)
    numbers = range(1, max(map(len, rows)) + 1)
    titles = [str(number) if number <= context else f"+{number - context}" for number in numbers]
    return picture_sheet(rows, path, titles=titles, labels=labels, cell=cell, margin=4)


def colored_masks(masks):
    """Masks that sum to 1, (..., H, W, M), as mixtures of colors, float64 (..., H, W, 3) in [0, 1].

    The first is white, the others have :data:`~tfssl.visualization.line_plot.COLORS` in their order, again and again.
    """
    count = np.shape(masks)[-1]
    names = ["white", *itertools.islice(itertools.cycle(COLORS), count - 1)]
    return np.asarray(masks, np.float64) @ (np.array([ImageColor.getrgb(name) for name in names]) / 255)
