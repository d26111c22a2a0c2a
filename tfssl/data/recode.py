"""Video files written anew, in segments: frames that were changed, beside all else copied packet by packet.

Segments are small MP4 files of frames only, each begun with a key frame: work on a long film is kept as it goes. Joined
they make the film with the sound, subtitles, chapters and fonts of its source. Frames keep their time stamps,
pixel aspect and rotation, and the brightness plane as it was decoded (Y' of YCbCr) where the source has one.
"""

import contextlib
import dataclasses
import heapq
import io
import os
import platform
from fractions import Fraction

from tfssl.data.clips import EXTENSIONS, video_stream
from tfssl.data.media import container, require, title
from tfssl.errors import SourceError
from tfssl.files import writing

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Endings of the files that can be written, and FFmpeg's names of their containers; all keep time stamps."""

# H.264 is what plays everywhere; WebM allows only VP8, VP9 and AV1. CRF 18 (x264) and 24 (VP9) are taken for visually
# lossless. x264's AVX-512 code gives other bytes for the same frames in 7 of 20 trials, its SSE4.2 code in none.
_X86 = {"x264-params": "asm=SSE4.2"} if platform.machine().lower() in ("x86_64", "amd64") else {}
_CODEC = ("libx264", {"crf": "18", "preset": "veryfast", **_X86})
_CODECS = {".webm": ("libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"})}

# Red and blue shares of Y' for the matrices that a file may name (ITU-T H.273, table 4).
_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
_SHARES[9] = (0.2627, 0.0593)
_BT709, _BT601 = 1, 6
_HD_ROWS = 720  # an untagged film: players take BT.709 from here on, BT.601 below

_LIMITED, _FULL = 1, 2
_KEPT = [f"yuv{j}{chroma}p" for j in ("", "j") for chroma in ("420", "422", "444")]
_KEPT += [f"yuv{chroma}p10le" for chroma in ("420", "422", "444")]
_EXACT = {"fflags": "+bitexact"}  # no random identifiers: the same film gives the same file
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}  # not of the film


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the frames of a film are written.

    Args:
        size: (width, height) in stored pixels.
        aspect: width of a pixel / its height; None where the source does not say, and pixels are square.
        rotation: degrees, counterclockwise, a multiple of 90, by which players turn the stored frame.
        pixels: FFmpeg's name of the pixel format: planar YCbCr, 8 or 10 bits.
        depth: bits of a sample.
        full: whether samples use all codes; otherwise Y' is 16..235 (of 8 bits), Cb and Cr 16..240.
        matrix: number of the YCbCr matrix in ITU-T H.273; written into the file.
        rate: frames a second, in the mean; a hint for the encoder.
        time_base: seconds of a unit of the time stamps.
        primaries, transfer: numbers of ITU-T H.273, as the source has them.
        turned: the display matrix of the source, nine integers; None without one.
    """

    size: tuple[int, int]
    aspect: Fraction | None
    rotation: int
    pixels: str
    depth: int
    full: bool
    matrix: int
    rate: Fraction
    time_base: Fraction
    primaries: int
    transfer: int
    turned: tuple[int, ...] | None

    @property
    def shares(self):
        """Shares of red and of blue in Y'."""
        return _SHARES[self.matrix]


def read_layout(path):
    """The :class:`Layout` that a film is written in, by its first frame; ValueError if it has none."""
    with container(path) as opened:
        stream = video_stream(opened, path)
        frame = next(_decoded(opened, stream), None)
        if frame is None:
            raise ValueError(f"{title(path)}: none of its frames can be decoded")
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        return _layout(frame, rate, stream.sample_aspect_ratio, stream.time_base)


def _layout(frame, rate, aspect, time_base):
    name, (width, height) = frame.format.name, (frame.width, frame.height)
    is_rgb, is_gray = frame.format.is_rgb or frame.format.has_palette, name.startswith("gray")
    depth = 10 if frame.format.components[0].bits > 8 else 8
    if name not in _KEPT:
        name = "yuv420p10le" if depth == 10 else "yuv420p"
    if width % 2 or height % 2:  # encoders halve even sizes only
        name = name.replace("420", "444").replace("422", "444")
    turned = frame.side_data.get("DISPLAYMATRIX")
    return Layout(
        size=(width, height),
        aspect=aspect,
        rotation=round(frame.rotation / 90) * 90 % 360,
        pixels=name,
        depth=depth,
        full=not is_rgb and not is_gray and (frame.color_range == _FULL or "yuvj" in frame.format.name),
        matrix=frame.colorspace if frame.colorspace in _SHARES else _BT709 if height >= _HD_ROWS else _BT601,
        rate=rate,
        time_base=time_base,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        turned=None if turned is None else tuple(memoryview(turned).cast("i")),
    )


