"""Sounds: recordings read by seconds, and the sound of videos."""

import csv
import dataclasses
import functools
import math
import os

import numpy as np

from tfssl.data.listing import PathSource, check_inside, list_files, log, match, refuse_options, short
from tfssl.data.media import decode_track, require, stamp, title, track
from tfssl.errors import SourceError

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".m4a",
              ".aac", ".mka", ".wma", ".amr", ".mp4", ".m4v", ".mov", ".mkv", ".webm")  # fmt: skip
"""File names that count as sounds in folders, lower case."""

_BY_SOUNDFILE = EXTENSIONS[: EXTENSIONS.index(".m4a")]
_NEEDS_PAST = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
_RESERVOIR = 32 * 1152  # samples: frames of MP3 hold data of up to 23 frames before, and libsndfile seeks without them
_LATE = 0.02  # seconds by which a header may err before it is called a lie


@dataclasses.dataclass(frozen=True)
class Sound:
    """A recording, or the first sound track of a video. Nothing is read before it is asked for.

    Args:
        path: of the file.
        resampled: samples a second that :meth:`read` gives; None: as the file has them.
        origin: seconds of the file's time that count as 0.
    """

    path: str
    resampled: int | None = None
    origin: float = 0.0

    @property
    def rate(self):
        """Samples a second of what :meth:`read` gives."""
        return self.resampled or self._facts[0]

    @property
    def channels(self):
        """Number of channels in the file."""
        return self._facts[1]

    @property
    def seconds(self):
        """Length. Of what PyAV reads, the end of the last packet, not what the header says."""
        return self._facts[2] - self.origin

    @property
    def _facts(self):
        return _facts(os.fspath(self.path), stamp(self.path))[:3]

    def read(self, start=0.0, seconds=None, *, mono=True, pad=False):
        """Samples from ``start`` on, float32 in [-1, 1]: (n,), or (n, channels) if not ``mono``; silence is zeros.

        Args:
            start: in seconds from the beginning, at least 0.
            seconds: how many; None: up to the end. ``round(seconds * rate)`` samples are given.
            mono: mean of the channels, instead of all.
            pad: where the sound ends earlier, fill up with zeros instead of raising.

        Raises:
            ValueError: naming the file, if it is empty, damaged, has no sound, ends before the request does, or less
                than one sample is asked for.
        """
        native = self._facts[0]
        rate = self.rate
        if seconds is None:
            seconds = max(self.seconds - start, 0.0)
        count = round(seconds * rate) if start >= 0 and math.isfinite(seconds) else 0
        if count < 1:
            raise ValueError(
                f"{title(self.path)}: ask for at least one sample from `start` >= 0 on; the sound is "
                f"{self.seconds:.3f} s long. Received: start={start}, seconds={seconds}"
            )
        if start + seconds > self.seconds + 1 / min(rate, native) and not pad:
            raise ValueError(
                f"{title(self.path)}: the sound ends at {self.seconds:.3f} s; ask for less, or set pad=True. Received: "
                f"start={start}, seconds={seconds}"
            )
        first = round((start + self.origin) * native)
        samples = self._samples(first, count) if rate == native else self._resampled(first, count, native, rate)
        samples = np.clip(samples.mean(axis=1) if mono else samples, -1.0, 1.0)
        return samples.astype(np.float32, copy=False)

    def _resampled(self, first, count, native, rate):
        from scipy.signal import resample_poly

        common = math.gcd(rate, native)
        up, down = rate // common, native // common
        # What lies around a window has its part in it: as much as the filter is long, in whole periods.
        periods = -(-10 * max(up, down) // (up * down)) + 1
        needed = -(-count * down // up) + 2 * periods * down
        padded = resample_poly(self._samples(first - periods * down, needed), up, down, axis=0)
        return padded[periods * up : periods * up + count]

    def _samples(self, first, count):
        native, _, end, by_soundfile = _facts(os.fspath(self.path), stamp(self.path))
        if by_soundfile:
            samples, reached = _read_soundfile(self.path, first, count)
        else:
            samples, reached = decode_track(self.path, first, count)
        if reached < min(first + count, round(end * native)) - _LATE * native:
            raise ValueError(
                f"{title(self.path)}: the sound breaks off at {reached / native:.3f} s, its header promises {end:.3f} s"
            )
        return samples


@functools.lru_cache(maxsize=4096)
def _facts(path, state):
    """``(rate, channels, seconds, whether soundfile reads it)``."""
    if not path.lower().endswith(_BY_SOUNDFILE):
        return *track(path, state), False
    soundfile = require("soundfile", "sound")
    try:
        with soundfile.SoundFile(path) as file:
            facts = file.samplerate, file.channels, file.frames / file.samplerate, True
    except soundfile.LibsndfileError:  # its reasons can be far off, such as that there is no file
        try:  # a name may lie
            return *track(path, state), False
        except ValueError:
            raise ValueError(f"{title(path)}: no sound file that libsndfile or FFmpeg knows, or damaged") from None
    if file.frames < 1:
        raise ValueError(f"{title(path)}: holds no samples")
    return facts


def _read_soundfile(path, first, count):
    soundfile = require("soundfile", "sound")
    before = max(-first, 0)
    try:
        with soundfile.SoundFile(path) as file:
            samples = np.zeros((count, file.channels), np.float32)
            begin = max(first, 0)
            if begin >= file.frames or before >= count:
                return samples, file.frames
            entered = max(begin - _RESERVOIR, 0) if file.subtype in _NEEDS_PAST else begin
            file.seek(entered)
            read = file.read(begin - entered + count - before, dtype="float32", always_2d=True)[begin - entered :]
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{title(path)}: the sound is damaged ({error.error_string})") from error
    samples[before : before + len(read)] = read
    return samples, begin + len(read)


@dataclasses.dataclass(frozen=True)
class SoundSource(PathSource):
    """Recordings, ``{"sound": Sound}``; with ``labels`` also ``{"label": int}``, a number in ``classes``.

    ``rate`` is in samples a second, None for that of each file; ``folds`` are those of the table of labels.
    """

    paths: tuple[str, ...]
    rate: int | None = None
    labels: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()

    noun = "sounds"

    def example(self, index):
        sound = {"sound": Sound(self.paths[index], self.rate)}
        return {**sound, "label": self.labels[index]} if self.labels else sound

    def take(self, indices):
        """The sounds of these numbers, in this order."""
        chosen = {
            name: tuple(values[i] for i in indices)
            for name in ("paths", "labels", "folds")
            if (values := getattr(self, name))
        }
        return dataclasses.replace(self, **chosen)

    def check(self, index):
        _facts(self.paths[index], stamp(self.paths[index]))


def sound_source(data, rate=None, *, labels=None, folds=None):
    """Recordings of a folder, a glob, a file or a list as :class:`SoundSource`; videos count, by their sound.

    Args:
        data: see :func:`tfssl.data.listing.list_files`; or a :class:`SoundSource`.
        rate: samples a second that they are read with; None: as each file has them.
        labels: a CSV with a header and the columns ``filename``, ``category`` and perhaps ``fold``, as ESC-50's
            ``meta.csv``. Only the files that it names are taken, in its order.
        folds: only the files of these folds, such as ``(1, 2, 3)``.

    Raises:
        SourceError: in one line, if there are no sounds, or the table is damaged or names no file that is there.
    """
    if rate is not None and rate < 1:
        raise SourceError(f"`rate` must be at least 1 sample a second. Received: rate={rate}")
    if isinstance(data, SoundSource):
        refuse_options(labels=labels, folds=folds)
        return data if rate is None else dataclasses.replace(data, rate=rate)
    paths = list_files(data, EXTENSIONS, "sounds")
    if labels is None:
        if folds is not None:
            raise SourceError(f"`folds` needs the table of `labels`. Received: folds={folds}")
        return SoundSource(paths, rate)
    rows = _label_rows(labels)
    classes = tuple(sorted({row["category"] for row in rows}))
    there = {os.path.basename(path): path for path in paths}
    groups = match({"sound": there, "label": {row["filename"]: row for row in rows}}).values()
    absent = [group["label"]["filename"] for group in groups if group["sound"] is None]
    if len(absent) == len(rows):
        raise SourceError(f"`labels` names no file of `data` (first: {absent[:1]}). Received: labels={short(labels)}")
    unlabeled = sum(group["label"] is None for group in groups)
    if absent or unlabeled:
        log.warning(
            "%s: %d files that it names are missing %s, %d files have no label and are left out",
            title(labels), len(absent), absent[:3], unlabeled,
        )  # fmt: skip
    if folds is not None:
        wanted = {str(fold) for fold in np.atleast_1d(folds).tolist()}
        rows = [row for row in rows if row.get("fold") in wanted]
    if not rows:
        raise SourceError(f"`folds` names none of the table's folds. Received: folds={folds}")
    folder = os.path.dirname(paths[0])
    return SoundSource(
        tuple(there.get(row["filename"], os.path.join(folder, row["filename"])) for row in rows),
        rate,
        tuple(classes.index(row["category"]) for row in rows),
        classes,
        tuple(row.get("fold", "") for row in rows),
    )


def _label_rows(path):
    received = f"Received: labels={short(os.fspath(path))}"
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"`labels` is no CSV in UTF-8 ({error}). {received}") from None
    if not rows or not {"filename", "category"} <= rows[0].keys():
        raise SourceError(f"`labels` must have rows and the columns filename and category. {received}")
    for number, row in enumerate(rows, start=2):
        if not row["filename"] or not row["category"]:
            raise SourceError(f"`labels` has no filename or no category in line {number}. {received}")
        row["filename"], row["category"] = row["filename"].strip(), row["category"].strip()
        check_inside(row["filename"], f"the filename in line {number} of {title(path)!r}")
    return rows
