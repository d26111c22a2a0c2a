"""Colorizing photographs at their own size: one image, or any number of files."""

import dataclasses
import itertools
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from tfssl.color.film import FilmColorizer
from tfssl.color.join import Join
from tfssl.color.predict import network_size
from tfssl.data.jobs import Job, run_jobs
from tfssl.data.photo import Header, decode_photo, read_header
from tfssl.data.recode import names_film
from tfssl.errors import ModelError
from tfssl.ops.bytes_lab import lightness
from tfssl.options import check_temperature

MAX_MEGAPIXELS = 64
"""Images in work at once, all together; a larger one is worked on alone. Each pixel takes 8 bytes."""

# Small images share a call of the network: at most so many, and so much less than may be in work that the next
# image of a batch always finds room.
_BATCH, _BATCH_MEGAPIXELS = 8, 8


def colorize_image(predict, image, *, image_size, stride, temperature=None):
    """Colorize one image at its own size; its own colors are not looked at, only its lightness.

    Args:
        predict: from :func:`tfssl.color.predict.compiled_predictor`.
        image: ``PIL.Image``, RGB or RGBA.
        image_size: pixels of the shorter side as the network sees it.
        stride: the method's ``output_stride``.
        temperature: T of the annealed mean; None for the method's.

    Returns:
        ``PIL.Image`` of the same mode and size, with the same alpha.

    Raises:
        ConfigError: for a temperature outside (0, 1].
        ModelError: if the network predicts NaN.
    """
    check_temperature(temperature)
    scaled = network_lightness(image, image_size)
    cells = _predict(predict, [scaled], temperature)[0]
    joined = Join(image, cells, scaled.shape[::-1], stride).whole()
    return joined if image.mode == "RGBA" else joined.convert("RGB")


def colorize_paths(inputs, out, predict, *, image_size, stride, temperature=None, model="", **options):
    """Colorize images and films, folders and globs into a folder; decoding, network and encoding overlap.

    Films come after the images; one film may be given a film as ``out``.

    Args:
        predict, image_size, stride, temperature: as :func:`colorize_image`.
        model: text that says which model ``predict`` is, to tell its results from those of others.
        inputs, out, **options: as :func:`tfssl.data.jobs.run_jobs`, also what it returns and raises.
    """
    check_temperature(temperature)
    settings = f"colorize {model} image_size={image_size} temperature={temperature}"
    line = _Line(predict, image_size, stride, temperature)
    films = FilmColorizer(lambda seen: _predict(predict, seen, temperature), image_size, stride)

    def work(jobs):
        yield from line.run([job for job in jobs if not names_film(job.source)])
        yield from films.run([job for job in jobs if names_film(job.source)])

    return run_jobs(inputs, out, work, settings=lambda source: settings, films=True, **options)


def network_lightness(image, image_size):
    """L of an image at :func:`~tfssl.color.predict.network_size`, by tables.

    ``PIL.Image``, RGB or RGBA, transparency seen as white -> float32 (h, w) in [0, 100].
    """
    size = network_size(image.size, image_size)
    # Reducing by whole factors first, as far as the gap allows, takes a sixth of the time and differs by less than
    # one level of 255.
    small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if small.mode == "RGBA":
        white = Image.new("RGB", size, "white")
        white.paste(small, mask=small.getchannel("A"))
        small = white
    return lightness(np.asarray(small))


def _predict(predict, batch, temperature):
    cells = predict(np.stack(batch)[..., None], temperature)
    if not np.isfinite(cells).all():
        raise ModelError("the model predicts NaN; its training has failed, use another one")
    return cells


@dataclasses.dataclass
class _Image:
    """An image in work. ``draft``: its L for the network, where that does not wait for all of its pixels."""

    job: Job
    header: Header
    decoded: Future
    draft: Future | None
    written: Future | None = None