def read_frames(path, layout, start=0):
    """Yield the frames of a film from number ``start`` on, in the order of showing.

    They are ``av.VideoFrame`` of this layout that may be written to.

    Packets that cannot be decoded are passed over, as players do. Time stamps increase; where the file has none they
    follow from the rate.
    """
    with container(path) as opened:
        stream = video_stream(opened, path)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 0
        last, step = None, max(1, round(1 / (layout.rate * layout.time_base)))
        for number, frame in enumerate(_decoded(opened, stream)):
            pts = frame.pts
            if last is not None and (pts is None or pts <= last):
                pts = last + (step if pts is None else 1)
            last = pts or 0
            if number >= start:
                yield _convert(frame, layout, last)


def _decoded(opened, stream):
    """The frames of a stream; what cannot be decoded is left out. Of a file that was cut off all that is there."""
    error_class = require("av", "video").FFmpegError
    packets = opened.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except error_class:
            packet = None  # cut off: what the decoder still holds
        with contextlib.suppress(error_class):
            yield from stream.decode(packet)
        if packet is None:
            return


def _convert(frame, layout, pts):
    duration = frame.duration
    if frame.format.name != layout.pixels or (frame.width, frame.height) != layout.size:
        range_ = _FULL if layout.full else _LIMITED
        converts = frame.format.is_rgb or frame.format.has_palette or frame.format.name.startswith("gray")
        frame = frame.reformat(
            *layout.size,
            layout.pixels,
            src_color_range=_FULL if converts else range_,
            dst_color_range=range_,
            dst_colorspace="ITU709" if layout.matrix == _BT709 else "ITU601",
        )
    frame.make_writable()  # the decoder may still look at it
    frame.pts, frame.time_base, frame.duration = pts, layout.time_base, duration
    frame.pict_type = 0  # that of the source is no order to the encoder
    return frame


class SegmentWriter:
    """Encodes frames to a file, whole or not at all: a part for :func:`join_segments` to a film of this ``ending``."""

    def __init__(self, path, layout, ending):
        self._path, self._layout, self._ending = path, layout, ending
        self._stack, self._durations = contextlib.ExitStack(), {}

    def __enter__(self):
        av = require("av", "video")
        with self._stack as stack:
            file = stack.enter_context(writing(self._path))
            self._out = stack.enter_context(av.open(file, "w", "mp4", container_options=_EXACT))
            self._stream = _add_film(self._out, self._layout, self._ending)
            stack.push(self._flush)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def write(self, frame):
        """Encode a frame, of :func:`read_frames`."""
        self._durations[frame.pts] = frame.duration
        self._mux(self._stream.encode(frame))

    def _flush(self, error, *_):
        if error is None:
            self._mux(self._stream.encode(None))

    def _mux(self, packets):
        for packet in packets:
            # The encoder takes each frame for as long as the mean one, which makes the last one's end wrong.
            packet.duration = self._durations.pop(packet.pts) or packet.duration
            self._out.mux(packet)


def _add_film(out, layout, ending):
    """A stream of ``out`` that encodes frames of this layout."""
    codec, options = _CODECS.get(ending.lower(), _CODEC)
    stream = out.add_stream(codec, rate=layout.rate, options=options)
    context = stream.codec_context
    context.width, context.height = layout.size
    context.pix_fmt, context.thread_count = layout.pixels, 1
    context.max_b_frames = 0  # packets in the order of showing: segments follow each other without overlap
    if layout.aspect:
        context.sample_aspect_ratio = layout.aspect
    context.color_range, context.colorspace = _FULL if layout.full else _LIMITED, layout.matrix
    context.color_primaries, context.color_trc = layout.primaries, layout.transfer
    stream.time_base = context.time_base = layout.time_base
    return stream


