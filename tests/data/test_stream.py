"""A tf.data.Dataset as the source: the same promises as for folders, as far as a stream can keep them."""

import numpy as np
import pytest
import tensorflow as tf

from tfssl.data.crop import Crop
from tfssl.data.pipeline import batches
from tfssl.errors import SourceError
from tfssl.methods import Colorization

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 24, 30, 3), dtype=np.uint8)
CROP = Crop(16, area=(0.3, 1.0))


def crop_dataset(dataset, crop, *, training, **options):
    """Crops one by one."""
    return batches(dataset, crop.sample, 1, training=training, **options).map(lambda crops: crops[0])


def slices(*components):
    return tf.data.Dataset.from_tensor_slices(components if len(components) > 1 else components[0])


def unknown_length(dataset):
    return dataset.filter(lambda *_: True)


def collect(dataset):
    return np.array(list(dataset.as_numpy_iterator()))


def train(dataset, **options):
    return collect(crop_dataset(dataset, CROP, training=True, seed=5, **options))


@pytest.mark.parametrize(
    "dataset",
    [
        slices(IMAGES),
        slices((IMAGES / 255.0).astype(np.float32)),
        slices(IMAGES / 255.0),
        slices(IMAGES, np.arange(10)),
        slices({"image": IMAGES, "label": np.arange(10)}),
        slices({"image": IMAGES}, np.arange(10)),
        unknown_length(slices(IMAGES)),
    ],
    ids=["uint8", "float32", "float64", "tuple", "dict", "tuple-of-dict", "unknown-length"],
)
def test_elements(dataset):
    center = collect(crop_dataset(dataset, Crop(16), training=False))
    np.testing.assert_array_equal(center, IMAGES[:, 4:20, 7:23])
    expected = train(slices(IMAGES), start=0, count=13)
    np.testing.assert_array_equal(train(dataset, start=0, count=13), expected)


def test_sizes_may_differ():
    sizes = [(20, 20, 3), (50, 17, 3), (16, 90, 3)]
    dataset = tf.data.Dataset.from_generator(
        lambda: (np.full(size, 7, np.uint8) for size in sizes),
        output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
    )
    assert (collect(crop_dataset(dataset, Crop(16), training=False)) == 7).all()
    assert train(dataset, start=0, count=6).shape == (6, 16, 16, 3)


@pytest.mark.parametrize("shape", [(10, 24, 30), (10, 24, 30, 1)])
def test_gray_images(shape):
    crops = train(slices(IMAGES[..., 0].reshape(shape)), start=0)
    assert crops.shape == (10, 16, 16, 3)
    assert (crops == crops[..., :1]).all()


@pytest.mark.parametrize("dataset", [slices(IMAGES), unknown_length(slices(IMAGES))], ids=["known", "unknown"])
def test_start_is_the_same_as_skipping(dataset):
    whole = train(dataset, start=0, count=35)
    for start in (1, 10, 17, 34):
        np.testing.assert_array_equal(train(dataset, start=start, count=35 - start), whole[start:])


@pytest.mark.parametrize("dataset", [slices(IMAGES), unknown_length(slices(IMAGES))], ids=["known", "unknown"])
def test_iterating_again_is_the_next_epoch(dataset):
    epochs = crop_dataset(dataset, CROP, training=True, seed=5)
    again = np.concatenate([collect(epochs) for _ in range(3)])
    np.testing.assert_array_equal(again, train(dataset, start=0, count=30))


def test_epochs_are_shuffled_anew():
    numbers = slices(np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8))
    order = train(numbers, start=0, count=120)[:, 0, 0, 0].reshape(3, 40)
    assert (np.sort(order, axis=1) == np.arange(40)).all()
    assert len(np.unique(order, axis=0)) == 3
    assert not (order == np.arange(40)).all(axis=1).any()


def test_crops_of_an_image_differ_between_epochs():
    crops = train(slices(IMAGES[:1]), start=0, count=12)
    assert len(np.unique(crops.reshape(12, -1), axis=0)) == 12


def test_count_and_its_default():
    assert len(train(slices(IMAGES), start=4)) == 10
    assert len(train(slices(IMAGES), count=23)) == 23
    assert len(train(slices(IMAGES).repeat(), start=4, count=23)) == 23
    assert int(crop_dataset(slices(IMAGES), CROP, training=True).cardinality()) == 10
    with pytest.raises(SourceError, match="unknown length; give `count`"):
        train(unknown_length(slices(IMAGES)), start=4)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (slices(IMAGES).batch(2), r"unbatch\(\) it first"),
        (slices(np.zeros((3, 8, 8, 4), np.uint8)), "must hold images"),
        (slices(np.zeros((3, 8), np.uint8)), "must hold images"),
        (slices(np.zeros((3, 8, 8, 3), np.int64)), "uint8 images, or float"),
        (slices({"pixels": IMAGES, "label": np.arange(10)}), "without the key 'image'; their keys are pixels, label"),
        (slices(IMAGES).take(0), "empty"),
        (unknown_length(slices(IMAGES).take(0)), "empty"),
    ],
)
def test_refused(dataset, message):
    for training in (True, False):
        with pytest.raises(SourceError, match=message):
            crop_dataset(dataset, CROP, training=training)


def test_floats_up_to_255_are_refused_with_the_fix():
    images = IMAGES.astype(np.float32)
    with pytest.raises(SourceError, match="divide by 255 first"):
        train(slices(images), start=0)
    images[0] = 0
    with pytest.raises(tf.errors.OpError, match="divide by 255 first"):
        train(slices(images), start=0)


@pytest.mark.parametrize("source", [slices(IMAGES, np.arange(10)), IMAGES], ids=["stream", "array"])
def test_colorization_takes_it(source):
    method = Colorization(backbone="small", resize=None, crop_size=16, lightness_jitter=0.2)
    data = method.dataset(source, batch_size=4)
    assert int(data.cardinality()) == 2
    lightness, ab = next(iter(data))
    assert lightness.shape == (4, 16, 16, 1)
    assert ab.shape[0] == 4
    stream = list(method.dataset(source, batch_size=4, count=7))
    assert len(stream) == 7
    resumed = list(method.dataset(source, batch_size=4, start=5, count=2))
    for whole, part in zip(stream[5:], resumed, strict=True):
        np.testing.assert_array_equal(whole[0], part[0])
        np.testing.assert_array_equal(whole[1], part[1])
    assert sum(len(x) for x, _ in method.dataset(source, batch_size=4, training=False)) == 10
