"""A sheet of tracks: where they begin and end in their clips, and the crops that they join."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.decode import decode_image
from tfssl.data.source import Source
from tfssl.data.track_crops import TABLE
from tfssl.errors import SourceError
from tfssl.files import read_table
from tfssl.visualization.sheet import GOOD, picture_sheet


def track_sheet(source, folder, path, count=8):
    """Draw tracks that are spread evenly over a folder of :func:`tfssl.data.track_mining.mine_tracks`, a row each.

    Args:
        source: the clips that they were found in, in any order; names end as those in the table.
        folder: with the table of tracks.
        path: PNG to write.
        count: rows at most.

    Raises:
        SourceError: if there are no tracks.
    """
    rows = read_table(Path(folder) / TABLE)
    if not rows:
        raise SourceError(f"`folder` {str(folder)!r} holds no tracks, so there is no sheet of them")
    chosen = [rows[i] for i in np.linspace(0, len(rows), min(count, len(rows)), endpoint=False).astype(int)]
    pictures, labels = [], []
    for row in chosen:
        first, last = _frames(source, row)
        frames = (_marked(first, row["first_box"]), _marked(last, row["last_box"]))
        pictures.append([*frames, *(decode_image(Path(folder) / row[end]) for end in ("first", "last"))])
        name = Path(row["clip"]).name
        labels.append(f"{name[:16]}\nframes {row['start']}\nto {row['end']}\n{float(row['moving']):.0%} move")
    picture_sheet(pictures, path, titles=["first frame", "last frame", "first crop", "last crop"], labels=labels)


def _frames(source: Source, row):
    index = next(i for i in range(len(source)) if source.name(i).endswith(row["clip"]))
    return source.example(index)["clip"].frames([int(row["start"]), int(row["end"])])


def _marked(frame, box):
    image = Image.fromarray(frame)
    corners = [float(value) for value in box.split()]
    ImageDraw.Draw(image).rectangle(corners, outline=GOOD, width=max(2, min(image.size) // 70))
    return image
