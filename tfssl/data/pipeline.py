"""From an image source to a ``tf.data.Dataset`` of equally sized 8-bit crops, reproducible at every position.

Position p of the training stream is always the same crop: the picture follows from a permutation seeded by
(seed, epoch), its crop and flip from a generator seeded by (seed, p). Resuming at step s therefore means starting
at position ``s * batch_size``: no shuffle buffer to refill, no iterator state to save.
"""

import dataclasses
import os
import threading
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.images import image_source
from tfssl.data.stream import crops_of_dataset, next_epochs
from tfssl.data.workers import ParallelSource
from tfssl.errors import SourceError

_MAX_SUBSTITUTES = 64

# A call from TensorFlow into Python costs a third of what decoding a small photograph does.
_POSITIONS_PER_CALL = 8


@dataclasses.dataclass(frozen=True)
class Crop:
    """How a picture becomes a square crop.

    Args:
        size: side of the crop in pixels.
        resize: the picture is first scaled so that its shorter side has this many pixels. None keeps its size,
            unless that is smaller than the crop.
        area: (smallest, largest) share of the picture's area that a training crop covers, with an aspect
            ratio of 3:4 to 4:3, scaled to ``size``. None cuts ``size`` pixels without scaling, as Zhang et al.
        flip: mirror half of the training crops.
    """

    size: int
    resize: int | None = None
    area: tuple[float, float] | None = None
    flip: bool = True

    random_in_evaluation: ClassVar[bool] = False
    """Whether evaluation draws as well, from a generator seeded by the picture's number."""

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels; None for all of it."""
        if self.resize is not None:
            return max(self.resize, self.size)
        return None if self.area is None else int(np.ceil(self.size / np.sqrt(self.area[0])))

    @property
    def spec(self):
        """Type of what :meth:`apply` returns; another sampler may return several arrays, its spec is then a tuple."""
        return tf.TensorSpec((self.size, self.size, 3), tf.uint8)

    def box(self, width, height, rng):
        """Left, top, right, bottom of the crop in the picture's own pixels; ``rng`` None means the center."""
        if self.area is not None and rng is not None:
            for _ in range(10):
                area = width * height * rng.uniform(*self.area)
                aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
                w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
                if w <= width and h <= height:
                    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
                    return left, top, min(left + w, width), min(top + h, height)  # rounding may lead out by a hair
        shorter = min(width, height)
        if self.resize is None and self.area is None:
            side = min(self.size, shorter)
        else:
            side = shorter * min(1.0, self.size / (self.resize or self.size))
        if rng is None:
            left, top = (width - side) / 2, (height - side) / 2
        else:
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        if side == self.size:  # no scaling: stay on the pixel grid
            left, top = int(left), int(top)
        return left, top, min(left + side, width), min(top + side, height)

    def apply(self, image, rng=None):
        """Crop ``image`` (``PIL.Image``) to a uint8 array (size, size, 3); ``rng`` None means the center."""
        box = self.box(*image.size, rng)
        if all(float(v).is_integer() for v in box) and box[2] - box[0] == self.size == box[3] - box[1]:
            image = image.crop(box)
        else:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        if self.flip and rng is not None and rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image)


class Skipped:
    """Thread-safe record of the images that could not be read: ``{name: reason}``."""

    def __init__(self, callback=None):
        self.reasons = {}
        self._callback = callback
        self._lock = threading.Lock()

    def add(self, name, reason):
        """Record an image once; later calls with the same name do nothing."""
        with self._lock:
            if name in self.reasons:
                return
            self.reasons[name] = reason
            if self._callback is not None:
                self._callback(name, reason)


