"""From a source to a ``tf.data.Dataset`` of batches, reproducible at every position; see :mod:`tfssl.data.examples`."""

import contextlib
import itertools
import os

import numpy as np
import tensorflow as tf

from tfssl.data.decode import array_to_image
from tfssl.data.examples import Examples, Skipped
from tfssl.data.images import ArraySource
from tfssl.data.workers import ParallelSource
from tfssl.errors import SourceError, reason_of

# A call from TensorFlow into Python costs a third of what decoding a small photograph does.
_ITEMS_PER_CALL = 8
_BUFFER = 1024  # examples, not images: 1024 photographs of 12 megapixels would take 37 GB


@contextlib.contextmanager
def pipeline_errors(what):
    """An error from inside a pipeline, where the graph wraps it, as a SourceError of one line: what ``data`` cannot."""
    try:
        yield
    except tf.errors.OpError as error:
        raise SourceError(f"`data` cannot {what}: {reason_of(error)}") from error


def batches(
    source,
    sample,
    batch_size,
    *,
    training,
    prepare=None,
    in_graph=True,
    seed=0,
    start=None,
    count=None,
    skipped=None,
    limit=None,
    per_item=1,
    augment=None,
    blank=None,
):
    """Batches of what ``sample`` makes of examples: of equal size in training, the last one smaller in evaluation.

    A training batch is made by one call into Python, from its files to its arrays. Types and shapes are those of the
    first readable item.

    Args:
        source: a :class:`~tfssl.data.source.Source`, or an unbatched ``tf.data.Dataset`` of images, see
            :func:`_examples_of_stream`.
        sample: function ``(example, rng, training) -> tuple of arrays`` of fixed shapes; ValueError where an example
            does not serve. With a :class:`tfssl.data.ParallelSource` it is called in its processes: it has to be
            picklable.
        batch_size: examples in a batch.
        training: shuffled; otherwise one pass in order.
        prepare: function of the batched arrays that returns ``(inputs, targets)`` or another nest; None for the arrays.
        in_graph: whether ``prepare`` is a function of tensors, called in the graph, or of NumPy arrays.
        seed: of order and draws.
        start: batch in the training stream to start from. None: each iteration over the dataset is the next epoch, as
            ``model.fit`` expects; with ``count``, 0.
        count: number of batches from ``start``. Default: one epoch.
        skipped: a :class:`Skipped` that collects unreadable items. In training another item takes the place of an
            unreadable one, so that positions stay what they are; in evaluation it is left out.
        limit: in evaluation, use the first so many readable items; None for all.
        per_item, augment, blank: see :class:`~tfssl.data.examples.Examples`.

    Raises:
        SourceError: if no item can be read, there is nothing to learn from any, or they are too few for a batch of
            training; while iterating, if too many items in a row cannot be.
    """
    if count is not None and start is None:
        start = 0
    skipped = Skipped() if skipped is None else skipped
    convert = None if in_graph else prepare
    options = {"training": training, "seed": seed, "per_item": per_item, "augment": augment, "blank": blank}
    calls = tf.data.AUTOTUNE
    if isinstance(source, tf.data.Dataset):
        first, total = (None if number is None else number * batch_size for number in (start, count))
        parts = _examples_of_stream(
            source, lambda one: Examples(one, sample, **options), batch_size, start=first, count=total
        )
        parts = parts if limit is None else parts.take(limit * per_item)
        dataset = _mapped(parts.batch(batch_size, drop_remainder=training), convert)
    else:
        examples = Examples(getattr(source, "source", source), sample, convert, **options)
        load, calls = _loader(source, examples, skipped)
        if training:
            dataset = _training(examples, load, batch_size, start, count, calls)
        else:
            dataset = _evaluation(examples, load, batch_size, limit, calls)
    if prepare is not None and in_graph:
        dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return _untuned(dataset.prefetch(tf.data.AUTOTUNE), calls)


