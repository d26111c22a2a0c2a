"""Average precision: worked examples, scikit-learn and pycocotools, and the rules at their edges."""

import contextlib
import io

import numpy as np
import pytest

from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation.average_precision import (
    INTERPOLATIONS,
    Objects,
    average_precision,
    coco_average_precision,
    ranked_average_precision,
    voc_average_precision,
)

SCORES, LABELS = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 0]


@pytest.mark.parametrize(("interpolation", "expected"), [("area", 5 / 6), ("11point", (6 + 5 * 2 / 3) / 11)])
def test_worked_example(interpolation, expected):
    assert average_precision(SCORES, LABELS, interpolation=interpolation) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_ties_rank_positives_last(interpolation):
    assert average_precision([0.5] * 4, [1, 0, 0, 0], interpolation=interpolation) == pytest.approx(0.25)
    assert average_precision([0.5] * 4, [0, 0, 0, 1], interpolation=interpolation) == pytest.approx(0.25)


def test_area_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, (200, 7)), random.normal(size=(200, 7))
    expected = metrics.average_precision_score(labels, scores, average=None)
    np.testing.assert_allclose(average_precision(scores, labels), expected, atol=1e-12)


def test_ignored_examples_count_for_nothing():
    scores, labels = [0.9, 0.95, 0.8, 0.7, 0.99, 0.6, 0.5], [1, 255, 0, 1, 255, 0, 0]
    value = average_precision(scores, labels, ignore=np.equal(labels, 255))
    assert value == average_precision(SCORES, LABELS)
    assert average_precision(SCORES, LABELS, ignore=[False, True, False, False, False]) == 1.0


def test_class_without_positives_is_nan():
    values = average_precision([[0.1, 0.2], [0.3, 0.4]], [[1, 0], [0, 0]])
    assert values[0] == 0.5 and np.isnan(values[1])


def test_11_points_are_compared_in_whole_numbers():
    # 3 of 10 found, then nothing: thresholds 0, 0.1, 0.2 and 0.3 are reached, although 3 * 0.1 > 0.3 in floats.
    assert ranked_average_precision([True] * 3, 10, interpolation="11point") == pytest.approx(4 / 11)


def test_objects_that_were_never_found_lower_the_value():
    assert ranked_average_precision([True], 2) == 0.5
    assert ranked_average_precision([True], 2, interpolation="11point") == pytest.approx(6 / 11)
    assert ranked_average_precision([], 2, interpolation="101point") == 0.0


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="`interpolation` must be one of area, 11point, 101point"):
        ranked_average_precision([True], 1, interpolation="voc")
    with pytest.raises(ConfigError, match="`labels` must be 0 or 1"):
        average_precision([0.1, 0.2], [1, 255])
    with pytest.raises(ConfigError, match="alike"):
        average_precision([0.1, 0.2], [[1], [0]])
    with pytest.raises(ModelError, match="NaN"):
        average_precision([np.nan, 0.2], [1, 0])


def truth(boxes, labels, difficult=None):
    difficult = np.zeros(len(boxes), bool) if difficult is None else np.array(difficult, bool)
    return Objects(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), None, difficult)


def found(boxes, labels, scores):
    return Objects(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), np.array(scores, float))


A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]


def test_worked_example_over_two_images():
    """Hit, miss, hit, miss of 2 objects: the card's ranking 1 0 1 0 0."""
    truths = [truth([A], [0]), truth([B], [0])]
    detections = [found([A, FAR], [0, 0], [0.9, 0.8]), found([B, FAR, FAR], [0, 0, 0], [0.7, 0.6, 0.5])]
    assert voc_average_precision(truths, detections, 1)[0] == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert voc_average_precision(truths, detections, 1, interpolation="area")[0] == pytest.approx(5 / 6)


def test_a_second_detection_of_an_object_is_a_miss():
    detections = [found([A, A, B], [0, 0, 0], [0.9, 0.8, 0.7])]
    value = voc_average_precision([truth([A, B], [0, 0])], detections, 1, interpolation="area")[0]
    assert value == pytest.approx((1 + 2 / 3) / 2)


