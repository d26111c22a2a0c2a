"""Pairs of crops that a track joins: what ``tfssl prepare tracks`` writes, read back; and such pairs rendered."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.clips import ImageClip
from tfssl.data.decode import check_header
from tfssl.data.listing import check_inside, folder, short
from tfssl.data.moving import BOX, cut_box
from tfssl.data.rendered import FrameClip
from tfssl.data.scenes import scene_clips
from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.files import cell, printable, read_table, writing

TABLE = "tracks.csv"
COLUMNS = ("clip", "start", "end", "first", "last", "moving", "points", "sure", "first_box", "last_box")
"""Of :data:`TABLE`: the clip, numbers of its frames, files of both crops, and how the track was found."""

BUILTIN_SCENES = 1000
"""Rendered from the builtin photographs where data is ``"builtin"``, one track of each."""

_QUALITY = 95


@dataclasses.dataclass(frozen=True, eq=False)
class TrackCropSource(Source):
    """Crops of the first and of the last frame of tracks, ``{"clip": ImageClip of both, "label": int32}``.

    The label is the number of the clip that the track was found in. Make it by :func:`track_crop_source`.
    """

    pairs: tuple[tuple[str, str], ...]
    clips: tuple[int, ...]

    noun = "tracks"

    def __len__(self):
        return len(self.pairs)

    def example(self, index):
        return {"clip": ImageClip(self.pairs[index]), "label": np.int32(self.clips[index])}

    def name(self, index):
        return printable(self.pairs[index][0])

    def check(self, index):
        for path in self.pairs[index]:
            check_header(path)


@dataclasses.dataclass(frozen=True, eq=False)
class SceneCropSource(Source):
    """The same of rendered scenes, whose things need not be found: ``{"clip": FrameClip, "label": int32}``."""

    scenes: Source

    noun = "rendered tracks"

    def __len__(self):
        return len(self.scenes)

    def example(self, index):
        clip = self.scenes.example(index)["clip"]
        ends = [0, len(clip) - 1]
        frames = clip.frames(ends)
        half = round(BOX * min(frames.shape[1:3])) / 2
        middles = (clip.boxes[ends, :2] + clip.boxes[ends, 2:]) / 2
        boxes = np.concatenate([middles - half, middles + half], axis=1)
        crops = [cut_box(frame, box) for frame, box in zip(frames, boxes, strict=True)]
        return {"clip": FrameClip(np.stack(crops)), "label": np.int32(index)}

    def check(self, index):
        """Nothing to find out: everything is drawn."""


def track_crop_source(data):
    """Pairs of crops of tracks, as :class:`TrackCropSource`.

    Args:
        data: a folder that ``tfssl prepare tracks`` wrote, or one that holds such folders; or ``"builtin"``: tracks of
            scenes that are rendered from the builtin photographs, a :class:`SceneCropSource`.

    Raises:
        SourceError: if there are no tracks.
    """
    if isinstance(data, Source):
        return data
    if data == "builtin":
        return SceneCropSource(scene_clips("builtin", count=BUILTIN_SCENES))
    root = folder(data, " that `tfssl prepare tracks` wrote")
    found = [root] if (root / TABLE).is_file() else sorted(p for p in root.iterdir() if (p / TABLE).is_file())
    if not found:
        raise SourceError(
            f"`data` holds no {TABLE}; make it of clips: tfssl prepare tracks CLIPS --out DIR. "
            f"Received: data={short(os.fspath(data))}"
        )
    pairs, clips, numbers = [], [], {}
    for place in found:
        for row in read_table(place / TABLE):
            if not {"clip", "first", "last"} <= row.keys():
                raise SourceError(f"`data`: {str(place / TABLE)!r} must have the columns {', '.join(COLUMNS)}")
            for role in ("first", "last"):
                check_inside(row[role], "a crop")
            pairs.append((str(place / row["first"]), str(place / row["last"])))
            clips.append(numbers.setdefault((place, row["clip"]), len(numbers)))
    if not pairs:
        raise SourceError(f"`data` holds no tracks: {TABLE} is empty. Received: data={short(os.fspath(data))}")
    return TrackCropSource(tuple(pairs), tuple(clips))


def write_crops(out, stem, crops):
    """Write the crops of a track as ``crops/STEM-first.jpg`` and ``-last.jpg`` in a folder; gives both names in it.

    Args:
        out: the folder.
        stem: what the files begin with.
        crops: uint8 (2, H, W, 3).
    """
    names = [f"crops/{stem}-{end}.jpg" for end in ("first", "last")]
    for name, crop in zip(names, crops, strict=True):
        with writing(Path(out) / name) as file:
            Image.fromarray(crop).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return names


def write_table(out, rows):
    """Write the rows of tracks, dicts of :data:`COLUMNS`, as :data:`TABLE` in a folder."""
    with writing(Path(out) / TABLE, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([cell(row.get(column, "")) for column in COLUMNS] for row in rows)
