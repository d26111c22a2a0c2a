"""Drawings of the task: pairs of patches with the true and the predicted grid cell, and which cells are confused."""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from sklearn.metrics import ConfusionMatrixDisplay

from tfssl.data.examples import spread_examples
from tfssl.methods.context_prediction.data import to_batch
from tfssl.ops.patches import DIRECTIONS, OFFSETS
from tfssl.visualization.line_plot import save_figure
from tfssl.visualization.sheet import picture_sheet

_ROWS, _COLUMNS = 4, 6  # of boards on a sheet
_CELL, _GAP, _FRAME = 44, 8, 3  # pixels of a board
_BOARD = 3 * _CELL + 4 * _GAP
_RIGHT, _WRONG, _EMPTY = (30, 150, 60), (200, 40, 40), (225, 225, 225)
_LEGEND = "center: first\npatch; beside it\nthe second, in\nits true cell.\ngreen: found\nred: the answer"


def write_sheet(method, model, data, path):
    """Write boards of 3x3 cells: the first patch in the middle, the second where it belongs, the answer framed.

    One pair of each of up to 24 images, spread over the source and always the same. Patches are shown in color;
    the network sees them as in evaluation.
    """
    patches, logits, pairs, labels = answers(method, model, method.open(data), _ROWS * _COLUMNS)
    boards = []
    for number in range(len(patches)):
        rng = np.random.default_rng(number)
        valid = np.flatnonzero(labels[number] >= 0)
        chosen = valid[rng.integers(len(valid))]
        first, second = patches[number][pairs[number, chosen]]
        boards.append(draw_board(first, second, int(labels[number, chosen]), int(np.argmax(logits[number, chosen]))))
    rows = [boards[i : i + _COLUMNS] for i in range(0, len(boards), _COLUMNS)]
    picture_sheet(rows, path, labels=[_LEGEND, *[""] * (len(rows) - 1)], cell=_BOARD)


def answers(method, model, source, count):
    """Patches in color of up to ``count`` images spread over a source, and what the network makes of them.

    Returns:
        ``(patches, logits, pairs, labels)``: uint8 (n, P, s, s, 3), float32 (n, Q, 8), int (n, Q, 2), int (n, Q).
    """

    def cut(example, seed):
        drawn = method.sample(example, np.random.default_rng(seed), False)
        if (drawn[-1] < 0).all():
            raise ValueError("no two patches beside each other")
        return *drawn, method.colored_patches(example["image"], np.random.default_rng(seed))[0]

    found = spread_examples(source, count, cut)
    planes, kept, starts, pairs, labels, shown = (np.stack(parts) for parts in zip(*found, strict=True))
    inputs = {"patches": tf.constant(to_batch(method, planes, kept, starts)), "pairs": tf.constant(pairs)}
    return shown, np.asarray(model(inputs, training=False)), pairs, labels


def draw_board(first, second, label, predicted):
    """3x3 cells with two patches, uint8 (s, s, 3): the first in the middle, the second in its true cell ``label``.

    The predicted cell is framed, green if it is the true one, red otherwise.
    """
    board = Image.new("RGB", (_BOARD, _BOARD), "white")
    draw = ImageDraw.Draw(board)
    for offset in OFFSETS:
        draw.rectangle(_box(offset), fill=_EMPTY)
    for patch, offset in ((first, (0, 0)), (second, OFFSETS[label])):
        board.paste(Image.fromarray(patch).resize((_CELL, _CELL), Image.Resampling.BICUBIC), _box(offset)[:2])
    left, top, right, bottom = _box(OFFSETS[predicted])
    frame = (left - _FRAME, top - _FRAME, right + _FRAME, bottom + _FRAME)
    draw.rectangle(frame, outline=_RIGHT if label == predicted else _WRONG, width=_FRAME)
    return board


def _box(offset):
    left, top = ((step + 1) * (_CELL + _GAP) + _GAP for step in offset)
    return left, top, left + _CELL - 1, top + _CELL - 1


def write_confusion(confusion, path):
    """Draw a confusion table, int (8, 8): rows are true cells, columns answers, numbers per cent of the row."""
    percent = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axes = figure.subplots()
    table = ConfusionMatrixDisplay(percent, display_labels=DIRECTIONS)
    table.plot(ax=axes, cmap="Blues", values_format=".0f", colorbar=False, xticks_rotation=45)
    axes.set(xlabel="answer (per cent of the row)", ylabel="true")
    save_figure(figure, path)
