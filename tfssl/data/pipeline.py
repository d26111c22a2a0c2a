"""From a source to a ``tf.data.Dataset`` of batches, reproducible at every position; see :mod:`tfssl.data.examples`."""

import os

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Examples, Skipped
from tfssl.data.stream import examples_of_stream, next_epochs
from tfssl.data.workers import ParallelSource

# A call from TensorFlow into Python costs a third of what decoding a small photograph does.
_ITEMS_PER_CALL = 8


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
):
    """Batches of what ``sample`` makes of examples: of equal size in training, the last one smaller in evaluation.

    A training batch is made by one call into Python, from its files to its arrays. Types and shapes are those of the
    first readable item.

    Args:
        source: a :class:`~tfssl.data.source.Source`, or an unbatched ``tf.data.Dataset`` of images, see
            :mod:`tfssl.data.stream`.
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
        per_item: examples that ``sample`` takes from one item: its arrays then have that many rows.
        augment: see :class:`~tfssl.data.examples.Examples`.

    Returns:
        ``tf.data.Dataset``.

    Raises:
        SourceError: if no item can be read; while iterating, if too many items in a row cannot be.
    """
    if count is not None and start is None:
        start = 0
    skipped = Skipped() if skipped is None else skipped
    convert = None if in_graph else prepare
    options = {"training": training, "seed": seed, "per_item": per_item, "augment": augment}
    calls = tf.data.AUTOTUNE
    if isinstance(source, tf.data.Dataset):
        first, total = (None if number is None else number * batch_size for number in (start, count))
        parts = examples_of_stream(source, lambda one: Examples(one, sample, **options), start=first, count=total)
        parts = parts if limit is None else parts.take(limit * per_item)
        dataset = _mapped(parts.batch(batch_size, drop_remainder=training), convert)
    else:
        examples = Examples(getattr(source, "source", source), sample, convert, **options)
        load, calls = _loader(source, examples, skipped)
        dataset = _training(examples, load, batch_size, start, count, calls) if training else None
        if dataset is None:
            dataset = _evaluation(examples, load, batch_size, limit, calls)
    if prepare is not None and in_graph:
        dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return _untuned(dataset.prefetch(tf.data.AUTOTUNE), calls)


def _training(examples, load, batch_size, start, count, calls):
    total = len(examples.source) * examples.per_item  # examples of an epoch
    length = total // batch_size if count is None else count
    if start is None:
        firsts = next_epochs().flat_map(
            lambda epoch: tf.data.Dataset.range(epoch * total, epoch * total + length * batch_size, batch_size)
        )
    else:
        firsts = tf.data.Dataset.range(start * batch_size, (start + length) * batch_size, batch_size)
    dataset = _called(firsts, lambda first: load(first, batch_size), examples.probe(), batch_size, calls)
    return dataset.apply(tf.data.experimental.assert_cardinality(length))


def _evaluation(examples, load, batch_size, limit, calls):
    probe, per_item = examples.probe(), examples.per_item
    empty = [np.empty((0, *part.shape[1:]), part.dtype) for part in map(np.asarray, tf.nest.flatten(probe))]
    items = tf.data.Dataset.range(0, len(examples.source), _ITEMS_PER_CALL)

    def load_items(first):
        count = min(_ITEMS_PER_CALL, len(examples.source) - int(first))
        return load(first * per_item, count * per_item) or empty

    dataset = _called(items, load_items, probe, None, calls).unbatch()
    return (dataset if limit is None else dataset.take(limit * per_item)).batch(batch_size)


def _called(dataset, function, probe, batch_size, calls):
    """``dataset.map`` with a NumPy function that gives flat arrays of the nest ``probe``."""
    specs = [(part.dtype, part.shape[1:]) for part in map(np.asarray, tf.nest.flatten(probe))]

    def call(*tensors):
        # numpy_function: Pillow and NumPy let go of the interpreter lock while they work, so calls overlap.
        arrays = tf.numpy_function(function, tf.nest.flatten(tensors), [dtype for dtype, _ in specs], stateful=False)
        arrays = [tf.ensure_shape(a, (batch_size, *shape)) for a, (_, shape) in zip(arrays, specs, strict=True)]
        return tf.nest.pack_sequence_as(probe, arrays)

    return dataset.map(call, num_parallel_calls=calls, deterministic=True)


def _mapped(dataset, convert):
    if convert is None:
        return dataset
    probe = convert(*(np.zeros((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype) for spec in dataset.element_spec))
    return _called(dataset, lambda *arrays: tf.nest.flatten(convert(*arrays)), probe, None, tf.data.AUTOTUNE)


def _loader(source, examples, skipped):
    """Function of (first, count) that gives flat arrays, and how many calls of it to make at the same time."""
    if not isinstance(source, ParallelSource):
        return lambda first, count: examples.load(first, count, skipped), tf.data.AUTOTUNE
    load = source.in_workers(examples)

    def load_there(first, count):
        arrays, reasons = load(int(first), int(count))
        for name, reason in reasons.items():
            skipped.add(name, reason)
        return arrays

    # Two for each process: while it computes, another batch is handed over.
    return load_there, 2 * source.workers


def _untuned(dataset, calls):
    """Parallelism as wide as the machine from the start, instead of tf.data's search for it.

    At the end of an iteration the tuner's thread is often waited for until its current period is over, and each
    period is twice as long as the one before, up to a minute. Threads that only wait for worker processes are added.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    if calls != tf.data.AUTOTUNE:
        options.threading.private_threadpool_size = calls + (os.cpu_count() or 1)
    return dataset.with_options(options)
