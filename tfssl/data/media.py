"""Containers of video and sound, read by PyAV: opening them safely, and their sound by seconds."""

import contextlib
import functools
import os
import stat

import numpy as np

from tfssl.errors import SourceError
from tfssl.files import printable

# FFmpeg also follows playlists to other files and to the network; such text passing for a clip stays closed.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,"
    "wav,w64,mp3,aac,flac,caf,aiff,au,amr,ac3,eac3,dts"
)
_PREROLL = 0.5  # seconds decoded before a request: MP3, AAC and Opus need their past
_JITTER = 0.002  # seconds; Matroska rounds time stamps to 1 ms, which is no gap


def require(module, extra):
    """Import what an extra brings; SourceError that says what to install."""
    try:
        return __import__(module)
    except ImportError as error:
        raise SourceError(f"reading this needs the package {module}: pip install 'tfssl[{extra}]' ({error})") from None


def title(path):
    """A file's name for messages."""
    return os.path.basename(printable(path))


def stamp(path):
    """What tells one state of a file from another: what is known about it is cached by path and stamp."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ValueError(f"{title(path)}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device could be waited for without end
        raise ValueError(f"{title(path)}: is no ordinary file")
    if status.st_size == 0:
        raise ValueError(f"{title(path)}: the file is empty")
    return status.st_mtime_ns, status.st_size


@contextlib.contextmanager
def container(path):
    """Open a container; what goes wrong inside becomes a ValueError that names the file."""
    av = require("av", "video")
    stamp(path)
    try:
        with av.open(f"file:{os.fspath(path)}", container_options={"format_whitelist": _FORMATS}) as opened:
            yield opened
    except av.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(
            f"{title(path)}: not a video or sound file that FFmpeg knows, or damaged ({reason})"
        ) from error


def sound_stream(opened, path):
    """The first sound track; ValueError if there is none or no decoder for it."""
    if not opened.streams.audio:
        raise ValueError(f"{title(path)}: has no sound")
    stream = opened.streams.audio[0]
    if stream.codec_context is None or not stream.rate:
        raise ValueError(f"{title(path)}: its sound cannot be decoded (unknown codec)")
    return stream


@functools.lru_cache(maxsize=1024)
def track(path, _):
    """``(rate, channels, seconds from the container's time zero to the true end)`` of the sound; reads packets only."""
    with container(path) as opened:
        stream = sound_stream(opened, path)
        packets = [p for p in opened.demux(stream) if p.size and p.pts is not None]
        if not packets:
            raise ValueError(f"{title(path)}: its sound track holds nothing")
        end = max(p.pts + (p.duration or 0) for p in packets) * stream.time_base
        return stream.rate, stream.channels, float(end)


def decode_track(path, start, count):
    """``count`` samples of the first sound track at its own rate, from sample ``start`` on (perhaps negative).

    Returns:
        float32 (count, channels), zeros where the track has none; and the number of the sample after the last decoded.
        ValueError if a part of it cannot be decoded.
    """
    av = require("av", "video")
    with container(path) as opened:
        stream = sound_stream(opened, path)
        rate, base = stream.rate, stream.time_base
        wanted = np.zeros((count, stream.channels), np.float32)
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
        if start / rate > _PREROLL:
            opened.seek(max(int((start / rate - _PREROLL) / base), 0), stream=stream)
        position = None
        for packet in opened.demux(stream):
            if packet.pts is not None and packet.pts * base * rate > start + count:
                break
            try:
                decoded = [part for frame in packet.decode() for part in _planar(resampler, frame)]
            except av.FFmpegError as error:
                if packet.pts is None or (packet.pts + (packet.duration or 0)) * base * rate <= start:
                    continue  # before the request: decoders complain where a seek has cut off their past
                raise ValueError(
                    f"{title(path)}: its sound ({stream.codec_context.name}) cannot be decoded at "
                    f"{float(packet.pts * base):.2f} s ({error.strerror})"
                ) from error
            for pts, samples in decoded:
                placed = position if pts is None else round(pts * base * rate)
                if position is None or abs(placed - position) > _JITTER * rate:
                    position = placed or 0
                low, high = max(position, start), min(position + len(samples), start + count)
                if low < high:
                    wanted[low - start : high - start] = samples[low - position : high - position]
                position += len(samples)
        if position is None:
            raise ValueError(f"{title(path)}: its sound ({stream.codec_context.name}) cannot be decoded")
    return wanted, position


def _planar(resampler, frame):
    pts = frame.pts
    for part in resampler.resample(frame):
        yield pts, part.to_ndarray().T
        pts = None
