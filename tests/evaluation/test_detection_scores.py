"""Average precision of detections: by hand, and against pycocotools."""

import contextlib
import io

import numpy as np
import pytest

from tfssl.evaluation.detection.scores import Objects, coco_average_precision, voc_average_precision


def truth(boxes, labels, difficult=None):
    difficult = np.zeros(len(boxes), bool) if difficult is None else np.array(difficult, bool)
    return Objects(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), None, difficult)


def found(boxes, labels, scores):
    return Objects(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), np.array(scores, float))


A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]


def test_worked_example_over_two_pictures():
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


def test_classes_and_pictures_do_not_mix():
    truths = [truth([A], [0]), truth([A], [1])]
    detections = [found([A], [1], [0.9]), found([A], [0], [0.9])]
    assert voc_average_precision(truths, detections, 2).tolist() == [0.0, 0.0]
    nothing = [found([], [], [])] * 2
    assert voc_average_precision(truths, nothing, 2).tolist() == [0.0, 0.0]
    assert coco_average_precision(truths, nothing, 2).max() == 0.0


def made_set(seed, pictures=25, classes=3):
    """Objects, and detections that are jittered copies of them, doubles, and noise; scores with ties."""
    random = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(pictures):
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
    for picture, (t, d) in enumerate(zip(truths, detections, strict=True), start=1):
        for box, label, difficult in zip(t.boxes, t.labels, t.difficult, strict=True):
            # An object outside the range of areas is ignored without being a crowd, which has rules of its own.
            size = 1e12 if difficult else float(np.prod(box[2:] - box[:2]))
            bbox = [*box[:2], *(box[2:] - box[:2])]
            record = {"image_id": picture, "category_id": int(label) + 1, "bbox": bbox, "area": size, "iscrowd": 0}
            annotations.append({**record, "id": len(annotations) + 1})
        for box, label, score in zip(d.boxes, d.labels, d.scores, strict=True):
            bbox = [*box[:2], *(box[2:] - box[:2])]
            results.append({"image_id": picture, "category_id": int(label) + 1, "bbox": bbox, "score": float(score)})
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