def crop_dataset(source, crop, *, training, seed=0, start=None, count=None, skipped=None):
    """Unbatched dataset of crops, or of whatever else a sampler cuts from one picture.

    Args:
        source: anything :func:`tfssl.data.images.image_source` takes, or a ``tf.data.Dataset`` of images, see
            :func:`tfssl.data.stream.crops_of_dataset`.
        crop: a :class:`Crop`, or another sampler with the same doors: ``min_side``, ``random_in_evaluation``,
            ``spec`` (a ``tf.TensorSpec`` or a tuple of them) and ``apply(image, rng)``, which may raise ValueError
            where a picture does not serve.
        training: shuffled, random crops; otherwise one pass of center crops in order.
        seed: of order and crops.
        start: position in the training stream to start from. None: each iteration over the dataset is the next
            epoch, shuffled anew, as ``model.fit`` expects; with ``count``, 0.
        count: number of positions from ``start``. Default: one epoch.
        skipped: a :class:`Skipped` that collects unreadable images. In training another image takes the place
            of an unreadable one, so that positions stay what they are; in evaluation it is left out.

    Returns:
        ``tf.data.Dataset`` of the sampler's ``spec``; for a :class:`Crop` uint8 (size, size, 3).

    Raises:
        SourceError: if the source is empty; while iterating, if too many images in a row are unreadable.
    """
    if count is not None and start is None:
        start = 0
    if isinstance(source, tf.data.Dataset):
        return _untuned(crops_of_dataset(source, crop, training=training, seed=seed, start=start, count=count))
    source = image_source(source)
    positions = _positions(len(source), start, count) if training else tf.data.Dataset.range(len(source))
    load = _loader(source, crop, training=training, seed=seed, skipped=skipped)
    calls = _calls(source)
    dataset = _in_parallel(positions.batch(_POSITIONS_PER_CALL), load, crop.spec, calls=calls).unbatch()
    if training:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(source) if count is None else count))
    return _untuned(dataset, calls)


def crop_batches(
    source,
    crop,
    batch_size,
    *,
    training,
    seed=0,
    start=None,
    count=None,
    skipped=None,
    limit=None,
    convert=None,
    spec=None,
):
    """Batches of what :func:`crop_dataset` gives: of equal size in training, the last one smaller in evaluation.

    In training a batch is made by one call into Python, from its files to ``convert``: fewer calls and copies than
    batching single pictures, and the same batches.

    Args:
        source, crop, training, seed, skipped: as :func:`crop_dataset`.
        batch_size: pictures in a batch.
        start, count: as :func:`crop_dataset`, in batches.
        limit: use the first so many readable pictures; None for all.
        convert: function of the sampler's arrays, batched (NumPy), that returns a tuple of arrays; None for as they
            are. With a :class:`tfssl.data.ParallelSource` it is called in its processes, so it has to be picklable.
        spec: tuple of ``tf.TensorSpec`` without the axis of the batch, of what ``convert`` returns.

    Returns:
        ``tf.data.Dataset`` of ``spec``, or else of the sampler's, with the axis of the batch in front.

    Raises:
        SourceError: as :func:`crop_dataset`.
    """
    if count is not None and start is None:
        start = 0
    spec = crop.spec if convert is None else spec
    in_pictures = [None if number is None else number * batch_size for number in (start, count)]
    if training and limit is None and not isinstance(source, tf.data.Dataset):
        source = image_source(source)
        load = _loader(source, crop, training=training, seed=seed, skipped=skipped, convert=convert)
        positions = _positions(len(source), *in_pictures).batch(batch_size, drop_remainder=True)
        calls = _calls(source)
        batches = _in_parallel(positions, load, spec, batch_size, calls)
        length = len(source) // batch_size if count is None else count
        return _untuned(batches.apply(tf.data.experimental.assert_cardinality(length)), calls)
    start, count = in_pictures
    crops = crop_dataset(source, crop, training=training, seed=seed, start=start, count=count, skipped=skipped)
    if limit is not None:
        crops = crops.take(limit)
    batches = crops.batch(batch_size, drop_remainder=training)
    return batches if convert is None else _in_parallel(batches, convert, spec, batch_size if training else None)


def _in_parallel(dataset, function, spec, batch_size=None, calls=tf.data.AUTOTUNE):
    """``dataset.map`` with a NumPy function of arrays to arrays of ``spec``, which lacks the axis of the batch.

    Args:
        calls: how many at the same time.
    """
    specs = tf.nest.flatten(spec)

    def call(*tensors):
        # numpy_function: Pillow and NumPy let go of the interpreter lock while they work, so calls overlap.
        arrays = tf.numpy_function(function, tf.nest.flatten(tensors), [one.dtype for one in specs], stateful=False)
        arrays = [tf.ensure_shape(a, (batch_size, *s.shape)) for a, s in zip(arrays, specs, strict=True)]
        return tf.nest.pack_sequence_as(spec, arrays)

    return dataset.map(call, num_parallel_calls=calls, deterministic=True)


def _calls(source):
    """How many calls into Python to make at the same time.

    Two for each worker process, if the source has any: while it computes, another batch is handed over.
    """
    return 2 * source.workers if isinstance(source, ParallelSource) else tf.data.AUTOTUNE


