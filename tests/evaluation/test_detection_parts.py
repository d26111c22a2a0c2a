"""The detector's parts: what it learns from, its loss, what it answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.detection.data import Example, scaled_size, stack
from tfssl.evaluation.detection.head import (
    channel_statistics,
    detection_loss,
    detections,
    head,
    smooth_l1,
    stride_of,
)
from tfssl.evaluation.detection.proposals import sliding_windows
from tfssl.evaluation.detection.sampling import (
    PADDING,
    Sampling,
    candidates,
    draw,
    offset_statistics,
    training_batches,
    usable,
)
from tfssl.ops.boxes import encode, iou

ONES = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)


def example(boxes=((10, 10, 60, 50), (80, 30, 120, 90)), labels=(0, 2), difficult=(False, False), size=(128, 96)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Example("a.png", size, boxes, np.array(labels, np.int32), np.array(difficult, bool), sliding_windows(*size))


class Constant:
    """Maps that tell which picture, and which side of it, they are of."""

    padding, channels = -np.inf, 1

    def __call__(self, index, mirrored=False):
        return np.full((3 + index, 4, 1), 10 * index + mirrored, np.float32)


@pytest.mark.parametrize(
    ("size", "wanted"), [((500, 375), (800, 600)), ((500, 200), (1000, 400)), ((300, 300), (600, 600))]
)
def test_pictures_are_scaled_as_in_the_paper(size, wanted):
    assert scaled_size(size, 600, 1000) == wanted


def test_stacking_pads_below_and_to_the_right():
    stacked = stack([np.ones((2, 3, 1)), np.zeros((1, 4, 1))], -np.inf)
    assert stacked.shape == (2, 2, 4, 1)
    assert (stacked[0, :, 3] == -np.inf).all() and (stacked[1, 1] == -np.inf).all() and np.isfinite(stacked).sum() == 10


def test_objects_join_the_proposals():
    regions, overlaps, labels, objects = candidates(example())
    assert len(regions) == len(example().proposals) + 2
    np.testing.assert_array_equal(regions[:2], example().boxes)
    assert overlaps[:2].tolist() == [1, 1] and labels[:2].tolist() == [1, 3]
    np.testing.assert_allclose(overlaps, iou(regions, example().boxes).max(axis=1))
    np.testing.assert_array_equal(objects[labels == 3], np.broadcast_to(example().boxes[1], (sum(labels == 3), 4)))


def test_a_quarter_of_the_regions_show_an_object():
    one, sampling = example(), Sampling()
    regions, labels, offsets = draw(one, sampling, np.random.default_rng(0))
    overlaps = iou(regions, one.boxes).max(axis=1)
    assert (labels > 0).sum() == 16 and (labels == 0).sum() == 48
    assert (overlaps[labels > 0] >= 0.5).all()
    assert (overlaps[labels == 0] < 0.5).all() and (overlaps[labels == 0] >= 0.1).all()
    nearest = one.boxes[iou(regions, one.boxes).argmax(axis=1)]
    np.testing.assert_allclose(offsets[labels > 0], encode(regions, nearest)[labels > 0], atol=1e-5)
    assert not offsets[labels == 0].any()
    assert not np.array_equal(regions, draw(one, sampling, np.random.default_rng(1))[0])


def test_where_regions_run_out_places_stay_empty():
    one = example(boxes=[(10, 10, 60, 50)], labels=[1], difficult=[False])
    few = Example(one.path, one.size, one.boxes, one.labels, one.difficult, one.boxes + np.float32(15))
    _, labels, offsets = draw(few, Sampling(regions=8), np.random.default_rng(0))
    assert labels.tolist() == [2, 0, *[PADDING] * 6] and not offsets.any()


def test_difficult_objects_teach_nothing():
    one = example(difficult=(True, False))
    assert set(candidates(one)[2]) == {3}
    assert usable([example(difficult=(True, True)), one]) == [1]
    with pytest.raises(SourceError, match="not difficult"):
        usable([example(difficult=(True, True))])


def test_offsets_are_normalized_per_class():
    found = [example(), example(boxes=[(30, 20, 90, 80)], labels=[2], difficult=[False])]
    mean, deviation = offset_statistics(found, 3, Sampling())
    regions, overlaps, labels, objects = (np.concatenate(parts) for parts in zip(*map(candidates, found), strict=True))
    chosen = (overlaps >= 0.5) & (labels == 3)
    offsets = encode(regions[chosen], objects[chosen])
    np.testing.assert_allclose(mean[3, 1:], offsets.mean(axis=0)[1:], atol=1e-5)
    np.testing.assert_allclose(deviation[3, 1:], offsets.std(axis=0)[1:], atol=1e-4)
    np.testing.assert_allclose(deviation[3, 0], np.sqrt(np.mean(offsets[:, 0] ** 2)), atol=1e-4)
    assert mean[0].tolist() == mean[2].tolist() == [0] * 4 and deviation[0].tolist() == deviation[2].tolist() == [1] * 4


def test_batches_show_each_picture_and_its_mirror_image_once_in_a_pass():
    found = [example(), example(boxes=[(30, 20, 90, 80)], labels=[2], difficult=[False])]
    batches = training_batches(found, Constant(), ONES, Sampling(regions=16), seed=3)
    seen = []
    for (x, regions), (labels, _) in batches.take(4):
        assert x.shape == (2, int(max(v for v in (x.shape[1],))), 4, 1) and regions.shape == (2, 16, 4)
        for picture, own, named in zip(x.numpy(), regions.numpy(), labels.numpy(), strict=True):
            index, mirrored = divmod(int(picture[0, 0, 0]), 10)
            source = found[index].mirror() if mirrored else found[index]
            overlaps = iou(own, source.boxes).max(axis=1)
            assert ((overlaps >= 0.5) == (named > 0))[named != PADDING].all()
            seen.append((index, bool(mirrored)))
    assert sorted(seen[:4]) == sorted(seen[4:]) == [(0, False), (0, True), (1, False), (1, True)]
    again = training_batches(found, Constant(), ONES, Sampling(regions=16), seed=3)
    for (first, _), (second, _) in zip(batches.take(3), again.take(3), strict=True):
        np.testing.assert_array_equal(first[1], second[1])


def test_smooth_l1():
    values = tf.constant([0.5, 2.0, -2.0, 0.0, 1.0])
    np.testing.assert_allclose(smooth_l1(values), [0.125, 1.5, 1.5, 0, 0.5])
    random = np.random.default_rng(0).normal(0, 2, (50, 1)).astype(np.float32)
    np.testing.assert_allclose(smooth_l1(random)[:, 0], keras.losses.huber(np.zeros_like(random), random), atol=1e-6)


def test_loss_by_hand():
    """Three regions of 2 classes and one empty place: ln 3 each, one object whose dx misses by 2."""
    labels = np.array([[1, 0], [2, PADDING]], np.int32)
    wanted = np.zeros((2, 2, 4), np.float32)
    offsets = np.zeros((2, 2, 3, 4), np.float32)
    offsets[0, 0, 1, 0] = 2.0
    offsets[0, 0, 2], offsets[0, 1], offsets[1, 1] = 9.0, 9.0, 9.0  # other classes, background, no region
    outputs = {"scores": tf.zeros((2, 2, 3)), "offsets": tf.constant(offsets)}
    assert float(detection_loss((labels, wanted), outputs)) == pytest.approx(np.log(3) + 1.5 / 3, rel=1e-6)


def test_head_starts_without_an_opinion():
    statistics = channel_statistics([np.random.default_rng(0).normal(3, 100, (9, 7, 5))])
    np.testing.assert_allclose(statistics[0], 3, atol=60)
    model = head(statistics, 3, stride=8, max_cells=8, units=(16, 16))
    maps = np.random.default_rng(1).normal(3, 100, (2, 9, 7, 5)).astype(np.float32)
    outputs = model([maps, np.tile(np.array([[[0, 0, 50, 60]]], np.float32), (2, 4, 1))])
    assert outputs["scores"].shape == (2, 4, 4) and outputs["offsets"].shape == (2, 4, 4, 4)
    assert np.abs(outputs["scores"]).max() < 0.5 and np.abs(outputs["offsets"]).max() < 0.05
    assert sum(w.shape == (6 * 6 * 5, 16) for w in model.trainable_variables) == 1


def test_statistics_of_a_dead_channel_do_not_blow_it_up():
    maps = np.random.default_rng(0).normal(size=(8, 8, 2))
    maps[..., 1] = 0
    mean, deviation = channel_statistics([maps, maps[:3]])
    both = np.concatenate([maps, maps[:3]]).reshape(-1, 2)
    np.testing.assert_allclose(mean, both.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(deviation, [both[:, 0].std(), 5e-4 * both[:, 0].std()], rtol=1e-5)


def test_stride_of_a_tap():
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(2, 11, strides=4)(rgb)
    two = keras.layers.MaxPooling2D(2)(one)
    flat = keras.layers.GlobalAveragePooling2D(keepdims=True)(one)
    encoder = keras.Model(rgb, {"conv1": one, "conv2": two, "fc6": flat})
    assert (stride_of(encoder, "conv1"), stride_of(encoder, "conv2")) == (4, 8)
    with pytest.raises(ConfigError, match="'fc6' is no map"):
        stride_of(encoder, "fc6")


def test_detections_are_moved_cut_and_suppressed():
    regions = np.array([[0, 0, 40, 40], [2, 0, 42, 40], [60, 60, 90, 90]], float)
    probabilities = np.array([[0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]])
    offsets = np.zeros((3, 3, 4))
    offsets[2, 2] = [0.5, 0, 0, 0]  # times a deviation of 2, plus a mean of 0: one width to the right
    statistics = np.zeros((3, 4)), np.full((3, 4), 2.0)
    found = detections(regions, probabilities, offsets, statistics, (100, 80))
    assert found.scores.tolist() == [0.8, 0.7, 0.1, 0.1]
    assert found.labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(found.boxes[:2], [[0, 0, 40, 40], [90, 60, 100, 80]])
