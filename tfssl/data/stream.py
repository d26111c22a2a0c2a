"""Crops of pictures that come as a ``tf.data.Dataset``: a stream, which cannot be indexed.

Position p is again the same crop every time, as far as the user's own dataset repeats itself: the boxes follow
from (seed, epoch, number in the epoch), the order from a shuffle buffer seeded by (seed, epoch). Starting at a
position means reading the epoch up to it.
"""

import itertools

import numpy as np
import tensorflow as tf

from tfssl.data.decode import array_to_image
from tfssl.errors import SourceError

_BUFFER = 1024  # crops, not pictures: 1024 photographs of 12 megapixels would take 37 GB


def crops_of_dataset(dataset, crop, *, training, seed, start, count):
    """Crops of a dataset of pictures; ``training`` ... ``count`` as :func:`tfssl.data.pipeline.crop_dataset`.

    Args:
        dataset: unbatched ``tf.data.Dataset``; each element is a picture, a tuple that begins with one, or a dict
            with one under ``"image"``. uint8 in [0, 255] or float in [0, 1]; (H, W, 3), (H, W, 1) or (H, W).
        crop: a :class:`tfssl.data.pipeline.Crop` or another sampler.

    Returns:
        ``tf.data.Dataset`` of the sampler's ``spec``.

    Raises:
        SourceError: if the elements are no pictures, the dataset is empty, or its length is needed and unknown;
            while iterating, TensorFlow's InvalidArgumentError with the mend if floats leave [0, 1].
    """
    images = _images(dataset)
    length = int(images.cardinality())
    if length == 0 or (length < 0 and next(iter(images.take(1)), None) is None):
        raise SourceError("`source` is an empty tf.data.Dataset; give one with at least one picture")

    def crop_at(key, pixels):
        def cut(key, pixels):
            drawn = training or crop.random_in_evaluation
            rng = np.random.default_rng((seed, 1, *key.tolist())) if drawn else None
            return tf.nest.flatten(crop.apply(array_to_image(pixels), rng))

        specs = tf.nest.flatten(crop.spec)
        arrays = tf.numpy_function(cut, [key, pixels], [spec.dtype for spec in specs], stateful=False)
        arrays = [tf.ensure_shape(array, spec.shape) for array, spec in zip(arrays, specs, strict=True)]
        return tf.nest.pack_sequence_as(crop.spec, arrays)

    def crops_of_epoch(epoch):
        crops = images.enumerate().map(
            lambda number, pixels: crop_at(tf.stack([epoch, number]), pixels),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        if not training:
            return crops
        # The graph-level seed of this function: tf.random.set_seed() elsewhere shall not change the order.
        tf.random.set_seed(1)
        key = tf.stack([tf.cast(seed, tf.int64), epoch])
        order = tf.random.stateless_uniform((), key, minval=None, maxval=None, dtype=tf.int64)
        return crops.shuffle(_BUFFER, seed=order, reshuffle_each_iteration=False)

    if not training:
        return crops_of_epoch(tf.constant(0, tf.int64))
    if start is None:
        crops = next_epochs().flat_map(crops_of_epoch)
        return crops.apply(tf.data.experimental.assert_cardinality(length)) if length > 0 else crops
    return _from_position(crops_of_epoch, length, start, count)


def next_epochs():
    """A dataset of one number, int64: 0 in the first iteration over it, then 1, and so on."""
    numbers = itertools.count()

    def next_epoch():
        yield next(numbers)

    return tf.data.Dataset.from_generator(next_epoch, output_signature=tf.TensorSpec((), tf.int64))


def _from_position(crops_of_epoch, length, start, count):
    epoch, offset = divmod(start, length) if length > 0 else (0, start)
    crops = tf.data.Dataset.counter(epoch).flat_map(crops_of_epoch).skip(offset)
    if count is None and length == tf.data.UNKNOWN_CARDINALITY:
        raise SourceError(
            "`source` is a tf.data.Dataset of unknown length; give `count`, or its length with "
            "dataset.apply(tf.data.experimental.assert_cardinality(n))"
        )
    if count is None:
        count = length
    return crops.take(count)  # -1, an endless dataset's cardinality, takes everything


def _images(dataset):
    """The picture of each element, checked as far as its type says."""
    spec = dataset.element_spec
    in_tuple = isinstance(spec, tuple)
    spec = spec[0] if in_tuple else spec
    in_dict = isinstance(spec, dict)
    if in_dict and "image" not in spec:
        raise SourceError(f"`source` has elements without the key 'image'; their keys are {', '.join(map(str, spec))}")
    spec = spec["image"] if in_dict else spec
    if not isinstance(spec, tf.TensorSpec) or not (spec.dtype == tf.uint8 or spec.dtype.is_floating):
        raise SourceError(f"`source` must be a tf.data.Dataset of uint8 pictures, or float in [0, 1]. Received: {spec}")
    if spec.shape.rank is not None and (spec.shape.rank not in (2, 3) or spec.shape[2:] not in ([], [1], [3], [None])):
        mend = "unbatch() it first" if spec.shape.rank == 4 else "convert its pictures"
        raise SourceError(f"`source` must hold pictures (H, W, 3), (H, W, 1) or (H, W); {mend}. Received: {spec}")

    def image_of(*element):
        first = element[0]
        return first["image"] if in_dict else first

    return dataset.map(image_of)
