"""Clips with what was done in them: videos or folders of frames, beside them tables of actions and of states."""

import csv
import dataclasses
import os

import numpy as np

from tfssl.data.clips import EXTENSIONS as VIDEOS, Clip, ImageClip, video_stream
from tfssl.data.decode import check_file, check_header
from tfssl.data.listing import EXTENSIONS as IMAGES, expand, natural, short, taken
from tfssl.data.media import container, require
from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.files import printable

TABLES = ("actions", "states")
_ENDINGS = (".csv", ".npy")


@dataclasses.dataclass(frozen=True, eq=False)
class ActionClipSource(Source):
    """``{"clip": Clip or ImageClip, "actions": float32 (T, A), "states": float32 (T, S)}``, tables where they are.

    Row t of the actions is what is done between frame t and the next, row t of the states how things are at frame t. A
    clip whose tables do not fit says why when it is read. Make it by :func:`action_clip_source`.

    Args:
        clips: of each clip its video, or the files of its frames in their order.
        tables: of each clip ``{"actions": path, "states": path}``, those that there are.
        min_size: as in :class:`tfssl.data.clips.Clip`.
    """

    clips: tuple[str | tuple[str, ...], ...]
    tables: tuple[dict, ...]
    min_size: int | None = None

    noun = "clips"

    def __len__(self):
        return len(self.clips)

    def example(self, index):
        files = self.clips[index]
        clip = Clip(files, self.min_size) if isinstance(files, str) else ImageClip(files)
        tables = {name: read_table(path) for name, path in self.tables[index].items()}
        for name, table in tables.items():
            lacks_last = name == "actions" and len(table) == len(clip) - 1
            if len(table) != len(clip) and not lacks_last:
                path = os.path.basename(self.tables[index][name])
                raise ValueError(f"{printable(path)} has {len(table)} rows for {len(clip)} frames; write one a frame")
            if lacks_last:
                tables[name] = np.concatenate([table, np.zeros_like(table[:1])])
        return {"clip": clip, **tables}

    def name(self, index):
        files = self.clips[index]
        return printable(files if isinstance(files, str) else os.path.dirname(files[0]) or ".")

    def sized(self, min_size):
        return dataclasses.replace(self, min_size=min_size)

    def check(self, index):
        files = self.clips[index]
        if not isinstance(files, str):
            check_header(files[0])
            return
        with container(files) as opened:
            video_stream(opened, files)


def action_clip_source(data, min_size=None):
    """Clips with actions, or without, as :class:`ActionClipSource`.

    A clip is a video, with ``NAME.actions.csv`` and ``NAME.states.csv`` beside ``NAME.mp4``; or a folder of images, its
    frames in the order of their numbers, with ``actions.csv`` and ``states.csv`` in it. ``.npy`` will do as well. All
    of them are optional.

    Args:
        data: folder (with its folders), glob, file, or list of files; or a source of such clips.
        min_size: as in :class:`tfssl.data.clips.Clip`.

    Raises:
        SourceError: if there are no clips; if PyAV is missing for videos.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, (list, tuple)) and all(isinstance(item, (str, os.PathLike)) for item in data):
        files = [path for item in data for path in expand(os.fspath(item))]
    elif isinstance(data, (str, os.PathLike)):
        files = expand(os.fspath(data))
    else:
        raise SourceError(f"`data` must be a folder of clips, or a list of them. Received: data={short(data)}")
    kinds = (*VIDEOS, *IMAGES, *(f"{name}{ending}" for name in TABLES for ending in _ENDINGS))
    if isinstance(data, (str, os.PathLike)):
        taken(files, lambda path: path.lower().endswith(kinds), data)  # tells of the others
    frames, clips, tables = {}, [], []
    for path in files:
        if path.lower().endswith(IMAGES):
            frames.setdefault(os.path.dirname(path), []).append(path)
        elif path.lower().endswith(VIDEOS):
            clips.append(path)
            tables.append(_tables(os.path.splitext(path)[0] + "."))
    if clips:
        require("av", "video")
    for folder, paths in frames.items():
        clips.append(tuple(sorted(paths, key=lambda path: natural(os.path.basename(path)))))
        tables.append(_tables(os.path.join(folder, "")))
    if not clips:
        raise SourceError(
            f"`data` holds no clips: videos, or folders of frames, see docs/data.md. Received: data={short(data)}"
        )
    return ActionClipSource(tuple(clips), tuple(tables), min_size)


def read_table(path):
    """A table of numbers, one row a frame: float32 (rows, columns); ValueError, with the line, if it is damaged.

    Args:
        path: of a ``.csv``, with commas, one line of names above it or none; or of a ``.npy``, (rows, columns) or
            (rows,).
    """
    path = os.fspath(path)
    name = printable(os.path.basename(path))
    check_file(path)
    if path.lower().endswith(".npy"):
        try:
            table = np.load(path, allow_pickle=False)
        except Exception as error:  # of damaged files NumPy raises almost anything
            raise ValueError(f"{name} is damaged ({error})") from None
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or table.dtype.kind not in "buif":
            raise ValueError(f"{name} must hold numbers, a row a frame. It has {table.dtype} {table.shape}")
    else:
        table = _read_csv(path, name)
    if not table.size or not np.isfinite(table).all():
        raise ValueError(f"{name} holds {'a number that is infinite or NaN' if table.size else 'no numbers'}")
    return table.astype(np.float32)


def write_clip(example, folder):
    """Write an example as a folder of frames with its tables, as :func:`action_clip_source` reads it.

    Args:
        example: ``{"clip", "actions", "states"}``, tables where they are, such as those of
            :class:`tfssl.data.pushed.PushedSource`.
        folder: made where it is missing; its files of these names are replaced.
    """
    from PIL import Image

    from tfssl.files import writing

    clip = example["clip"]
    for number, frame in enumerate(clip.frames(np.arange(len(clip)))):
        with writing(os.path.join(folder, f"{number:05}.png")) as file:
            Image.fromarray(frame).save(file, format="PNG")
    for name in TABLES:
        if name in example:
            rows = [",".join(f"{value:.8g}" for value in row) for row in example[name].tolist()]
            with writing(os.path.join(folder, f"{name}.csv")) as file:
                file.write(("\n".join(rows) + "\n").encode())


def _tables(start):
    """``{table: path}`` of the files whose paths begin so."""
    found = {}
    for name in TABLES:
        paths = [start + name + ending for ending in _ENDINGS if os.path.isfile(start + name + ending)]
        if len(paths) > 1:
            raise SourceError(f"`data` has {name} twice: {printable(paths[0])!r} and .npy; remove one")
        if paths:
            found[name] = paths[0]
    return found


def _read_csv(path, name):
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name} cannot be read ({error})") from None
    rows = []
    for place, (number, row) in enumerate(lines):
        try:
            rows.append([float(value) for value in row])
        except ValueError:
            if place == 0:  # the names of the columns
                continue
            raise ValueError(f"line {number} of {name} must hold numbers, parted by commas") from None
        if len(rows[-1]) != len(rows[0]):
            raise ValueError(f"line {number} of {name} has {len(rows[-1])} numbers, those before it {len(rows[0])}")
    return np.array(rows, np.float64)
