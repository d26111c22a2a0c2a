"""Clips: video files of which only the frames that are asked for are decoded.

Headers lie about lengths, so the frames are counted: by their packets, which costs no decoding, and where packets and
header disagree, time stamps are missing or packets are damaged, by decoding once. Cached for the life of the process.
"""

import array
import bisect
import dataclasses
import functools
import os

import numpy as np

from tfssl.data.decode import MAX_PIXELS, decode_image
from tfssl.data.listing import PathSource, list_files, log
from tfssl.data.maps import same_size
from tfssl.data.media import container, require, stamp, title
from tfssl.data.orientation import check_unturned
from tfssl.data.sounds import Sound

EXTENSIONS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp")
"""File names that count as clips in folders, lower case."""

_UNKNOWN = np.iinfo(np.int64).min  # of time stamps
_SELECTIVE = ("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video")
"""Decoders that can be told packet by packet to leave out a frame that no other frame refers to."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Index:
    """What is known of a clip: of each frame, in the order of showing, its time stamp; of key frames where to seek."""

    times: np.ndarray  # int64, time stamps of the frames; counted from 0 where the file has none
    timed: bool  # whether the file has time stamps: without them only decoding from the start finds a frame
    key_times: np.ndarray  # int64, sorted, of key frames
    key_seeks: np.ndarray  # int64, where to seek for each of them
    base: float  # seconds of one unit
    last: int  # units that the last frame is shown
    has_sound: bool

    @property
    def origin(self):
        return float(self.times[0] * self.base) if self.timed else 0.0


@dataclasses.dataclass(frozen=True)
class Clip:
    """A video file; ``len(clip)`` is the number of frames that can be decoded, whatever its header says.

    Times are in seconds from the first frame. Frames are upright (the file's rotation applied), pixels as stored.

    Args:
        path: of the file.
        min_size: frames are made smaller while they are decoded, down to this shorter side in pixels; None: as stored.
    """

    path: str
    min_size: int | None = None

    def __len__(self):
        return len(self._index.times)

    @property
    def seconds(self):
        """Time from the first frame to the end of the last."""
        index = self._index
        return float((index.times[-1] - index.times[0] + index.last) * index.base)

    @property
    def rate(self):
        """Frames a second, in the mean."""
        return len(self) / self.seconds

    @property
    def times(self):
        """Seconds at which each frame appears, float64 (frames,); at unequal distances where the rate varies."""
        index = self._index
        return (index.times - index.times[0]) * index.base

    @property
    def has_sound(self):
        """Whether there is a sound track; it may still be silent."""
        return self._index.has_sound

    @property
    def _index(self):
        return _index(os.fspath(self.path), stamp(self.path))

    def frames(self, indices=None, *, seconds=None):
        """Decode frames to uint8 (n, H, W, 3), sRGB, by number or by time: the one that is on screen then.

        Args:
            indices: numbers in [0, len(clip)), in any order, repeated ones too.
            seconds: times in [0, clip.seconds), instead.

        Raises:
            ValueError: naming the file, if a frame lies outside or cannot be decoded.
        """
        if (indices is None) == (seconds is None):
            raise ValueError("give either `indices` or `seconds` of the frames")
        index = self._index
        if seconds is not None:
            indices = self._at(np.atleast_1d(np.asarray(seconds, np.float64)), index)
        indices = np.atleast_1d(np.asarray(indices))
        if indices.ndim != 1 or not len(indices) or indices.dtype.kind not in "iu":
            raise ValueError(f"`indices` must be whole numbers, at least one. Received: indices={indices.tolist()}")
        count = len(index.times)
        outside = indices[(indices < 0) | (indices >= count)]
        if len(outside):
            raise ValueError(f"{title(self.path)}: has no frame {outside[0]}, its true length is {count} frames")
        wanted, places = np.unique(indices, return_inverse=True)
        frames = None
        for row, image in enumerate(_decode(self.path, index, wanted.tolist(), self.min_size)):
            if frames is None:
                frames = np.empty((len(wanted), *image.shape), np.uint8)
            frames[row] = image
        return frames if np.array_equal(places, np.arange(len(wanted))) else frames[places]

    def sound(self, start=0.0, seconds=None, *, rate=None, mono=True, pad=False):
        """Sound from ``start`` on, as :meth:`tfssl.data.sounds.Sound.read`; time 0 is that of the first frame.

        Digital silence comes as zeros; where the track begins after the first frame, zeros come before it. ValueError
        if there is no sound, it cannot be decoded though the frames can, or it ends before the request does.
        """
        return self._sound(rate).read(start, seconds, mono=mono, pad=pad)

    @property
    def sound_seconds(self):
        """Time from the first frame to the end of the sound; ValueError if there is none."""
        return self._sound(None).seconds

    def _sound(self, rate):
        if not self.has_sound:
            raise ValueError(f"{title(self.path)}: has no sound")
        return Sound(self.path, rate, self._index.origin)

    def _at(self, seconds, index):
        outside = seconds[~((seconds >= 0) & (seconds < self.seconds))]
        if len(outside):
            raise ValueError(
                f"{title(self.path)}: has no frame at {outside[0]:g} s, its true length is {self.seconds:.3f} s"
            )
        # Containers round time stamps to their unit: i / rate must find frame i.
        units = seconds / index.base + min(0.5, 0.001 / index.base) + 1e-6
        return np.searchsorted(index.times - index.times[0], units, side="right") - 1


@dataclasses.dataclass(frozen=True)
class ImageClip:
    """Image files as the frames of a clip, with what :class:`Clip` has for pictures.

    Args:
        paths: of the files, in the order of the frames.
    """

    paths: tuple[str, ...]

    def __len__(self):
        return len(self.paths)

    def frames(self, indices):
        """Frames by their numbers, uint8 (n, H, W, 3); ValueError if one is stored turned, or if their sizes differ."""
        found = {}
        for index in map(int, indices):
            if index not in found:
                check_unturned(self.paths[index], "cameras are those of images as they are stored")
                found[index] = decode_image(self.paths[index])
        same_size(**{os.path.basename(self.paths[index]): image for index, image in found.items()})
        return np.stack([np.asarray(found[int(index)]) for index in indices])


@dataclasses.dataclass(frozen=True)
class ClipSource(PathSource):
    """Video files, ``{"clip": Clip}``; ``min_size`` as in :class:`Clip`."""

    paths: tuple[str, ...]
    min_size: int | None = None

    noun = "clips"

    def example(self, index):
        return {"clip": Clip(self.paths[index], self.min_size)}

    def sized(self, min_size):
        return dataclasses.replace(self, min_size=min_size)

    def check(self, index):
        with container(self.paths[index]) as opened:
            video_stream(opened, self.paths[index])


def clip_source(data, min_size=None):
    """A :class:`ClipSource` of a folder, a glob, a file or a list, see :func:`tfssl.data.listing.list_files`.

    ``min_size`` as in :class:`Clip`. SourceError if there are no clips, or PyAV is missing.
    """
    require("av", "video")
    source = data if isinstance(data, ClipSource) else ClipSource(list_files(data, EXTENSIONS, "clips"))
    return source if min_size is None else source.sized(min_size)


def video_stream(opened, path):
    """The first video track that is no cover image, decoded by one thread: clips are what is decoded in parallel."""
    av = require("av", "video")
    for stream in opened.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        codec = stream.codec_context
        if codec is None:
            raise ValueError(f"{title(path)}: its video cannot be decoded (unknown codec)")
        if codec.width * codec.height > MAX_PIXELS:
            raise ValueError(f"{title(path)}: {codec.width}x{codec.height} is more than {MAX_PIXELS / 1e6:.0f} Mpx")
        codec.thread_count = 1
        return stream
    raise ValueError(f"{title(path)}: has no video track")


@functools.lru_cache(maxsize=1024)
def _index(path, _):
    with container(path) as opened:
        stream = video_stream(opened, path)
        announced, base, rate = stream.frames, float(stream.time_base), float(stream.guessed_rate or 25)
        packets = array.array("q")  # an hour of clip has 90,000: plain integers, no objects
        # AVI has no time stamps: where frames are not stored in the order of showing, those that FFmpeg makes up lie.
        broken = opened.format.name == "avi" and stream.codec_context.has_b_frames
        try:
            for packet in opened.demux(stream):
                if packet.size:
                    pts, dts = (_UNKNOWN if time is None else time for time in (packet.pts, packet.dts))
                    broken |= packet.is_corrupt or packet.is_discard or pts == _UNKNOWN
                    packets.extend((pts, dts, packet.is_keyframe, packet.duration or 0))
        except require("av", "video").FFmpegError:
            broken = True
        has_sound = bool(opened.streams.audio)
    if not packets:
        raise ValueError(f"{title(path)}: holds no frames")
    pts, dts, key, duration = np.array(packets, np.int64).reshape(-1, 4).T
    times = np.sort(pts)
    if broken or announced not in (0, len(pts)) or not _rises(times):
        times = _decoded_times(path)
    if announced and announced != len(times):
        log.warning("%s: its header announces %d frames, it holds %d", title(path), announced, len(times))
    timed = _rises(times)
    order = np.lexsort((dts, pts))
    keys = order[(key[order] != 0) & (pts[order] != _UNKNOWN)]
    if not timed:
        times, keys, base = np.arange(len(times)), keys[:0], 1 / rate
    step = (times[-1] - times[0]) / max(len(times) - 1, 1)
    last = int(duration[pts == times[-1]].max(initial=0)) or round(step) or 1
    seeks = np.where(dts == _UNKNOWN, pts, dts)[keys]
    return _Index(times, timed, pts[keys], seeks, base, last, has_sound)


def _rises(times):
    """Whether each frame has a time stamp of its own, in the order of showing."""
    return _UNKNOWN not in times and bool(np.all(np.diff(times) > 0))


def _decoded_times(path):
    with container(path) as opened:
        found = _frames(opened, video_stream(opened, path), path)
        times = array.array("q", (_UNKNOWN if frame.pts is None else frame.pts for frame in found))
    if not times:
        raise ValueError(f"{title(path)}: none of its frames can be decoded")
    return np.array(times, np.int64)


def _frames(opened, stream, path, shown=None):
    """The frames from here on; packets that cannot be decoded are passed over, as players do.

    ``shown`` are time stamps: other frames may be missing, if no frame needs them; None for all frames.
    """
    error_class = require("av", "video").FFmpegError
    codec = stream.codec_context
    packets, whole = opened.demux(stream), True
    codec.skip_frame = "DEFAULT"  # also after other frames of this track were left out
    selective = shown is not None and codec.name in _SELECTIVE
    while True:
        try:
            packet = next(packets, None)
        except error_class:  # cut off
            packet = None
        if packet is None:
            return
        if selective and (packet.pts is None or packet.pts in shown) != whole:
            whole = not whole
            codec.skip_frame = "DEFAULT" if whole else "NONREF"
        try:
            yield from packet.decode()
        except error_class:
            continue


def _decode(path, index, wanted, min_size):
    """Yield the frames of these numbers, which are sorted and unique, as arrays."""
    with container(path) as opened:
        stream = video_stream(opened, path)
        to_array = _Converter(stream, min_size)
        shown = set(index.times[wanted].tolist()) if index.timed else None
        frames, place, key, keys = None, None, 0, index.key_times.tolist()
        for goal in index.times[wanted].tolist():
            nearest = max(bisect.bisect_right(keys, goal) - 1, 0)
            while True:
                if frames is None or (nearest > key and keys[nearest] > place):
                    frames, place, key = _from_key(opened, stream, path, index, nearest, shown), -1, nearest
                frame, place = _advance(frames, index.timed, place, goal, bool(key))
                if frame is not None:
                    break
                if not key and shown is None:
                    number = int(np.searchsorted(index.times, goal))
                    raise ValueError(f"{title(path)}: frame {number} of {len(index.times)} cannot be decoded")
                # Some files cannot be entered in their middle: no index, or parameters in the first packet only.
                frames, nearest, keys, shown = None, 0, keys[:0], None
            yield to_array(frame)


def _from_key(opened, stream, path, index, key, shown):
    opened.seek(int(index.key_seeks[key] if key else min(index.times[0], 0)), stream=stream)
    return _frames(opened, stream, path, shown)


def _advance(frames, timed, place, goal, entered):
    """The frame at ``goal``, a time stamp or without them a number, and the place of the last frame that was decoded.

    No frame if it does not come, or not undamaged though entered at a key frame.
    """
    for frame in frames:
        if entered and frame.is_corrupt:
            break
        place = frame.pts if timed else place + 1
        if place is not None and place >= goal:
            return (frame if place == goal else None), place
    return None, place


class _Converter:
    """Frames of a track to arrays of one size; one scaler for all, as making one takes longer than to scale with it."""

    def __init__(self, stream, min_size):
        self._size = width, height = stream.codec_context.width, stream.codec_context.height
        if min_size is not None and min(width, height) > min_size:
            scale = min_size / min(width, height)
            self._size = tuple(max(round(side * scale), min_size) for side in (width, height))
        self._scaler = require("av", "video").video.reformatter.VideoReformatter()

    def __call__(self, frame):
        image = self._scaler.reformat(frame, *self._size, "rgb24", interpolation="AREA", threads=1).to_ndarray()
        return np.rot90(image, round(frame.rotation / 90) % 4)
