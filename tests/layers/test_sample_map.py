"""Maps at a few pixels: values, borders, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.resizing import SampleMap


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_whole_pixels_of_a_map_of_the_images_size_are_read_as_they_are():
    maps = random(2, 5, 6, 3)
    at = np.array([[[0, 0], [4, 5], [2, 3]], [[1, 0], [3, 3], [4, 2]]], np.int32)
    expected = np.stack([maps[image][tuple(at[image].T)] for image in range(2)])
    np.testing.assert_array_equal(SampleMap(1)([maps, at]), expected)


@pytest.mark.parametrize("stride", [2, 4])
def test_a_ramp_is_read_exactly(stride):
    y, x = np.mgrid[:6, :7].astype(np.float32) * stride  # of cell (i, j): the pixel that it lies at
    at = np.random.default_rng(0).integers(0, 5 * stride, (1, 50, 2), dtype=np.int32)
    found = SampleMap(stride)([np.stack([y, x], axis=-1)[None], at])
    np.testing.assert_allclose(found, at, atol=1e-5)


def test_beyond_the_last_cell_its_value_is_held():
    maps = random(1, 3, 4, 2)
    at = np.array([[[11, 15], [100, 100], [-3, 0]]], np.int32)
    found = np.asarray(SampleMap(4)([maps, at]))
    np.testing.assert_array_equal(found[0], [maps[0, -1, -1], maps[0, -1, -1], maps[0, 0, 0]])


def test_the_gradient_goes_to_the_four_cells_and_sums_to_what_comes_in():
    maps, incoming = tf.Variable(random(2, 4, 5, 3)), random(2, 9, 3)
    at = np.random.default_rng(1).integers(0, 16, (2, 9, 2), dtype=np.int32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(SampleMap(4)([maps, at]) * incoming)
    gradient = tf.convert_to_tensor(tape.gradient(loss, maps)).numpy()
    np.testing.assert_allclose(gradient.sum(axis=(1, 2)), incoming.sum(axis=1), atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(SampleMap(4)([maps, np.full((2, 1, 2), (5, 6), np.int32)]))
    gradient = tf.convert_to_tensor(tape.gradient(loss, maps)).numpy()[0, ..., 0]
    expected = np.zeros((4, 5))
    expected[1:3, 1:3] = [[0.75 * 0.5, 0.75 * 0.5], [0.25 * 0.5, 0.25 * 0.5]]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_half_precision_reads_the_pixels_that_were_asked_for():
    maps = np.arange(400, dtype=np.float32).reshape(1, 1, 400, 1) % 7
    at = np.stack([np.zeros(400), np.arange(400)], axis=-1)[None].astype(np.int32)
    found = SampleMap(1, dtype="mixed_bfloat16")([maps, at])
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_array_equal(np.asarray(tf.cast(found, "float32"))[0, :, 0], maps[0, 0, :, 0])
