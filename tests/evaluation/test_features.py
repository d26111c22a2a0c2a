"""Pooling of maps, and running an encoder over many images."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.baselines import pixel_encoder
from tfssl.evaluation.features import grid_size, pool_to_grid, tap_features, ten_crops
from tfssl.ops.geometry import cell_weights

STATM = Path("/proc/self/statm")


def images_of(count=10, side=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def batched(images, size=4):
    labels = np.arange(len(images), dtype=np.int32) % 3
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(rgb)
    two = keras.layers.Conv2D(7, 3, strides=2, padding="same")(one)
    return keras.Model(rgb, {"conv1": one, "conv2": two}, name="encoder")


def test_lengths_of_the_literature():
    """Zhang et al.: conv1 ... conv5 of AlexNet become 10x10, 6x6, 5x5, 5x5, 6x6."""
    channels = (96, 256, 384, 384, 256)
    assert [grid_size(c) ** 2 * c for c in channels] == [9600, 9216, 9600, 9600, 9216]
    assert grid_size(20_000) == 1


@pytest.mark.parametrize(("size", "cells"), [(12, 4), (13, 6), (7, 7), (55, 10), (5, 1)])
def test_cells_share_pixels_evenly(size, cells):
    weights = cell_weights(size, cells)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=0), cells / size, rtol=1e-5)


def test_five_pixels_over_two_cells():
    np.testing.assert_allclose(cell_weights(5, 2), np.array([[2, 2, 1, 0, 0], [0, 0, 1, 2, 2]]) / 5, rtol=1e-6)


def test_pooling_is_the_mean_of_each_cell():
    maps = np.random.default_rng(0).normal(size=(2, 12, 8, 3)).astype(np.float32)
    pooled = pool_to_grid(tf.constant(maps), (4, 2)).numpy()
    np.testing.assert_allclose(pooled, maps.reshape(2, 4, 3, 2, 4, 3).mean(axis=(2, 4)), atol=1e-6)
    uneven = pool_to_grid(tf.constant(maps), (5, 3)).numpy()
    np.testing.assert_allclose(uneven.mean(axis=(1, 2)), maps.mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_array_equal(pool_to_grid(tf.constant(maps), (12, 8)), maps)


def test_features_are_the_pooled_maps_of_each_image(encoder):
    images = images_of()
    features = tap_features(encoder, batched(images), pool=3)
    maps = encoder(images.astype(np.float32) / 255)
    assert features.shapes == {"conv1": (3, 3, 5), "conv2": (3, 3, 7)}
    np.testing.assert_array_equal(features.labels, np.arange(10) % 3)
    for tap, values in features.rows.items():
        wanted = pool_to_grid(maps[tap], (3, 3)).numpy().reshape(10, -1)
        np.testing.assert_allclose(values, wanted, atol=1e-5)


def test_a_map_smaller_than_the_grid_stays(encoder):
    features = tap_features(encoder, batched(images_of()), pool=9)
    assert features.shapes == {"conv1": (9, 9, 5), "conv2": (6, 6, 7)}
    assert tap_features(encoder, batched(images_of()), numbers=100).shapes["conv1"] == (4, 4, 5)


def test_files_hold_the_same_numbers(encoder, tmp_path):
    images = images_of(11)
    stored = tap_features(encoder, batched(images), pool=2, folder=tmp_path)
    held = tap_features(encoder, batched(images), pool=2)
    for tap, values in stored.rows.items():
        assert isinstance(values, np.memmap)
        np.testing.assert_array_equal(values, held.rows[tap])
        np.testing.assert_array_equal(np.load(tmp_path / f"{tap}.npy"), held.rows[tap])


def test_taps_can_be_chosen(encoder):
    assert list(tap_features(encoder, batched(images_of()), taps=["conv2"]).rows) == ["conv2"]
    with pytest.raises(ConfigError, match="there is no 'conv9'; the encoder has conv1, conv2"):
        tap_features(encoder, batched(images_of()), taps=["conv9"])


def test_pixels_are_an_encoder():
    images = images_of(3)
    features = tap_features(pixel_encoder(), batched(images), pool=12)
    np.testing.assert_allclose(features.rows["pixels"], images.reshape(3, -1) / 255, atol=1e-6)


def test_vectors_and_other_modalities_have_features_too():
    """A clip encoder with a map and a vector: the vector stays as it is."""
    clip = keras.Input((4, 8, 8, 3))
    frame = keras.layers.Lambda(lambda x: x[:, 0])(clip)
    vector = keras.layers.GlobalAveragePooling3D()(clip)
    encoder = keras.Model(clip, {"conv1": frame, "fc6": vector})
    clips = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), dtype=np.uint8)
    features = tap_features(encoder, batched(clips), pool=2)
    assert features.shapes == {"conv1": (2, 2, 3), "fc6": (1, 1, 3)}
    np.testing.assert_allclose(features.rows["fc6"], clips.mean(axis=(1, 2, 3)) / 255, atol=1e-5)


def test_ten_crops_are_corners_center_and_mirror_images():
    image = np.arange(2 * 5 * 5 * 3, dtype=np.uint8).reshape(2, 5, 5, 3)
    batches = tf.data.Dataset.from_tensors((image, np.array([0, 1])))
    found = [next(dataset.as_numpy_iterator())[0] for dataset in ten_crops(batches, 5, 3)]
    for number, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]):
        part = image[:, top : top + 3, left : left + 3]
        np.testing.assert_array_equal(found[2 * number], part)
        np.testing.assert_array_equal(found[2 * number + 1], part[:, :, ::-1])


def test_what_cannot_be_measured_is_refused(encoder):
    with pytest.raises(SourceError, match="no readable example"):
        tap_features(encoder, batched(images_of()).take(0))
    rgb = keras.Input((None, None, 3))
    with pytest.raises(ModelError, match="is no encoder"):
        tap_features(keras.Model(rgb, keras.layers.Conv2D(2, 3)(rgb)), batched(images_of()))
    broken = keras.models.clone_model(encoder)
    broken.layers[-1].bias.assign(np.full(7, np.nan))
    with pytest.raises(ModelError, match="tap 'conv2' holds NaN"):
        tap_features(broken, batched(images_of()))


@pytest.mark.skipif(not STATM.exists(), reason="the process's memory is read from /proc")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(encoder, tmp_path):
    """Ten times the images, 300 MB of features: the process grows by a small part of that."""
    images = tf.constant(images_of(64, side=64))

    def run(batches):
        data = tf.data.Dataset.range(batches).map(lambda _: (images, tf.zeros(64, tf.int32)))
        tap_features(encoder, data, taps=["conv1"], pool=64, folder=tmp_path)
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = run(6)
    grown = run(60) - before
    assert (tmp_path / "conv1.npy").stat().st_size > 300e6
    assert grown < 60e6
