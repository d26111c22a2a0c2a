"""Colorizing photographs at their own size: one image, or any number of files."""

import dataclasses
import itertools
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image

from tfssl.color.film import FilmColorizer
from tfssl.color.hints import apply_hints
from tfssl.color.join import Join
from tfssl.color.predict import network_size
from tfssl.color.variants import variant_cells
from tfssl.data.job import Job
from tfssl.data.jobs import run_jobs
from tfssl.data.photo import Header, decode_photo, read_header
from tfssl.data.recode import names_film
from tfssl.errors import ConfigError, ModelError
from tfssl.ops.bytes_lab import lightness
from tfssl.options import check_strength, check_temperature, check_variant

MAX_MEGAPIXELS = 64
"""Images in work at once, all together; a larger one is worked on alone. Each pixel takes 8 bytes."""

# Small images share a call of the network: at most so many, and so much less than may be in work that the next
# image of a batch always finds room.
_BATCH, _BATCH_MEGAPIXELS = 8, 8


@dataclasses.dataclass(frozen=True)
class Painter:
    """A network and how its predictions become colors.

    Args:
        predict: from :func:`tfssl.color.predict.compiled_predictor`.
        image_size: pixels of the shorter side as the network sees it.
        stride: the method's ``output_stride``.
        temperature: T of the annealed mean; None for the method's.
        strength: factor of the predicted chroma, 0 to 2: 0 is gray, 1 as predicted. It leaves hints alone.
        variant: 0 for the usual coloring, from 1 on others, see :func:`tfssl.color.variants.variant_cells`.
        scores: from :func:`tfssl.color.predict.compiled_scores`; a variant and hints need it, and a temperature.

    Raises:
        ConfigError: for a temperature outside (0, 1], another strength or variant.
    """

    predict: Callable
    image_size: int
    stride: int
    temperature: float | None = None
    strength: float = 1.0
    variant: int = 0
    scores: Callable | None = None

    def __post_init__(self):
        check_temperature(self.temperature)
        check_strength(self.strength)
        check_variant(self.variant)

    def settings(self, model):
        """Text that tells the results from others: what is as usual is left out, so that older ones stay known."""
        text = f"colorize {model} image_size={self.image_size} temperature={self.temperature}"
        text += f" strength={float(self.strength):g}" if self.strength != 1 else ""
        return text + (f" variant={self.variant}" if self.variant else "")

    def cells(self, batch, hints):
        """Colors on the network's grid.

        Args:
            batch: list of float32 (H, W), L of images of one size.
            hints: ``(list of Hint, size of its image)`` of each.

        Returns:
            List of float (h, w, 2) in ab units; a ConfigError in place of those whose hints do not fit.
        """
        lightness = np.stack(batch)[..., None]
        scores = self.scores(lightness) if self.variant or any(given for given, _ in hints) else None
        if self.variant:
            cells = np.stack([variant_cells(one, self.temperature, self.variant) for one in scores])
        else:
            cells = self.predict(lightness, self.temperature)
        if not np.isfinite(cells).all():
            raise ModelError("the model predicts NaN; its training has failed, use another one")
        cells = list(cells * np.float32(self.strength))
        for index, (given, size) in enumerate(hints):
            if given:
                try:
                    cells[index] = apply_hints(cells[index], scores[index], batch[index], given, size, self.stride)
                except ConfigError as error:
                    cells[index] = error
        return cells


def colorize_image(predict, image, *, hints=(), **painting):
    """Colorize one image at its own size; its own colors are not looked at, only its lightness.

    Args:
        predict, **painting: of a :class:`Painter`.
        image: ``PIL.Image``, L, RGB or RGBA.
        hints: list of :class:`tfssl.color.hints.Hint`.

    Returns:
        ``PIL.Image`` of the same size, RGB or RGBA, with the same alpha.

    Raises:
        ConfigError: as :class:`Painter`, and for a hint outside of the image.
        ModelError: if the network predicts NaN.
    """
    painter = Painter(predict, **painting)
    scaled = network_lightness(image, painter.image_size)
    (cells,) = painter.cells([scaled], [(hints, image.size)])
    if isinstance(cells, ConfigError):
        raise cells
    joined = Join(image, cells, scaled.shape[::-1], painter.stride).whole()
    return joined if image.mode == "RGBA" else joined.convert("RGB")


