"""Scores of detections: mean average precision as VOC 2007 counts it, and as COCO does."""

import dataclasses

import numpy as np

from tfssl.evaluation.average_precision import ranked_average_precision
from tfssl.ops.boxes import iou

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU that COCO's metric is averaged over."""

MAX_DETECTIONS = 100
"""Detections of a class that count in one picture (COCO)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The true objects of a picture, or what was detected in it.

    Args:
        boxes: (N, 4), pixels.
        labels: int (N,), classes.
        scores: float (N,), of detections; None for true objects.
        difficult: bool (N,), true objects that are neither demanded nor counted as mistakes; None for none.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    difficult: np.ndarray | None = None

    def of_class(self, label):
        """Those of one class."""
        chosen = self.labels == label
        rest = (None if values is None else values[chosen] for values in (self.scores, self.difficult))
        return Objects(self.boxes[chosen], self.labels[chosen], *rest)


def voc_average_precision(truths, detections, classes, *, threshold=0.5, interpolation="11point"):
    """Average precision of each class as in VOC.

    Best score first, each detection is compared with the object of its class that it overlaps most. It is a hit if
    their IoU is at least the threshold and no better detection has had that object; if the object is difficult it
    counts for nothing; else it is a miss. Of equal scores misses come first.

    Args:
        truths: list of :class:`Objects`, one for each picture.
        detections: list of :class:`Objects` with scores, one for each picture.
        classes: number of classes.
        threshold: smallest IoU of a hit (VOC: 0.5).
        interpolation: see :func:`tfssl.evaluation.average_precision.average_precision` (VOC 2007: ``"11point"``).

    Returns:
        float64 (classes,), NaN for a class without objects that are not difficult.
    """
    values = []
    for label in range(classes):
        pairs = [(t.of_class(label), d.of_class(label)) for t, d in zip(truths, detections, strict=True)]
        matched = [_match_voc(truth, found, threshold) for truth, found in pairs]
        hits, scores = (np.concatenate(column) for column in zip(*matched, strict=True))
        order = np.lexsort((hits, -scores))
        values.append(ranked_average_precision(hits[order], _demanded(pairs), interpolation=interpolation))
    return np.array(values)


def coco_average_precision(truths, detections, classes):
    """Average precision of each class at each IoU as in COCO, with 101 points of recall.

    Best score first, each detection gets the object of its class that it overlaps most among those that are free,
    demanded ones before difficult ones. At most :data:`MAX_DETECTIONS` of a class count in a picture. The numbers are
    those of pycocotools' ``COCOeval`` with ``iouType="bbox"`` for objects of all sizes.

    Args:
        truths, detections, classes: as :func:`voc_average_precision`.

    Returns:
        float64 (10, classes): IoU 0.5, 0.55, ..., 0.95; NaN for a class without objects that are not difficult. Their
        mean is COCO's AP, that of the first row AP50, of the sixth AP75.
    """
    values = np.empty((len(COCO_THRESHOLDS), classes))
    for label in range(classes):
        pairs = [(t.of_class(label), d.of_class(label)) for t, d in zip(truths, detections, strict=True)]
        for row, threshold in enumerate(COCO_THRESHOLDS):
            matched = [_match_coco(truth, found, threshold) for truth, found in pairs]
            hits, scores = (np.concatenate(column) for column in zip(*matched, strict=True))
            hits = hits[np.argsort(-scores, kind="stable")]
            values[row, label] = ranked_average_precision(hits, _demanded(pairs), interpolation="101point")
    return values


def _demanded(pairs):
    return sum(int((~_difficult(truth)).sum()) for truth, _ in pairs)


def _difficult(truth):
    return np.zeros(len(truth.boxes), bool) if truth.difficult is None else truth.difficult


def _match_voc(truth, found, threshold):
    """``(hit, score)`` of the detections of one class in one picture that count."""
    order = np.argsort(-found.scores, kind="stable")
    overlaps, difficult = iou(found.boxes[order], truth.boxes), _difficult(truth)
    hits, counted, taken = np.zeros(len(order), bool), np.ones(len(order), bool), np.zeros(len(difficult), bool)
    for row, overlap in enumerate(overlaps if difficult.size else ()):
        best = overlap.argmax()
        if overlap[best] >= threshold:
            counted[row] = not difficult[best]
            hits[row] = counted[row] and not taken[best]
            taken[best] = True
    return hits[counted], found.scores[order][counted]


def _match_coco(truth, found, threshold):
    """As :func:`_match_voc`, by COCO's rule."""
    order = np.argsort(-found.scores, kind="stable")[:MAX_DETECTIONS]
    overlaps, difficult = iou(found.boxes[order], truth.boxes), _difficult(truth)
    hits, counted, free = np.zeros(len(order), bool), np.ones(len(order), bool), np.ones(len(difficult), bool)
    for row, overlap in enumerate(overlaps):
        for kind in (~difficult, difficult):
            candidates = np.flatnonzero(free & kind & (overlap >= min(threshold, 1 - 1e-10)))
            if candidates.size:
                best = candidates[::-1][overlap[candidates[::-1]].argmax()]  # the last of equals, as pycocotools
                free[best], hits[row], counted[row] = False, not difficult[best], not difficult[best]
                break
    return hits[counted], found.scores[order][counted]
