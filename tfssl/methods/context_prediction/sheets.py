"""Pictures of the task: pairs of patches with the true and the predicted grid cell, and which cells are confused."""

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.examples import spread_examples
from tfssl.methods.context_prediction.data import to_batch
from tfssl.ops.patches import DIRECTIONS, NUM_LABELS, OFFSETS
from tfssl.visualization.sheet import picture_sheet, save_png

_ROWS, _COLUMNS = 4, 6  # of boards on a sheet
_CELL, _GAP, _FRAME = 44, 8, 3  # pixels of a board
_RIGHT, _WRONG, _EMPTY = (30, 150, 60), (200, 40, 40), (225, 225, 225)
_LEGEND = "center: first\npatch; beside it\nthe second, at\nits true place.\ngreen: found\nred: the answer"


def write_sheet(method, model, data, path):
    """Write boards of 3x3 cells: the first patch in the middle, the second where it belongs, the answer framed.

    One pair of each of up to 24 images, spread over the source and always the same. Patches are shown in color;
    the network sees them as in evaluation.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        model: its network.
        data: see :func:`tfssl.data.images.image_source`.
        path: PNG to write.

    Raises:
        SourceError: if no image serves.
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
    picture_sheet(rows, path, labels=[_LEGEND, *[""] * (len(rows) - 1)], cell=3 * _CELL + 4 * _GAP)


def answers(method, model, source, count):
    """Patches in color and what the network makes of them.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        model: its network.
        source: a :class:`~tfssl.data.source.Source` of images.
        count: most images to take, spread evenly over the source.

    Returns:
        ``(patches, logits, pairs, labels)``: uint8 (n, P, s, s, 3), float32 (n, Q, 8), int (n, Q, 2), int (n, Q).

    Raises:
        SourceError: if no image serves, or none of them has a pair.
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
    """3x3 cells with two patches.

    Args:
        first: uint8 (s, s, 3), drawn in the middle.
        second: uint8 (s, s, 3), drawn in its true cell.
        label: the true cell.
        predicted: the cell to frame: green if it is the true one, red otherwise.

    Returns:
        ``PIL.Image``.
    """
    side = 3 * _CELL + 4 * _GAP
    board = Image.new("RGB", (side, side), "white")
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
    """Draw a confusion table: rows are true cells, columns answers, numbers per cent of the row.

    Args:
        confusion: int (8, 8).
        path: PNG to write.
    """
    fraction = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    font = ImageFont.load_default(14)
    cell, left, top = 58, 100, 70
    image = Image.new("RGB", (left + NUM_LABELS * cell + 8, top + NUM_LABELS * cell + 8), "white")
    draw = ImageDraw.Draw(image)
    draw.text((left - 6, top - 4), "true", "black", font, anchor="rd")
    draw.text((left, 8), "answer (per cent of the row)", "black", font)
    for row in range(NUM_LABELS):
        draw.text((left - 6, top + (row + 0.5) * cell), DIRECTIONS[row], "black", font, anchor="rm")
        heading = DIRECTIONS[row].replace(" ", "\n")
        draw.multiline_text((left + (row + 0.5) * cell, top - 4), heading, "black", font, anchor="md", align="center")
        for column in range(NUM_LABELS):
            x, y, value = left + column * cell, top + row * cell, fraction[row, column]
            shade = round(255 * (1 - min(1.0, value)))
            draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=(shade, shade, 255))
            ink = "white" if value > 0.5 else "black"
            draw.text((x + cell / 2, y + cell / 2), f"{100 * value:.0f}", ink, font, anchor="mm")
    save_png(image, path)
