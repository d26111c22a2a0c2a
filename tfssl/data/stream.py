"""Images that come as a ``tf.data.Dataset``: a stream, which cannot be indexed.

Position p is again the same example every time, as far as the user's own dataset repeats itself: the draws follow from
(seed, epoch, number in the epoch), the order from a shuffle buffer seeded by (seed, epoch). Starting at a position
means reading the epoch up to it.
"""

import itertools

import tensorflow as tf

from tfssl.data.decode import array_to_image
from tfssl.data.images import ArraySource
from tfssl.errors import SourceError

_BUFFER = 1024  # examples, not images: 1024 photographs of 12 megapixels would take 37 GB


def examples_of_stream(dataset, make, *, start, count):
    """What a sampler makes of a dataset of images, unbatched.

    Args:
        dataset: unbatched ``tf.data.Dataset``; each element is an image, a tuple that begins with one, or a dict
            with one under ``"image"``. uint8 in [0, 255] or float in [0, 1]; (H, W, 3), (H, W, 1) or (H, W).
        make: function of a source that gives its :class:`~tfssl.data.examples.Examples`.
        start, count: as :func:`tfssl.data.pipeline.batches`, in examples.

    Returns:
        ``tf.data.Dataset`` of tuples.

    Raises:
        SourceError: if the elements are no images, the dataset is empty, or its length is needed and unknown;
            while iterating, TensorFlow's InvalidArgumentError with the fix if floats leave [0, 1].
    """
    images = _images(dataset)
    length = int(images.cardinality())
    first = next(iter(images.take(1)), None)
    if first is None:
        raise SourceError("`data` is an empty tf.data.Dataset; give one with at least one image")
    examples = make(ArraySource([first.numpy()]))  # which tells types and shapes, and floats that leave [0, 1]
    training, per_item, seed = examples.training, examples.per_item, examples.seed
    specs = [(part.dtype, part.shape[1:]) for part in examples.probe()]

    def example_at(key, pixels):
        def cut(key, pixels):
            return list(examples.sampled({"image": array_to_image(pixels)}, *key.tolist()))

        arrays = tf.numpy_function(cut, [key, pixels], [dtype for dtype, _ in specs], stateful=False)
        rows = () if per_item == 1 else (per_item,)
        return tuple(tf.ensure_shape(a, (*rows, *shape)) for a, (_, shape) in zip(arrays, specs, strict=True))

    def examples_of_epoch(epoch):
        made = images.enumerate().map(
            lambda number, pixels: example_at(tf.stack([epoch, number]), pixels),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
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
    if start is None:
        made = next_epochs().flat_map(examples_of_epoch)
        return made.apply(tf.data.experimental.assert_cardinality(length)) if length > 0 else made
    return _from_position(examples_of_epoch, length, start, count)


def next_epochs():
    """A dataset of one number, int64: 0 in the first iteration over it, then 1, and so on."""
    numbers = itertools.count()

    def next_epoch():
        yield next(numbers)

    return tf.data.Dataset.from_generator(next_epoch, output_signature=tf.TensorSpec((), tf.int64))


def _from_position(examples_of_epoch, length, start, count):
    epoch, offset = divmod(start, length) if length > 0 else (0, start)
    made = tf.data.Dataset.counter(epoch).flat_map(examples_of_epoch).skip(offset)
    if count is None and length == tf.data.UNKNOWN_CARDINALITY:
        raise SourceError(
            "`data` is a tf.data.Dataset of unknown length; give `count`, or its length with "
            "dataset.apply(tf.data.experimental.assert_cardinality(n))"
        )
    if count is None:
        count = length
    return made.take(count)  # -1, an endless dataset's cardinality, takes everything


def _images(dataset):
    """The image of each element, checked as far as its type says."""
    spec = dataset.element_spec
    in_tuple = isinstance(spec, tuple)
    spec = spec[0] if in_tuple else spec
    in_dict = isinstance(spec, dict)
    if in_dict and "image" not in spec:
        raise SourceError(f"`data` has elements without the key 'image'; their keys are {', '.join(map(str, spec))}")
    spec = spec["image"] if in_dict else spec
    if not isinstance(spec, tf.TensorSpec) or not (spec.dtype == tf.uint8 or spec.dtype.is_floating):
        raise SourceError(f"`data` must be a tf.data.Dataset of uint8 images, or float in [0, 1]. Received: {spec}")
    if spec.shape.rank is not None and (spec.shape.rank not in (2, 3) or spec.shape[2:] not in ([], [1], [3], [None])):
        fix = "unbatch() it first" if spec.shape.rank == 4 else "convert its images"
        raise SourceError(f"`data` must hold images (H, W, 3), (H, W, 1) or (H, W); {fix}. Received: {spec}")

    def image_of(*element):
        first = element[0]
        return first["image"] if in_dict else first

    return dataset.map(image_of)