def test_difficult_objects_count_for_nothing():
    truths = [truth([A, B], [0, 0], [True, False])]
    detections = [found([A, A, B], [0, 0, 0], [0.9, 0.8, 0.7])]
    assert voc_average_precision(truths, detections, 1)[0] == 1.0
    only = voc_average_precision([truth([A], [0], [True])], [found([A], [0], [0.9])], 1)
    assert np.isnan(only[0])


def test_iou_at_the_threshold_is_a_hit():
    half = [0, 0, 10, 5]
    assert voc_average_precision([truth([A], [0])], [found([half], [0], [1.0])], 1)[0] == 1.0
    assert voc_average_precision([truth([A], [0])], [found([half], [0], [1.0])], 1, threshold=0.51)[0] == 0.0


def test_equal_scores_rank_misses_first():
    truths, detections = [truth([A], [0])], [found([A, FAR], [0, 0], [0.5, 0.5])]
    assert voc_average_precision(truths, detections, 1)[0] == 0.5


def test_classes_and_images_do_not_mix():
    truths = [truth([A], [0]), truth([A], [1])]
    detections = [found([A], [1], [0.9]), found([A], [0], [0.9])]
    assert voc_average_precision(truths, detections, 2).tolist() == [0.0, 0.0]
    nothing = [found([], [], [])] * 2
    assert voc_average_precision(truths, nothing, 2).tolist() == [0.0, 0.0]
    assert coco_average_precision(truths, nothing, 2).max() == 0.0


def made_set(seed, images=25, classes=3):
    """Objects, and detections that are jittered copies of them, doubles, and noise; scores with ties."""
    random = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(images):
        count = random.integers(0, 6)
        low = random.uniform(0, 60, (count, 2))
        boxes = np.concatenate([low, low + random.uniform(8, 40, (count, 2))], axis=1)
        labels = random.integers(0, classes, count)
        truths.append(truth(boxes, labels, random.random(count) < 0.2))
        near = np.repeat(boxes, 3, axis=0) + random.normal(0, 3, (3 * count, 4))
        noise = random.uniform(0, 50, (4, 2))
        near = np.concatenate([near, np.concatenate([noise, noise + random.uniform(5, 40, (4, 2))], axis=1)])
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        guesses = np.concatenate([np.repeat(labels, 3), random.integers(0, classes, 4)])
        detections.append(found(near, guesses, random.random(len(near)).round(1)))
    return truths, detections


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_coco_metric_is_that_of_pycocotools(seed):
    coco_module = pytest.importorskip("pycocotools.coco", reason="needs pycocotools, in the extra `test`")
    from pycocotools.cocoeval import COCOeval

    truths, detections = made_set(seed)
    coco = coco_module.COCO()
    annotations, results = [], []
    for image, (t, d) in enumerate(zip(truths, detections, strict=True), start=1):
        for box, label, difficult in zip(t.boxes, t.labels, t.difficult, strict=True):
            # An object outside the range of areas is ignored without being a crowd, which has rules of its own.
            size = 1e12 if difficult else float(np.prod(box[2:] - box[:2]))
            bbox = [*box[:2], *(box[2:] - box[:2])]
            record = {"image_id": image, "category_id": int(label) + 1, "bbox": bbox, "area": size, "iscrowd": 0}
            annotations.append({**record, "id": len(annotations) + 1})
        for box, label, score in zip(d.boxes, d.labels, d.scores, strict=True):
            bbox = [*box[:2], *(box[2:] - box[:2])]
            results.append({"image_id": image, "category_id": int(label) + 1, "bbox": bbox, "score": float(score)})
    images = [{"id": number} for number in range(1, len(truths) + 1)]
    coco.dataset = {"images": images, "annotations": annotations, "categories": [{"id": i} for i in (1, 2, 3)]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = coco_average_precision(truths, detections, 3)
    np.testing.assert_allclose(ours, evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=1), atol=1e-12)
    wanted = [ours.mean(), ours[0].mean(), ours[5].mean()]
    np.testing.assert_allclose(wanted, evaluation.stats[:3], atol=1e-12)
    assert 0.1 < ours.mean() < 0.9
