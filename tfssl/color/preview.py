"""Contact sheets of photographs before and after: what became of a whole folder, at a glance."""

import itertools
from pathlib import Path

from tfssl.data.photo import decode_photo
from tfssl.visualization.sheet import picture_sheet

ROWS = 12
"""Photographs on a sheet."""

_CELL = 240  # pixels


def draw_previews(rows, out, titles):
    """Draw photographs beside their results, :data:`ROWS` on a sheet: ``out/preview/001.png`` and on.

    Args:
        rows: ``[(label, [path of the photograph, path of a result or None, ...]), ...]``, at least one.
        out: folder of the results. Where some of them lie in ``preview/`` themselves, it is ``preview-2/``, and so on.
        titles: of the columns.

    Returns:
        The files written.
    """
    out = Path(out)
    taken = {Path(path).parent for _, paths in rows for path in paths[1:] if path}
    names = itertools.chain(["preview"], (f"preview-{number}" for number in itertools.count(2)))
    folder = next(out / name for name in names if out / name not in taken)
    sheets = []
    for start in range(0, len(rows), ROWS):
        page = rows[start : start + ROWS]
        sheets.append(folder / f"{len(sheets) + 1:03d}.png")
        images = [[_read(path) for path in paths] for _, paths in page]
        picture_sheet(images, sheets[-1], titles=titles, labels=[label for label, _ in page], cell=_CELL)
    return sheets


def _read(path):
    """An image, no larger than it is drawn; None where there is none."""
    try:
        return None if path is None else decode_photo(path, min_size=_CELL)[0]
    except ValueError:  # it was told when it failed
        return None