def _training(examples, load, batch_size, start, count, calls):
    total = len(examples.source) * examples.per_item  # examples of an epoch
    length = total // batch_size if count is None else count
    if count is None and length < 1:
        raise SourceError(_too_few(total, batch_size))
    examples.check_blank()
    if start is None:
        firsts = _next_epochs().flat_map(
            lambda epoch: tf.data.Dataset.range(epoch * total, epoch * total + length * batch_size, batch_size)
        )
    else:
        firsts = tf.data.Dataset.range(start * batch_size, (start + length) * batch_size, batch_size)
    dataset = _called(firsts, lambda first: load(first, batch_size), examples.probe(), (batch_size,), calls)
    return dataset.apply(tf.data.experimental.assert_cardinality(length))


def _evaluation(examples, load, batch_size, limit, calls):
    probe, per_item = examples.probe(), examples.per_item
    empty = [np.empty((0, *part.shape[1:]), part.dtype) for part in map(np.asarray, tf.nest.flatten(probe))]
    items = tf.data.Dataset.range(0, len(examples.source), _ITEMS_PER_CALL)

    def load_items(first):
        count = min(_ITEMS_PER_CALL, len(examples.source) - int(first))
        return load(first * per_item, count * per_item) or empty

    dataset = _called(items, load_items, probe, (None,), calls).unbatch()
    return (dataset if limit is None else dataset.take(limit * per_item)).batch(batch_size)


def _called(dataset, function, probe, rows, calls):
    """``dataset.map`` with a NumPy function of flat arrays of the nest ``probe``, their first dimensions ``rows``."""
    specs = [(part.dtype, part.shape[1:]) for part in map(np.asarray, tf.nest.flatten(probe))]

    def call(*tensors):
        # numpy_function: Pillow and NumPy let go of the interpreter lock while they work, so calls overlap.
        arrays = tf.numpy_function(function, tf.nest.flatten(tensors), [dtype for dtype, _ in specs], stateful=False)
        arrays = [tf.ensure_shape(a, (*rows, *shape)) for a, (_, shape) in zip(arrays, specs, strict=True)]
        return tf.nest.pack_sequence_as(probe, arrays)

    return dataset.map(call, num_parallel_calls=calls, deterministic=True)