class _Line:
    """Decoding, network and writing as an assembly line.

    The calling thread admits images in order and runs the network; two threads decode ahead of it, two join and
    write behind it. Images that follow each other and have the same size share a call of the network: batches
    depend on the list alone, never on timing, so that results repeat bit for bit.
    """

    def __init__(self, predict, image_size, stride, temperature):
        self.predict, self.image_size, self.stride, self.temperature = predict, image_size, stride, temperature
        self.decoding, self.writing = deque(), deque()  # batches, images
        self.open_batch = None  # the last batch of `decoding`, while images may still join it
        self.readers = ThreadPoolExecutor(2, "decode")
        self.writers = ThreadPoolExecutor(2, "write")
        self.finished_megapixels = 0.0

    def run(self, jobs):
        """Colorize all ``jobs``; yields what :func:`tfssl.data.jobs.run_jobs` asks for."""
        self.started = time.monotonic()
        try:
            for job in jobs:
                header = read_header(job.source)
                if not self._joins_batch(header):
                    self.open_batch = None
                while not self._has_room(header):
                    yield from self._advance()
                self._admit(job, header)
            self.open_batch = None
            while self.decoding or self.writing:
                yield from self._advance()
        finally:
            for pool in (self.readers, self.writers):  # after an error or Ctrl-C: end what runs, drop what waits
                pool.shutdown(cancel_futures=True)

    def _joins_batch(self, header):
        batch = self.open_batch
        if not batch or len(batch) == _BATCH or header.size != batch[0].header.size:
            return False
        return header.megapixels * (len(batch) + 1) <= _BATCH_MEGAPIXELS

    def _has_room(self, header):
        decoding = list(itertools.chain(*self.decoding))
        in_work = [*decoding, *self.writing]
        megapixels = header.megapixels + sum(item.header.megapixels for item in in_work)
        return not in_work or (megapixels <= MAX_MEGAPIXELS and len(decoding) < 2 * _BATCH)

    def _admit(self, job, header):
        draft = None
        # JPEG decodes at 1/8 in a fraction of the time: the network need not wait for all pixels of a large one.
        if header.format in ("JPEG", "MPO") and min(header.size) >= 8 * self.image_size:
            draft = self.readers.submit(self._draft, job)
        decoded = self.readers.submit(self._decode, job, draft is None)
        if self.open_batch is None:
            self.open_batch = []
            self.decoding.append(self.open_batch)
        self.open_batch.append(_Image(job, header, decoded, draft))

    def _draft(self, job):
        return network_lightness(decode_photo(job.source, min_size=self.image_size)[0], self.image_size)

    def _decode(self, job, scale):
        image, metadata = decode_photo(job.source, keep_alpha=job.target.suffix.lower() == ".png")
        return image, metadata, network_lightness(image, self.image_size) if scale else None

    def _advance(self):
        """Take the next complete batch through the network, or else wait for the oldest image to be written."""
        if self.decoding and self.decoding[0] is not self.open_batch:
            yield from self._process(self.decoding.popleft())
        else:
            yield self._finish(self.writing.popleft())
        while self.writing and self.writing[0].written.done():
            yield self._finish(self.writing.popleft())

    def _process(self, batch):
        by_shape = {}  # EXIF orientation may turn some of them
        for item in batch:
            try:
                scaled = item.draft.result() if item.draft else item.decoded.result()[2]
            except Exception as error:  # whatever is wrong with one image, the others are done
                yield self._result(item, error)
            else:
                by_shape.setdefault(scaled.shape, []).append((item, scaled))
        for same in by_shape.values():
            cells = _predict(self.predict, [scaled for _, scaled in same], self.temperature)
            # An image alone in the line is written by all cores, otherwise each core has an image of its own.
            alone = len(same) == 1 and not self.decoding and not self.writing
            threads = min(4, os.cpu_count() or 1) if alone else 1
            for (item, scaled), own_cells in zip(same, cells, strict=True):
                item.written = self.writers.submit(self._write, item, own_cells, scaled.shape[::-1], threads)
                self.writing.append(item)

    def _write(self, item, cells, size, threads):
        image, metadata, _ = item.decoded.result()
        join = Join(image, cells, size, self.stride)
        item.job.save(join.rows, join.size, threads=threads, **metadata)

    def _finish(self, item):
        return self._result(item, item.written.exception())

    def _result(self, item, error):
        self.finished_megapixels += item.header.megapixels
        speed = self.finished_megapixels / max(time.monotonic() - self.started, 1e-9)
        return item.job, error, f"{speed:.1f} megapixels/s  {item.job.source.name}"
