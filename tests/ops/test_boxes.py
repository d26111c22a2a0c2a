"""Boxes against Keras' and TensorFlow's own functions, and by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.ops import boxes as box_ops


def random_boxes(count, seed=0, side=100):
    random = np.random.default_rng(seed)
    low = random.uniform(0, 0.8 * side, (count, 2))
    return np.concatenate([low, low + random.uniform(1, 0.5 * side, (count, 2))], axis=1)


def test_iou_by_hand():
    first = [[0, 0, 10, 10], [5, 5, 5, 9]]
    second = [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [5, 5, 5, 9]]
    np.testing.assert_allclose(box_ops.iou(first, second), [[1, 1 / 3, 0, 0], [0, 0, 0, 0]])
    assert box_ops.iou(np.zeros((0, 4)), second).shape == (0, 4)


def test_iou_and_offsets_are_those_of_keras():
    one, other = random_boxes(30, 0), random_boxes(30, 1)
    theirs = keras.utils.bounding_boxes
    found = theirs.compute_iou(one.astype(np.float32), other.astype(np.float32), bounding_box_format="xyxy")
    np.testing.assert_allclose(box_ops.iou(one, other), found, atol=1e-5)
    offsets = theirs.encode_box_to_deltas(
        one.astype(np.float32), other.astype(np.float32), "xyxy", "xyxy", variance=[1.0, 1.0, 1.0, 1.0]
    )
    # Keras puts dy before dx.
    np.testing.assert_allclose(box_ops.encode(one, other), np.asarray(offsets)[:, [1, 0, 3, 2]], atol=1e-4)


def test_offsets_of_a_box_to_itself_are_zero():
    one = random_boxes(5)
    np.testing.assert_array_equal(box_ops.encode(one, one), 0)


def test_offsets_by_hand():
    offsets = box_ops.encode([[0, 0, 10, 20]], [[5, 0, 25, 20]])
    np.testing.assert_allclose(offsets, [[1.0, 0.0, np.log(2), 0.0]])


def test_decoding_undoes_encoding():
    one, other = random_boxes(30, 0), random_boxes(30, 1)
    np.testing.assert_allclose(box_ops.decode(one, box_ops.encode(one, other)), other, atol=1e-9)
    huge = box_ops.decode([[0, 0, 16, 16]], [[0, 0, 1e6, 0]])
    np.testing.assert_allclose(huge, [[8 - 500, 0, 8 + 500, 16]])


def test_clip_and_mirror():
    np.testing.assert_array_equal(box_ops.clip([[-3, 5, 99, 70]], 80, 60), [[0, 5, 80, 60]])
    np.testing.assert_array_equal(box_ops.mirror([[0, 5, 30, 70]], 80), [[50, 5, 80, 70]])
    np.testing.assert_array_equal(
        box_ops.mirror(box_ops.mirror(random_boxes(4), 80), 80).round(9), random_boxes(4).round(9)
    )


@pytest.mark.parametrize(("threshold", "limit"), [(0.3, None), (0.7, None), (0.3, 5)])
def test_suppression_is_tensorflows(threshold, limit):
    boxes, scores = random_boxes(200), np.random.default_rng(2).permutation(200) / 200
    kept = box_ops.non_maximum_suppression(boxes, scores, threshold, limit=limit)
    wanted = tf.image.non_max_suppression(boxes.astype(np.float32), scores.astype(np.float32), limit or 200, threshold)
    np.testing.assert_array_equal(kept, wanted)


def test_a_box_at_the_threshold_stays():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]  # IoU exactly 0.5
    assert box_ops.non_maximum_suppression(boxes, [0.5, 0.9], 0.5).tolist() == [1, 0]
    assert box_ops.non_maximum_suppression(boxes, [0.5, 0.9], 0.49).tolist() == [1]
    assert box_ops.non_maximum_suppression(np.zeros((0, 4)), np.zeros(0)).tolist() == []
