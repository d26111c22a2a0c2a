"""Colorizing films: steady colors beside the brightness of each frame as it was, kept segment by segment.

Y' of a frame stays as it was decoded; the network's colors become Cb and Cr, at whatever resolution the film has them.
"""

import contextlib
import dataclasses
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.color.join import Join
from tfssl.color.predict import network_size
from tfssl.color.steady import RADIUS, cell_lightness, steady
from tfssl.data.clips import Clip
from tfssl.data.media import title
from tfssl.data.recode import SegmentWriter, check_holds, join_segments, read_frames, read_layout
from tfssl.errors import ModelError
from tfssl.files import LOCK, fitting, locked, printable, write_text
from tfssl.ops.bytes_lab import lightness

SEGMENT = 240
"""Frames that a stopped command may have to do again: some ten seconds of film; a multiple of :data:`RADIUS`."""


_NAME = "{:06}.mp4"


class FilmColorizer:
    """Colors films with one network, frame after frame, in bounded memory.

    A film that was stopped goes on after its last whole segment, to the same file bit for bit: frames go through the
    network in batches of :data:`RADIUS` that depend on their number alone, and the colors of a frame on frames at most
    one batch away.

    Args:
        predict: function of a list of L, float32 (h, w) each in [0, 100], to ab cells float (n, h / s, w / s, 2).
        image_size, stride: as :func:`tfssl.color.colorize.colorize_image`.
    """

    def __init__(self, predict, image_size, stride):
        self.predict, self.image_size, self.stride = predict, image_size, stride

    def run(self, jobs):
        """Colorize all ``jobs``; yields what :func:`tfssl.data.jobs.run_jobs` asks for."""
        for job in jobs:
            error, name, started, first = None, title(job.source), time.monotonic(), None
            try:
                for done, total in self.colorize(job):
                    first = done if first is None else first
                    speed = (done - first) / max(time.monotonic() - started, 1e-9)
                    yield None, done / total, f"{name}: {done}/{total} frames, {speed:.1f} frames/s"
            except ModelError:
                raise
            except Exception as raised:  # whatever is wrong with one film, the others are done
                error = raised
            yield job, error, name

    def colorize(self, job):
        """Colorize one film; yields ``(frames done, frames in all)`` as it goes."""
        check_holds(job.source, job.target)
        total, layout = len(Clip(os.fspath(job.source))), read_layout(job.source)
        with _segments(job) as (folder, segments):
            if job.made():
                return
            done = len(segments) * SEGMENT
            with contextlib.closing(self._colored(job.source, layout, done)) as frames:
                while (frame := next(frames, None)) is not None:
                    segments.append(folder / _NAME.format(len(segments)))
                    with SegmentWriter(segments[-1], layout, job.target.suffix) as writer:
                        for shown in itertools.chain([frame], itertools.islice(frames, SEGMENT - 1)):
                            writer.write(shown)
                            done += 1
                            yield done, max(done, total)
            job.place(lambda target, **origin: join_segments(job.source, segments, target, layout, **origin))

    def _colored(self, source, layout, start):
        """Yield the frames from number ``start`` on with their new colors."""
        frames = read_frames(source, layout, max(0, start - RADIUS))
        with contextlib.closing(frames), ThreadPoolExecutor(2, "color") as pool:
            batches = self._batches(frames, layout, pool)
            before, current = None, next(batches, None)
            if start:  # known only for the sake of what follows
                before, current = current, next(batches, None)
            while current is not None:
                after = next(batches, None)
                near = [batch for batch in (before, current, after) if batch is not None]
                cells = steady(*(np.concatenate([getattr(b, name) for b in near]) for name in ("cells", "levels")))
                first = 0 if before is None else len(before.cells)
                own = cells[first : first + len(current.frames)]
                yield from pool.map(
                    lambda f, c, b=current: put_colors(f, c, layout, b.size, self.stride), current.frames, own
                )
                before, current = dataclasses.replace(current, frames=[]), after

    def _batches(self, frames, layout, pool):
        while batch := list(itertools.islice(frames, RADIUS)):
            seen = list(pool.map(lambda frame: network_lightness(frame, layout, self.image_size), batch))
            levels = cell_lightness(np.stack(seen), self.stride)
            yield _Batch(batch, self.predict(seen), levels, seen[0].shape[::-1])


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Successive frames, their ab cells, lightness of the cells, and the (width, height) that the network saw."""

    frames: list
    cells: np.ndarray
    levels: np.ndarray
    size: tuple[int, int]


@contextlib.contextmanager
def _segments(job):
    """Hold the hidden folder beside a film where its segments lie until it is whole; yields it and those in it.

    Segments of an earlier call with other settings, or of what the film held before, are removed; all are at the end.
    A film that fails or is stopped leaves its own.
    """
    folder = job.target.with_name(fitting(f".{job.target.name}", ".parts"))
    record, origin = folder / "origin.txt", job.origin
    text = f"image {origin.image}, settings {origin.settings}, segments of {SEGMENT} frames\n"
    try:
        with locked(folder, f"`out` {printable(job.target)!r}"):
            if not record.is_file() or record.read_text(encoding="utf-8", errors="replace") != text:
                _empty(folder, record)
                write_text(record, text)
            try:
                # A killed command may leave others, unfinished.
                names = (folder / _NAME.format(number) for number in itertools.count())
                yield folder, list(itertools.takewhile(Path.is_file, names))
            except BaseException:
                if not (folder / _NAME.format(0)).is_file():
                    _empty(folder, record)
                raise
            _empty(folder, record)
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()


def _empty(folder, record):
    """Remove all files but the lock; the record first: without it, nobody takes what is left for whole."""
    record.unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink()


def network_lightness(frame, layout, image_size):
    """L of a frame as the network sees it, upright, with square pixels: float32 (h, w) in [0, 100]."""
    gray = Image.fromarray(_upright(_levels(_plane(frame, 0), layout), layout))
    aspect = float(layout.aspect or 1)
    stretch = (aspect, 1) if layout.rotation % 180 == 0 else (1, aspect)
    size = network_size([max(1, round(n * s)) for n, s in zip(gray.size, stretch, strict=True)], image_size)
    small = np.asarray(gray.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))
    return lightness(np.repeat(small[..., None], 3, axis=-1))


def put_colors(frame, cells, layout, network, stride):
    """Write the colors of ``cells`` into Cb and Cr of a frame, whose Y' stays; returns the frame.

    Each color is that of the lightness at its place, see :class:`tfssl.color.join.Join`; what its own Y' would differ
    from that of the gray is left out, so that Y' need not change.
    """
    luma, blue, red = (_plane(frame, number) for number in range(3))
    gray = Image.fromarray(_upright(_levels(_reduced(luma, blue.shape), layout), layout))
    rgb = np.asarray(Join(gray.convert("RGB"), cells, network, stride).whole(threads=1))[..., :3]
    rgb = np.rot90(rgb, -layout.rotation // 90).astype(np.float32)
    of_red, of_blue = layout.shares
    y = rgb @ np.float32([of_red, 1 - of_red - of_blue, of_blue])
    unit = (1 if layout.full else 224 / 255) * 2 ** (layout.depth - 8)
    middle, most = 1 << (layout.depth - 1), (1 << layout.depth) - 1
    for plane, channel, weight in ((blue, 2, of_blue), (red, 0, of_red)):
        codes = (rgb[..., channel] - y) * np.float32(unit / (2 * (1 - weight))) + np.float32(middle + 0.5)
        np.copyto(plane, np.clip(codes, 0, most), casting="unsafe")
    return frame


def _plane(frame, number):
    """The samples of a plane as an array that writes through: uint8 or, of more than 8 bits, uint16 (h, w)."""
    plane = frame.planes[number]
    samples = np.frombuffer(plane, np.uint8 if frame.format.components[number].bits == 8 else np.dtype("<u2"))
    return samples.reshape(plane.height, -1)[:, : plane.width]


def _reduced(luma, shape):
    """Y' at the resolution of the colors: means of 2x2, 1x2 or single samples."""
    down, across = luma.shape[0] // shape[0], luma.shape[1] // shape[1]
    parts = [luma[i::down, j::across] for i in range(down) for j in range(across)]
    if len(parts) == 1:
        return luma
    return (sum(part.astype(np.uint16) for part in parts) // len(parts)).astype(luma.dtype)


def _levels(luma, layout):
    """8-bit gray of samples of Y'."""
    codes = np.arange(1 << layout.depth) / (1 << (layout.depth - 8))
    table = codes if layout.full else (codes - 16) * (255 / 219)
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)[luma]


def _upright(pixels, layout):
    return np.ascontiguousarray(np.rot90(pixels, layout.rotation // 90))
