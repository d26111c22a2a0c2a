"""Frames of clips with the sound around them, and what is kept of the textures of their sounds."""

import concurrent.futures
import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.clips import Clip, ClipSource, clip_source, video_stream
from tfssl.data.media import container, sound_stream, stamp, title
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.files import printable, writing
from tfssl.ops.arguments import check_integers
from tfssl.ops.sound_texture import SAMPLE_RATE, SHORTEST, STATISTICS, sound_texture


@dataclasses.dataclass(frozen=True)
class SoundWindow:
    """Some seconds of a clip's sound, read when they are asked for.

    Args:
        clip: whose sound it is.
        start: in seconds from the first frame.
        seconds: how long.
        rate: samples a second of :meth:`read`.
        name: what the source calls it.
    """

    clip: Clip
    start: float
    seconds: float
    rate: int
    name: str = ""

    def read(self):
        """The samples, float32 (seconds * rate,), mean of the channels; ValueError where they cannot be read."""
        return self.clip.sound(self.start, self.seconds, rate=self.rate)

    @property
    def key(self):
        """A text that is the same as long as the file is."""
        state = "|".join(map(str, stamp(self.clip.path)))
        return f"{os.path.abspath(self.clip.path)}|{state}|{self.start:.6f}|{self.seconds:g}|{self.rate}"


@dataclasses.dataclass(frozen=True, eq=False)
class SoundingSource(Source):
    """Frames spread evenly over clips, each with the sound around it: ``{"image": PIL.Image, "sound": SoundWindow}``.

    Frame and window of one number are always the same; the frame is the one in the middle of the window. Clips that are
    shorter than a window, or without sound, are found out when they are read. Make it by :func:`sounding_source`.
    """

    clips: ClipSource
    frames: int
    seconds: float
    rate: int

    noun = "frames"

    def __len__(self):
        return len(self.clips) * self.frames

    def name(self, index):
        clip, number = divmod(index, self.frames)
        return f"{printable(self.clips.paths[clip])} {number + 1}/{self.frames}"

    def sound(self, index):
        """The :class:`SoundWindow` of a frame, without decoding that."""
        number, place = divmod(index, self.frames)
        clip = Clip(self.clips.paths[number], self.clips.min_size)
        end = min(clip.seconds, clip.sound_seconds)
        spare = end - self.seconds
        if spare < 0:
            raise ValueError(
                f"{title(clip.path)}: frames and sound together last {max(end, 0):.2f} s, a window {self.seconds:g} s; "
                f"lower seconds"
            )
        start = spare * (place + 0.5) / self.frames
        return SoundWindow(clip, start, self.seconds, self.rate, self.name(index))

    def example(self, index):
        window = self.sound(index)
        (frame,) = window.clip.frames(seconds=[window.start + self.seconds / 2])
        return {"image": Image.fromarray(frame), "sound": window}

    def check(self, index):
        path = self.clips.paths[index // self.frames]
        with container(path) as opened:
            video_stream(opened, path)
            sound_stream(opened, path)


def sounding_source(data, *, frames=10, seconds=3.75, rate=SAMPLE_RATE, min_size=None):
    """A :class:`SoundingSource` of clips.

    Args:
        data: clips, see :func:`tfssl.data.clips.clip_source`.
        frames: of each clip, at least 1.
        seconds: of sound around each frame, at least 0.1.
        rate: samples a second that the sound is read with.
        min_size: frames are decoded no smaller than this shorter side in pixels; None: as they are.

    Raises:
        ConfigError: for a value outside its range.
        SourceError: if there are no clips, or PyAV is missing.
    """
    check_integers(1, frames=frames, rate=rate)
    if not seconds >= SHORTEST:
        raise ConfigError(f"`seconds` must be at least {SHORTEST}. Received: seconds={seconds!r}")
    return SoundingSource(clip_source(data, min_size), frames, float(seconds), rate)


@dataclasses.dataclass(frozen=True, eq=False)
class Part(Source):
    """Some examples of a source, by their numbers in it."""

    whole: Source
    indices: np.ndarray

    def __len__(self):
        return len(self.indices)

    @property
    def noun(self):
        return self.whole.noun

    def example(self, index):
        return self.whole.example(int(self.indices[index]))

    def name(self, index):
        return self.whole.name(int(self.indices[index]))

    def check(self, index):
        self.whole.check(int(self.indices[index]))


def textures(source, cache=None):
    """The textures of the sounds of a source, see :mod:`tfssl.ops.sound_texture`; computed by as many threads as cores.

    Args:
        source: of examples with a ``sound`` that has ``read()`` at 20 kHz; one with ``sound(index)`` decodes no images.
        cache: folder where they are kept, one small file for each sound, and taken from while that stays what it is;
            None for none.

    Returns:
        ``(found, faults)``: float32 (N, 502), NaN where a sound cannot be read, and ``{number: reason}`` of those.
    """

    def one(index):
        try:
            sound = source.sound(index) if hasattr(source, "sound") else source.example(index)["sound"]
            return texture(sound, cache)
        except ConfigError:  # no fault of the sound
            raise
        except (ValueError, OSError) as error:
            return str(error)

    found, faults = np.full((len(source), STATISTICS), np.nan, np.float32), {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, result in enumerate(pool.map(one, range(len(source)))):
            if isinstance(result, str):
                faults[index] = result
            else:
                found[index] = result
    return found, faults


def texture(sound, cache=None):
    """The texture of a sound, float32 (502,), kept in a folder as :func:`textures` says; ValueError if unreadable."""
    if sound.rate != SAMPLE_RATE:
        raise ConfigError(f"`sound` must have {SAMPLE_RATE} samples a second, see `rate`. Received: {sound.rate}")
    key = getattr(sound, "key", None)
    if cache is None or key is None:
        return _computed(sound)
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    file = Path(cache) / name[:2] / f"{name}.npy"
    try:
        found = np.load(file)
        if found.shape == (STATISTICS,):
            return found
    except (OSError, ValueError):  # not there yet, or damaged
        pass
    found = _computed(sound)
    with writing(file) as opened:
        np.save(opened, found)
    return found


def _computed(sound):
    samples = sound.read()
    if len(samples) < SHORTEST * SAMPLE_RATE:
        raise ValueError(f"the sound lasts {len(samples) / SAMPLE_RATE:.3f} s, {SHORTEST} s are the least")
    return sound_texture(samples).astype(np.float32)
