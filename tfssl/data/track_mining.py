"""Tracks of things that move, mined from clips into a folder of crops: ``tfssl prepare tracks``."""

import csv
import dataclasses
import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from tfssl.data.clips import clip_source
from tfssl.data.media import require
from tfssl.data.moving import REASONS, Miner, NoTrack
from tfssl.data.source import Source, check_source
from tfssl.data.track_crops import write_crops, write_table
from tfssl.errors import ConfigError, SourceError
from tfssl.files import cell, check_folder, fitting, locked, printable, read_json, write_json, writing
from tfssl.ops.arguments import check_integers
from tfssl.options import as_path

log = logging.getLogger("tfssl")

_SETTINGS, _CLIPS = "mining.json", "clips"  # what a folder was mined with, and what was found in each clip


@dataclasses.dataclass(frozen=True)
class Mined:
    """What was found: tracks, in how many clips; frames that gave none by reason; clips that cannot be read."""

    tracks: int
    clips: int
    rejected: dict[str, int]
    skipped: dict[str, str]


def mine_tracks(data, out, *, miner=None, every=30, min_size=448, progress=None):
    """Find tracks in clips and write the crops of their first and last frames.

    A track is looked for in every ``every``-th frame. The folder then holds ``crops/``, ``tracks.csv`` (a line for each
    track), ``rejected.csv`` (how many frames gave none, by reason), ``skipped.csv`` (clips that cannot be read) and
    ``clips/``, a file for each clip that is done: the same call goes on where an earlier one was interrupted, and takes
    in what clips have joined.

    Args:
        data: see :func:`tfssl.data.clips.clip_source`; or a source whose examples hold a ``clip``.
        out: folder to write.
        miner: :class:`~tfssl.data.moving.Miner`; None for the paper's values.
        every: frames from one place where a track may begin to the next.
        min_size: larger frames are made smaller while they are decoded, down to this shorter side in pixels (448,
            recalled).
        progress: called with clips done and in all.

    Returns:
        :class:`Mined`.

    Raises:
        SourceError: if there are no clips, none can be read, or OpenCV is not installed.
        ConfigError: if ``out`` holds tracks of other settings, or a value lies outside its range.
    """
    check_integers(1, every=every)
    check_integers(16, min_size=min_size)
    require("cv2", "detection")  # here, so that no clip is named for its absence
    miner, out = miner or Miner(), as_path("out", out)
    source = data if isinstance(data, Source) else clip_source(data, min_size=min_size)
    check_source(source)
    check_folder(out)
    settings = {**dataclasses.asdict(miner), "fractions": list(miner.fractions), "every": every, "min_size": min_size}
    with locked(out, f"`out` {str(out)!r}"):
        _check_settings(out, settings)
        found = []
        for index in range(len(source)):
            name = _name(source, index, data)
            file = out / _CLIPS / f"{_key(name)}.json"
            if not file.is_file():
                write_json(file, _mine_clip(source, index, name, out, miner, every))
            found.append(read_json(file))
            if progress is not None:
                progress(index + 1, len(source))
        return _write_tables(out, found)


def _mine_clip(source, index, name, out, miner, every):
    """What is found in a clip, for JSON: its tracks, rejected frames by reason, or why it cannot be read."""
    tracks, rejected = [], dict.fromkeys(REASONS, 0)
    record = {"clip": name, "tracks": tracks, "rejected": rejected, "error": None}
    try:
        clip = source.example(index)["clip"]
        for start in range(0, len(clip), every):
            try:
                track = miner.track(clip, start)
            except NoTrack as reason:
                rejected[str(reason)] += 1
                continue
            first, last = write_crops(out, f"{_key(name)}-{start:06d}", track.crops)
            boxes = {f"{end}_box": np.round(getattr(track, end), 1).tolist() for end in ("first", "last")}
            numbers = {"start": start, "end": start + miner.length, "points": track.points}
            tracks.append({"first": first, "last": last, **numbers, "moving": round(track.moving, 4), **boxes})
    except (ValueError, OSError) as error:
        record["error"] = str(error)
    return record


def _write_tables(out, found):
    rows = [{"clip": record["clip"], **track} for record in found for track in record["tracks"]]
    for row in rows:
        row |= {end: " ".join(f"{value:g}" for value in row[end]) for end in ("first_box", "last_box")}
    rejected = {reason: sum(record["rejected"][reason] for record in found) for reason in REASONS}
    skipped = {record["clip"]: record["error"] for record in found if record["error"]}
    if len(skipped) == len(found):
        name, reason = next(iter(skipped.items()))
        raise SourceError(f"`data` has no readable clips among {len(found)} ({name}: {reason})")
    write_table(out, rows)
    for name, header, items in (("rejected", "reason,frames", rejected), ("skipped", "file,reason", skipped)):
        with writing(out / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([header.split(","), *([cell(part) for part in item] for item in items.items())])
    return Mined(len(rows), len({row["clip"] for row in rows}), rejected, skipped)


def _check_settings(out, settings):
    """Keep the settings of a folder, and refuse others: ConfigError."""
    file = out / _SETTINGS
    if not file.is_file():
        write_json(file, settings)
        return
    before = read_json(file)
    changed = sorted(name for name in settings if before.get(name) != settings[name])
    if changed:
        name = changed[0]
        raise ConfigError(
            f"`out` {str(out)!r} holds tracks found with {name}={before.get(name)!r}; choose another folder. "
            f"Received: {name}={settings[name]!r}"
        )


def _name(source, index, data):
    """What a clip is called in tables: its path below the folder, where there is one."""
    name = source.name(index)
    if isinstance(data, (str, os.PathLike)) and Path(data).expanduser().is_dir():
        root = Path(printable(Path(data).expanduser()))
        name = Path(name).relative_to(root).as_posix() if Path(name).is_relative_to(root) else name
    return name


def _key(name):
    """A file name for what belongs to a clip: two clips may be called alike."""
    return fitting(Path(name).stem[:80].replace(" ", "_"), f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}")
