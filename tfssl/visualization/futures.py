"""Sheets of clips: what was seen, what came, and what was predicted, frame below frame."""

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