def _mapped(dataset, convert):
    if convert is None:
        return dataset
    probe = convert(*(np.zeros((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype) for spec in dataset.element_spec))
    return _called(dataset, lambda *arrays: tf.nest.flatten(convert(*arrays)), probe, (None,), tf.data.AUTOTUNE)


def _loader(source, examples, skipped):
    """Function of (first, count) that gives flat arrays, and how many calls of it to make at the same time."""
    if not isinstance(source, ParallelSource):
        return lambda first, count: examples.load(first, count, skipped), tf.data.AUTOTUNE
    load = source.in_workers(examples)

    def load_there(first, count):
        arrays, (reasons, blank) = load(int(first), int(count))
        for name, reason in reasons.items():
            skipped.add(name, reason)
        if blank is not None:
            skipped.add_blank(blank)
        return arrays

    # Two for each process: while it computes, another batch is handed over.
    return load_there, 2 * source.workers


def _untuned(dataset, calls):
    """Parallelism as wide as the machine from the start, instead of tf.data's search for it.

    At the end of an iteration the tuner's thread is often waited for until its period is over, and each is twice as
    long as the one before, up to a minute. Threads that only wait for worker processes are added.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    if calls != tf.data.AUTOTUNE:
        options.threading.private_threadpool_size = calls + (os.cpu_count() or 1)
    return dataset.with_options(options)


def _too_few(examples, batch_size):
    return f"`data` holds {examples} examples, fewer than batch_size {batch_size}; lower batch_size or give `count`"


def _examples_of_stream(dataset, make, batch_size, *, start, count):
    """What a sampler makes of a ``tf.data.Dataset`` of images: a stream, which cannot be indexed.

    Position p is again the same example every time, as far as the dataset repeats itself: draws follow from (seed,
    epoch, number in the epoch), the order from a shuffle buffer seeded by (seed, epoch). Starting at a position means
    reading the epoch up to it.

    Args:
        dataset: unbatched; each element is an image, a tuple that begins with one, or a dict with one under
            ``"image"``. uint8 in [0, 255] or float in [0, 1]; (H, W, 3), (H, W, 1) or (H, W).
        make: function of a source that gives its :class:`~tfssl.data.examples.Examples`.
        start, count: as :func:`batches`, in examples.
    """
    images = _images(dataset)
    length = int(images.cardinality())
    first = next(iter(images.take(1)), None)
    if first is None:
        raise SourceError("`data` is an empty tf.data.Dataset; give one with at least one image")
    examples = make(ArraySource([first.numpy()]))  # which tells types and shapes, and floats that leave [0, 1]
    training, per_item, seed = examples.training, examples.per_item, examples.seed
    probe, rows = examples.probe(), () if per_item == 1 else (per_item,)

    def sampled(key, pixels):
        return list(examples.sampled({"image": array_to_image(pixels)}, *key.tolist()))

    def examples_of_epoch(epoch):
        keyed = images.enumerate().map(lambda number, pixels: (tf.stack([epoch, number]), pixels))
        made = _called(keyed, sampled, probe, rows, tf.data.AUTOTUNE)
        made = made if per_item == 1 else made.unbatch()
        if not training:
            return made
        # The graph-level seed of this function: tf.random.set_seed() elsewhere shall not change the order.
        tf.random.set_seed(1)
        key = tf.stack([tf.cast(seed, tf.int64), epoch])
        order = tf.random.stateless_uniform((), key, minval=None, maxval=None, dtype=tf.int64)
        return made.shuffle(_BUFFER, seed=order, reshuffle_each_iteration=False)

    if not training:
        return examples_of_epoch(tf.constant(0, tf.int64))
    length = length * per_item if length > 0 else length
    if count is None and 0 < length < batch_size:
        raise SourceError(_too_few(length, batch_size))
    if start is None:
        made = _next_epochs().flat_map(examples_of_epoch)
        return made.apply(tf.data.experimental.assert_cardinality(length)) if length > 0 else made
    if count is None and length == tf.data.UNKNOWN_CARDINALITY:
        raise SourceError(
            "`data` is a tf.data.Dataset of unknown length; give `count`, or its length with "
            "dataset.apply(tf.data.experimental.assert_cardinality(n))"
        )
    epoch, offset = divmod(start, length) if length > 0 else (0, start)
    made = tf.data.Dataset.counter(epoch).flat_map(examples_of_epoch).skip(offset)
    return made.take(length if count is None else count)  # -1, an endless dataset's cardinality, takes everything


def _next_epochs():
    """A dataset of one number, int64: 0 in the first iteration over it, then 1, and so on."""
    numbers = itertools.count()

    def next_epoch():
        yield next(numbers)

    return tf.data.Dataset.from_generator(next_epoch, output_signature=tf.TensorSpec((), tf.int64))


def _images(dataset):
    spec = dataset.element_spec
    spec = spec[0] if isinstance(spec, tuple) else spec
    in_dict = isinstance(spec, dict)
    if in_dict and "image" not in spec:
        raise SourceError(f"`data` has elements without the key 'image'; their keys are {', '.join(map(str, spec))}")
    spec = spec["image"] if in_dict else spec
    if not isinstance(spec, tf.TensorSpec) or not (spec.dtype == tf.uint8 or spec.dtype.is_floating):
        raise SourceError(f"`data` must be a tf.data.Dataset of uint8 images, or float in [0, 1]. Received: {spec}")
    if spec.shape.rank is not None and (spec.shape.rank not in (2, 3) or spec.shape[2:] not in ([], [1], [3], [None])):
        fix = "unbatch() it first" if spec.shape.rank == 4 else "convert its images"
        raise SourceError(f"`data` must hold images (H, W, 3), (H, W, 1) or (H, W); {fix}. Received: {spec}")

    return dataset.map(lambda first, *_: first["image"] if in_dict else first)