def _loader(source, crop, *, training, seed, skipped, convert=None):
    """Function from positions, int64 (n,), to the arrays of the sampler's spec, (at most n, ...) each, converted."""
    skipped = skipped if skipped is not None else Skipped()
    if not isinstance(source, ParallelSource):
        examples = _Examples(source, crop, training=training, seed=seed, convert=convert)
        return lambda positions: examples.load(positions, skipped)
    load = source.in_workers(_Examples(source.source, crop, training=training, seed=seed, convert=convert))

    def load_there(positions):
        arrays, reasons = load(positions)
        for name, reason in reasons.items():
            skipped.add(name, reason)
        return arrays

    return load_there


def _positions(length, start, count):
    """Positions of the training stream one by one, int64; those of the next epoch in each iteration without start."""
    if start is None:
        return next_epochs().flat_map(lambda epoch: tf.data.Dataset.range(epoch * length, (epoch + 1) * length))
    return tf.data.Dataset.range(start, start + (length if count is None else count))


def _untuned(dataset, calls=tf.data.AUTOTUNE):
    """Parallelism as wide as the machine from the start, instead of tf.data's search for it.

    At the end of an iteration the tuner's thread is often waited for until its current period is over, and each
    period is twice as long as the one before, up to a minute.

    Args:
        calls: threads that only wait for worker processes, for which others shall not have to wait.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    if calls != tf.data.AUTOTUNE:
        options.threading.private_threadpool_size = calls + (os.cpu_count() or 1)
    return dataset.with_options(options)


class _Order:
    """Position -> image index: a seeded permutation for each epoch."""

    def __init__(self, count, seed):
        self._count = count
        self._seed = seed
        self._lock = threading.Lock()
        self._permutations = {}

    def __reduce__(self):
        return _Order, (self._count, self._seed)

    def __call__(self, position):
        epoch, offset = divmod(position, self._count)
        with self._lock:
            if epoch not in self._permutations:
                # Two epochs at most are in flight at once, where prefetching crosses the border.
                for old in [e for e in self._permutations if e < epoch - 1]:
                    del self._permutations[old]
                rng = np.random.default_rng((self._seed, epoch))
                self._permutations[epoch] = rng.permutation(self._count)
            return int(self._permutations[epoch][offset])


class _Examples:
    """Positions of a pipeline -> arrays of examples; can be sent to a worker process.

    Args:
        source: an :class:`~tfssl.data.images.ImageSource`.
        crop, training, seed, convert: as :func:`crop_batches`.
    """

    def __init__(self, source, crop, *, training, seed, convert):
        self._source, self._crop, self._convert = source, crop, convert
        self._training, self._seed = training, seed
        self._order = _Order(len(source), seed)

    def __call__(self, positions):
        """For a worker: the arrays, and ``{name: reason}`` of the pictures that could not be read."""
        skipped = Skipped()
        return self.load(positions, skipped), skipped.reasons

    def load(self, positions, skipped):
        """The arrays of the examples at int64 (n,) ``positions``; in evaluation fewer, if pictures cannot be read."""
        examples = [found for position in positions.tolist() if (found := self._example(position, skipped)) is not None]
        if examples:
            arrays = [np.stack(parts) for parts in zip(*examples, strict=True)]
        else:
            specs = tf.nest.flatten(self._crop.spec)
            arrays = [np.empty((0, *spec.shape), spec.dtype.as_numpy_dtype) for spec in specs]
        return arrays if self._convert is None else self._convert(*arrays)

    def _example(self, position, skipped):
        source, crop, training = self._source, self._crop, self._training
        first = self._order(position) if training else position
        rng = np.random.default_rng((self._seed, 1, position)) if training or crop.random_in_evaluation else None
        for attempt in range(min(_MAX_SUBSTITUTES, len(source)) if training else 1):
            index = (first + attempt) % len(source)
            try:
                return tf.nest.flatten(crop.apply(source.open(index, min_side=crop.min_side), rng))
            except (ValueError, OSError) as error:
                skipped.add(source.name(index), str(error))
        if training:
            raise SourceError(
                f"`data` is mostly unreadable: {len(skipped.reasons)} images failed, the last one "
                f"{source.name(index)!r}: {skipped.reasons[source.name(index)]}"
            )
        return None