def colorize_paths(
    inputs,
    out,
    predict,
    *,
    image_size,
    stride,
    temperature=None,
    strength=1.0,
    variant=0,
    scores=None,
    model="",
    hints=None,
    **options,
):
    """Colorize images and films, folders and globs into a folder; decoding, network and encoding overlap.

    Films come after the images; one film may be given a film as ``out``. They have no variants, which leave them out,
    and no hints.

    Args:
        predict, image_size, stride, temperature, strength, variant, scores: of a :class:`Painter`; variant k of
            ``photo.jpg`` becomes ``photo_k.jpg``.
        model: text that says which model ``predict`` is, to tell its results from those of others.
        hints: from :func:`tfssl.color.hints.open_hints`, or None.
        inputs, out, **options: as :func:`tfssl.data.jobs.run_jobs`, also what it returns and raises.
    """
    painter = Painter(predict, image_size, stride, temperature, strength, variant, scores)
    own = painter.settings(model)

    def settings(source):
        text = hints.settings(source) if hints and not names_film(source) else ""
        return f"{own} hints={text}" if text else own

    def leave_out(source):
        return "films have no variants" if variant and names_film(source) else ""

    films = FilmColorizer(lambda seen: np.stack(painter.cells(seen, [((), None)] * len(seen))), image_size, stride)

    def work(jobs):
        if hints:
            hints.check_used()
        yield from _Line(painter, hints).run([job for job in jobs if not names_film(job.source)])
        yield from films.run([job for job in jobs if names_film(job.source)])

    mark = f"_{variant}" if variant else ""
    return run_jobs(inputs, out, work, settings=settings, leave_out=leave_out, mark=mark, films=True, **options)


def network_lightness(image, image_size):
    """L of an image at :func:`~tfssl.color.predict.network_size`, by tables.

    ``PIL.Image``, L, RGB or RGBA, transparency seen as white -> float32 (h, w) in [0, 100].
    """
    size = network_size(image.size, image_size)
    # Reducing by whole factors first, as far as the gap allows, takes a sixth of the time and differs by less than
    # one level of 255.
    small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if small.mode == "RGBA":
        white = Image.new("RGB", size, "white")
        white.paste(small, mask=small.getchannel("A"))
        small = white
    return lightness(np.asarray(small.convert("RGB")))


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

    def __init__(self, painter, hints=None):
        self.painter, self.hints, self.image_size = painter, hints, painter.image_size
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
        keep_alpha = job.target.suffix.lower() == ".png"
        image, metadata = decode_photo(job.source, keep_alpha=keep_alpha, keep_gray=True)
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
                hints = self._hints_of(item)
            except Exception as error:  # whatever is wrong with one image, the others are done
                yield self._result(item, error)
            else:
                by_shape.setdefault(scaled.shape, []).append((item, scaled, hints))
        for same in by_shape.values():
            cells = self.painter.cells([scaled for _, scaled, _ in same], [hints for _, _, hints in same])
            # An image alone in the line is written by all cores, otherwise each core has an image of its own.
            alone = len(same) == 1 and not self.decoding and not self.writing
            threads = min(4, os.cpu_count() or 1) if alone else 1
            for (item, scaled, _), own_cells in zip(same, cells, strict=True):
                if isinstance(own_cells, ConfigError):
                    yield self._result(item, own_cells)
                    continue
                item.written = self.writers.submit(self._write, item, own_cells, scaled.shape[::-1], threads)
                self.writing.append(item)

    def _hints_of(self, item):
        """The hints of an image, and its size: only for those that have some all pixels are waited for."""
        if not (self.hints and self.hints.settings(item.job.source)):
            return (), None
        image = item.decoded.result()[0]
        image = image.convert("RGB") if image.mode == "L" else image
        return self.hints.of(item.job.source, image), image.size

    def _write(self, item, cells, size, threads):
        image, metadata, _ = item.decoded.result()
        join = Join(image, cells, size, self.painter.stride)
        item.job.save(join.rows, join.size, threads=threads, **metadata)

    def _finish(self, item):
        return self._result(item, item.written.exception())

    def _result(self, item, error):
        self.finished_megapixels += item.header.megapixels
        speed = self.finished_megapixels / max(time.monotonic() - self.started, 1e-9)
        return item.job, error, f"{speed:.1f} megapixels/s  {item.job.source.name}"
