"""The detector's parts: what it learns from, its loss, what it answers."""

import numpy as np
import pytest
import tensorflow as tf

from tfssl.data.pipeline import batches
from tfssl.errors import SourceError
from tfssl.evaluation.detection.data import scaled_size
from tfssl.evaluation.detection.head import channel_statistics, detection_loss, detections, head
from tfssl.evaluation.detection.proposals import sliding_windows
from tfssl.evaluation.detection.sampling import (
    PADDING,
    RegionSampler,
    Sampling,
    TrainingImages,
    candidates,
    draw,
    inputs_and_targets,
    offset_statistics,
)
from tfssl.ops.boxes import encode, iou, mirror

ONES = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)


def example(boxes=((10, 10, 60, 50), (80, 30, 120, 90)), labels=(0, 2), difficult=(False, False), size=(128, 96)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    label, difficult = np.array(labels, np.int32), np.array(difficult, bool)
    found = {"name": "a.png", "size": size, "boxes": boxes, "label": label, "difficult": difficult}
    return found | {"proposals": sliding_windows(*size)}


class Constant:
    """Maps that tell which image, and which way round, they are of."""

    padding, channels, canvas = -np.inf, 1, (5, 4)

    def __call__(self, index, mirrored=False):
        return np.full((3 + index, 4, 1), 10 * index + mirrored, np.float32)


@pytest.mark.parametrize(
    ("size", "wanted"), [((500, 375), (800, 600)), ((500, 200), (1000, 400)), ((300, 300), (600, 600))]
)
def test_images_are_scaled_as_in_the_paper(size, wanted):
    assert scaled_size(size, 600, 1000) == wanted


def test_objects_join_the_proposals():
    regions, overlaps, labels, objects = candidates(example())
    assert len(regions) == len(example()["proposals"]) + 2
    np.testing.assert_array_equal(regions[:2], example()["boxes"])
    assert overlaps[:2].tolist() == [1, 1] and labels[:2].tolist() == [1, 3]
    np.testing.assert_allclose(overlaps, iou(regions, example()["boxes"]).max(axis=1))
    np.testing.assert_array_equal(objects[labels == 3], np.broadcast_to(example()["boxes"][1], (sum(labels == 3), 4)))


def test_a_quarter_of_the_regions_show_an_object():
    one, sampling = example(), Sampling()
    regions, labels, offsets = draw(one, sampling, np.random.default_rng(0))
    overlaps = iou(regions, one["boxes"]).max(axis=1)
    assert (labels > 0).sum() == 16 and (labels == 0).sum() == 48
    assert (overlaps[labels > 0] >= 0.5).all()
    assert (overlaps[labels == 0] < 0.5).all() and (overlaps[labels == 0] >= 0.1).all()
    nearest = one["boxes"][iou(regions, one["boxes"]).argmax(axis=1)]
    np.testing.assert_allclose(offsets[labels > 0], encode(regions, nearest)[labels > 0], atol=1e-5)
    assert not offsets[labels == 0].any()
    assert not np.array_equal(regions, draw(one, sampling, np.random.default_rng(1))[0])


def test_where_regions_run_out_rows_stay_empty():
    one = example(boxes=[(10, 10, 60, 50)], labels=[1], difficult=[False])
    few = one | {"proposals": one["boxes"] + np.float32(15)}
    _, labels, offsets = draw(few, Sampling(regions=8), np.random.default_rng(0))
    assert labels.tolist() == [2, 0, *[PADDING] * 6] and not offsets.any()


def test_difficult_objects_teach_nothing():
    one = example(difficult=(True, False))
    assert set(candidates(one)[2]) == {3}
    hard = example(difficult=(True, True))
    assert [x["image"][0, 0, 0] for x in TrainingImages([hard, one], Constant())] == [10, 11]
    with pytest.raises(SourceError, match="not difficult"):
        TrainingImages([hard], Constant())


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


def batches_of(found, seed):
    sampler = RegionSampler(Constant(), ONES, Sampling(regions=16))
    options = {"training": True, "prepare": inputs_and_targets, "seed": seed, "count": 4}
    return batches(TrainingImages(found, Constant()), sampler, 2, **options)


def test_batches_show_each_image_and_its_mirror_image_once_in_a_pass():
    found = [example(), example(boxes=[(30, 20, 90, 80)], labels=[2], difficult=[False])]
    seen = []
    for (x, regions), (labels, _) in batches_of(found, 3):
        assert x.shape == (2, 5, 4, 1) and regions.shape == (2, 16, 4)
        for image, own, named in zip(x.numpy(), regions.numpy(), labels.numpy(), strict=True):
            index, mirrored = divmod(int(image[0, 0, 0]), 10)
            assert np.isfinite(image).all(axis=(1, 2)).tolist() == [True] * (3 + index) + [False] * (2 - index)
            boxes = mirror(found[index]["boxes"], 128) if mirrored else found[index]["boxes"]
            overlaps = iou(own, boxes).max(axis=1)
            assert ((overlaps >= 0.5) == (named > 0))[named != PADDING].all()
            seen.append((index, bool(mirrored)))
    assert sorted(seen[:4]) == sorted(seen[4:]) == [(0, False), (0, True), (1, False), (1, True)]
    for (first, _), (second, _) in zip(batches_of(found, 3), batches_of(found, 3), strict=True):
        np.testing.assert_array_equal(first[1], second[1])


def test_loss_by_hand():
    """Three regions of 2 classes and one empty row: ln 3 each, one object whose dx misses by 2 and dw by 0.5."""
    labels = np.array([[1, 0], [2, PADDING]], np.int32)
    wanted = np.zeros((2, 2, 4), np.float32)
    offsets = np.zeros((2, 2, 3, 4), np.float32)
    offsets[0, 0, 1] = [2.0, 0.0, 0.5, 0.0]
    offsets[0, 0, 2], offsets[0, 1], offsets[1, 1] = 9.0, 9.0, 9.0  # other classes, background, no region
    outputs = {"scores": tf.zeros((2, 2, 3)), "offsets": tf.constant(offsets)}
    assert float(detection_loss((labels, wanted), outputs)) == pytest.approx(np.log(3) + (1.5 + 0.125) / 3, rel=1e-6)


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
