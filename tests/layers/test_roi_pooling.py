"""Pooling of regions against a plain loop: values, gradients, maps of any size."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.pooling import RoIPooling

RNG = np.random.default_rng(0)


def loop(maps, boxes, size, stride):
    """ROIPoolingLayer of caffe-fast-rcnn, cell by cell, with exact division."""
    _, height, width, channels = maps.shape
    out = np.zeros((*boxes.shape[:2], size, size, channels), np.float32)
    for b, r, i, j in itertools.product(*map(range, out.shape[:4])):
        x1, y1, x2, y2 = boxes[b, r].astype(np.float64)
        left, top = math.floor(x1 / stride + 0.5), math.floor(y1 / stride + 0.5)
        columns = max(math.floor((x2 - 1) / stride + 0.5) - left + 1, 1)
        rows = max(math.floor((y2 - 1) / stride + 0.5) - top + 1, 1)
        y = [min(max(v, 0), height) for v in (top + i * rows // size, top - (-(i + 1) * rows // size))]
        x = [min(max(v, 0), width) for v in (left + j * columns // size, left - (-(j + 1) * columns // size))]
        if y[1] > y[0] and x[1] > x[0]:
            out[b, r, i, j] = maps[b, y[0] : y[1], x[0] : x[1]].max(axis=(0, 1))
    return out


def random_boxes(batch, count, width, height, margin=0):
    ends = RNG.uniform(-margin, (width + margin, height + margin), (2, batch, count, 2))
    return np.concatenate([ends.min(axis=0), ends.max(axis=0) + 1], axis=-1).astype(np.float32)


def test_worked_example():
    """A region of 3 x 2 cells on a 2 x 2 grid: columns 0-1 and 1-2 overlap, rows do not."""
    maps = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    boxes = np.array([[[0, 0, 48, 32]]], np.float32)  # 0 to round(47 / 16) = 3, 0 to round(31 / 16) = 2
    np.testing.assert_array_equal(RoIPooling(2, 16)([maps, boxes])[0, 0, :, :, 0], [[5, 7], [9, 11]])
    boxes = np.array([[[0, 0, 40, 24]]], np.float32)  # 0 to round(39 / 16) = 2, 0 to round(23 / 16) = 1
    np.testing.assert_array_equal(RoIPooling(2, 16)([maps, boxes])[0, 0, :, :, 0], [[1, 2], [5, 6]])


@pytest.mark.parametrize(("size", "stride"), [(6, 16), (7, 8), (1, 4), (3, 12.5)])
@pytest.mark.parametrize(("height", "width"), [(14, 9), (1, 5), (20, 31)])
def test_equals_a_loop(size, stride, height, width):
    maps = RNG.normal(size=(2, height, width, 3)).astype(np.float32)
    boxes = random_boxes(2, 25, width * stride, height * stride, margin=3 * stride)
    layer = RoIPooling(size, stride, max_cells=64)
    pooled = layer([maps, boxes])
    assert pooled.shape == layer.compute_output_shape([maps.shape, boxes.shape])
    np.testing.assert_array_equal(pooled, loop(maps, boxes, size, stride))


def test_halves_are_rounded_up_as_in_c():
    maps = np.arange(5, dtype=np.float32).reshape(1, 1, 5, 1)
    boxes = np.array([[[8, 0, 9, 16], [24, 0, 25, 16], [7.9, 0, 8.9, 16]]], np.float32)  # 0.5, 1.5, 0.49
    np.testing.assert_array_equal(np.ravel(RoIPooling(1, 16)([maps, boxes])), [1, 2, 0])


def test_one_graph_for_maps_of_any_size():
    layer, traces = RoIPooling(6, 16), []

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, 4))])
    def pool(maps, boxes):
        traces.append(1)
        return layer([maps, boxes])

    for batch, height, width in ((1, 7, 12), (2, 13, 5)):
        maps = RNG.normal(size=(batch, height, width, 3)).astype(np.float32)
        boxes = random_boxes(batch, 9, 16 * width, 16 * height)
        np.testing.assert_array_equal(pool(maps, boxes), loop(maps, boxes, 6, 16))
    assert len(traces) == 1


def test_gradient_goes_to_the_maxima():
    values = 1 + RNG.permutation(2 * 12 * 14 * 2).reshape(2, 12, 14, 2).astype(
        np.float32
    )  # no two are equal, none is 0
    boxes = random_boxes(2, 11, 14 * 16, 12 * 16, margin=20)
    weights = RNG.normal(size=(2, 11, 3, 3, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        maps = tf.constant(values)
        tape.watch(maps)
        pooled = RoIPooling(3, 16)([maps, boxes])
        total = tf.reduce_sum(pooled * weights)
    wanted = np.zeros(values.shape)
    for b, r, i, j, c in itertools.product(*map(range, pooled.shape)):
        for y, x in np.argwhere(values[b, :, :, c] == pooled[b, r, i, j, c].numpy()):  # one place, or none where empty
            wanted[b, y, x, c] += weights[b, r, i, j, c]
    assert (wanted != 0).sum() > 50
    np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(total, maps)), wanted, atol=1e-5)


def test_padding_of_minus_infinity_counts_for_nothing():
    maps = -np.abs(RNG.normal(size=(1, 6, 6, 2))).astype(np.float32)
    padded = np.pad(maps, [(0, 0), (0, 3), (0, 2), (0, 0)], constant_values=-np.inf)
    boxes = np.array([[[0, 0, 96, 96], [50, 20, 96, 96], [100, 0, 120, 90]]], np.float32)
    np.testing.assert_array_equal(RoIPooling(6, 16)([padded, boxes]), RoIPooling(6, 16)([maps, boxes]))
    with tf.GradientTape() as tape:
        x = tf.constant(padded)
        tape.watch(x)
        total = tf.reduce_sum(RoIPooling(6, 16)([x, boxes]))
    assert np.isfinite(tape.gradient(total, x)).all()


def test_cells_that_are_too_long_are_nan_and_never_wrong():
    maps = RNG.normal(size=(1, 1, 40, 1)).astype(np.float32)
    boxes = np.array([[[0, 0, 640, 16], [0, 0, 320, 16]]], np.float32)
    pooled = RoIPooling(1, 16, max_cells=20)([maps, boxes])  # 20 is rounded up to 32
    assert np.isnan(pooled[0, 0]).all()
    assert pooled[0, 1, 0, 0, 0] == maps[0, 0, :21].max()
    narrow = RoIPooling(2, 16, max_cells=1)([maps, np.array([[[0, 0, 64, 16]]], np.float32)])
    assert np.isnan(narrow).all()


def test_is_saved_with_its_configuration(tmp_path):
    maps, boxes = keras.Input((None, None, 3)), keras.Input((None, 4))
    model = keras.Model([maps, boxes], RoIPooling(4, 8, max_cells=8, name="pool")([maps, boxes]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("pool").get_config() == model.get_layer("pool").get_config()
    for name, value in (("pool_size", 0), ("stride", -1), ("max_cells", 2.5)):
        with pytest.raises(ValueError, match=name):
            RoIPooling(**{name: value})