def names_film(path):
    """Whether a path is that of a film by its ending, and no folder."""
    return str(path).lower().endswith(EXTENSIONS) and not os.path.isdir(path)


def check_film(inputs, out):
    """Refuse inputs that are not one film for the film ``out``, and an ``out`` that cannot hold it.

    Raises:
        SourceError: naming the argument and the fix.
    """
    source = os.path.expanduser(inputs[0])
    if len(inputs) != 1 or not names_film(source) or not os.path.isfile(source):
        raise SourceError(
            f"`--out` {str(out)!r} is a film: give the one film that it is made of, or a folder as `--out`"
        )
    if os.path.realpath(source) == os.path.realpath(out):
        raise SourceError(f"`--out` {str(out)!r} is the film itself; choose another name")
    check_holds(source, out)


def check_holds(source, target):
    """Refuse a target whose container cannot hold the sound or the subtitles of the source.

    Raises:
        SourceError: naming the codec, and the fix.
    """
    av = require("av", "video")
    if target.suffix.lower() not in FORMATS:
        raise SourceError(f"a film is written as {', '.join(FORMATS)}. Received: {title(target)}")
    form = FORMATS[target.suffix.lower()]
    known = av.open(io.BytesIO(), "w", form).supported_codecs
    with container(source) as opened:
        for stream in _copied(opened):
            name = "unknown codec" if stream.codec_context is None else stream.codec_context.codec.canonical_name
            if name not in known:
                kind = "sound" if stream.type == "audio" else "subtitles"
                fix = "give it the ending .mkv" if form != "matroska" else "give it the ending of its source"
                raise SourceError(
                    f"{title(target)}: {target.suffix} cannot hold the {kind} of {title(source)} ({name}); {fix}"
                )


def _copied(opened):
    return [stream for stream in opened.streams if stream.type in ("audio", "subtitle")]


def join_segments(source, segments, target, layout, *, comment, replace=True):
    """Write a film, whole or not at all: the frames of ``segments``, all else from ``source``.

    Args:
        source: the film that they were made of.
        segments: paths, in order, of :class:`SegmentWriter`.
        target: the file to write; its ending says which container.
        layout: of the source.
        comment: text that is added to the comment of the file.
        replace: as :func:`tfssl.files.writing`.
    """
    av = require("av", "video")
    form = FORMATS[target.suffix.lower()]
    with (
        container(source) as opened,
        container(segments[0]) as first,
        writing(target, replace=replace) as file,
        av.open(file, "w", form, container_options=_EXACT) as out,
    ):
        out.metadata.update(_tags(opened))
        out.metadata["comment"] = "\n".join(filter(None, [out.metadata.get("comment"), comment]))
        video = out.add_stream_from_template(first.streams.video[0])
        video.time_base, video.codec_context.framerate = layout.time_base, layout.rate
        video.metadata.update(_tags(video_stream(opened, source)))
        video.set_display_matrix(layout.turned)
        copies = {}
        for stream in _copied(opened):
            copy = copies[stream.index] = out.add_stream_from_template(stream)
            copy.metadata.update(_tags(stream))
            copy.disposition = stream.disposition
        for font in opened.streams.attachments if form == "matroska" else ():
            out.add_attachment(font.name or "attachment", font.mimetype or "", font.data)
        out.set_chapters(opened.chapters())
        originals = [opened.streams[index] for index in copies]
        shown = ((video, packet) for path in segments for packet in _packets(path))
        heard = ((copies[p.stream.index], p) for p in opened.demux(originals)) if originals else iter(())
        for stream, packet in heapq.merge(shown, _whole(heard, av), key=_when):
            packet.stream = stream
            out.mux(packet)


def _tags(entry):
    tags = {name.lower(): text for name, text in entry.metadata.items()}
    return {name: text for name, text in tags.items() if name not in _OF_THE_FILE}


def _packets(segment):
    with container(segment) as opened:
        yield from (packet for packet in opened.demux(video=0) if packet.size)


def _whole(packets, av):
    """Packets up to the end of a file that may have been cut off, without those that hold nothing."""
    while True:
        try:
            stream, packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        if packet.size and packet.dts is not None:
            yield stream, packet


def _when(entry):
    return entry[1].dts * entry[1].time_base
