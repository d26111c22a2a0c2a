"""Average precision: of a ranking whose hits are known, under the three rules in use, and of detections.

============ =================================================================== =======================================
``area``     sum over the hits of the precision there, divided by the positives  scikit-learn's average_precision_score
``11point``  mean of the best precision at a recall >= 0, 0.1, ..., 1            VOC 2007
``101point`` mean of the best precision at a recall >= 0, 0.01, ..., 1           COCO, as pycocotools
============ =================================================================== =======================================

Reference:
    M. Everingham, L. Van Gool, C. Williams, J. Winn, A. Zisserman: The Pascal Visual Object Classes (VOC) Challenge.
    IJCV 2010, section 4.2.
"""

import dataclasses

import numpy as np

from tfssl.errors import ConfigError, ModelError
from tfssl.ops.boxes import iou

INTERPOLATIONS = ("area", "11point", "101point")
COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU that COCO's metric is averaged over
MAX_DETECTIONS = 100  # that count in one image: of a class in COCO's metric, of all in what a detector answers


def average_precision(scores, labels, *, interpolation="area", ignore=None):
    """Average precision of scores of examples, for one class or for several at once; NaN where there is no positive.

    Equal scores are resolved against the ranking: the negatives among them come first. (The classification code of
    Donahue et al. subtracts 1e-5 from the scores of positives to that end; only exact ties are touched here.)

    Args:
        scores: float (N,) or (N, classes); higher means more surely positive.
        labels: int or bool, of the same shape, 1 for positives and 0 for negatives.
        interpolation: one of :data:`INTERPOLATIONS`.
        ignore: bool, of the same shape: True where an example counts for nothing, whatever its label says.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    ignore = np.zeros(labels.shape, bool) if ignore is None else np.asarray(ignore, bool)
    if not scores.shape == labels.shape == ignore.shape or scores.ndim not in (1, 2):
        shapes = f"{scores.shape}, {labels.shape} and {ignore.shape}"
        raise ConfigError(f"`scores`, `labels` and `ignore` must be (N,) or (N, classes) alike. Received: {shapes}")
    if scores.ndim == 2:
        columns = zip(scores.T, labels.T, ignore.T, strict=True)
        return np.array([average_precision(s, t, interpolation=interpolation, ignore=i) for s, t, i in columns])
    scores, labels = scores[~ignore], labels[~ignore]
    if not np.isin(labels, (0, 1)).all():
        wrong = labels[~np.isin(labels, (0, 1))][0]
        raise ConfigError(f"`labels` must be 0 or 1 where `ignore` is not set. Received: {wrong!r}")
    if np.isnan(scores).any():
        raise ModelError("`scores` hold NaN")
    order = np.lexsort((labels, -scores))
    return ranked_average_precision(labels[order], int(labels.sum()), interpolation=interpolation)


def ranked_average_precision(hits, positives, *, interpolation="area"):
    """Average precision of a ranking, in [0, 1]; NaN if there is no positive.

    Recall is compared with 0, 0.1, ..., 1 in whole numbers, so that 3 of 10 reach 0.3; for 101 points it is compared
    in floating point as pycocotools does, where they may not.

    Args:
        hits: bool (N,), best score first: True for a hit, False for a miss.
        positives: how many hits there could be: of a detector, the number of objects.
        interpolation: one of :data:`INTERPOLATIONS`.
    """
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise ConfigError(f"`interpolation` must be one of {known}. Received: interpolation={interpolation!r}")
    if positives == 0:
        return float("nan")
    hits = np.asarray(hits, bool)
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    if interpolation == "area":
        return float(precision[hits].sum() / positives)
    if interpolation == "11point":
        reached = np.searchsorted(found, -(-np.arange(11) * positives // 10))
    else:
        reached = np.searchsorted(found / positives, np.linspace(0, 1, 101))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(best, 0.0)[reached].mean())  # a recall that is never reached has precision 0


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The true objects of an image, or what was detected in it: boxes (N, 4) in pixels, int labels (N,).

    Detections have ``scores``, float (N,). True objects that are ``difficult``, bool (N,), are neither demanded nor
    counted as mistakes.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    difficult: np.ndarray | None = None

    def of_class(self, label):
        chosen = self.labels == label
        rest = (None if values is None else values[chosen] for values in (self.scores, self.difficult))
        return Objects(self.boxes[chosen], self.labels[chosen], *rest)


def voc_average_precision(truths, detections, classes, *, threshold=0.5, interpolation="11point"):
    """Average precision of each class as in VOC.

    Best score first, each detection is compared with the object of its class that it overlaps most. It is a hit if
    their IoU is at least the threshold and no better detection has had that object; if the object is difficult it
    counts for nothing; else it is a miss. Of equal scores misses come first.

    Args:
        truths, detections: lists of :class:`Objects`, one for each image.
        classes: number of classes.
        threshold: smallest IoU of a hit (VOC: 0.5).
        interpolation: one of :data:`INTERPOLATIONS` (VOC 2007: ``"11point"``).

    Returns:
        float64 (classes,), NaN for a class without objects that are not difficult.
    """
    values = []
    for pairs in _by_class(truths, detections, classes):
        hits, scores = _ranked(_match_voc, pairs, threshold)
        order = np.lexsort((hits, -scores))
        values.append(ranked_average_precision(hits[order], _demanded(pairs), interpolation=interpolation))
    return np.array(values)


def coco_average_precision(truths, detections, classes):
    """Average precision of each class at each IoU as in COCO, with 101 points of recall.

    Best score first, each detection gets the object of its class that it overlaps most among those that are free,
    demanded ones before difficult ones. At most :data:`MAX_DETECTIONS` of a class count in an image. The numbers are
    those of pycocotools' ``COCOeval`` with ``iouType="bbox"`` for objects of all sizes. Arguments are those of
    :func:`voc_average_precision`.

    Returns:
        float64 (10, classes): IoU 0.5, 0.55, ..., 0.95; NaN for a class without objects that are not difficult. Their
        mean is COCO's AP, that of the first row AP50, of the sixth AP75.
    """
    values = np.empty((len(COCO_THRESHOLDS), classes))
    for label, pairs in enumerate(_by_class(truths, detections, classes)):
        for row, threshold in enumerate(COCO_THRESHOLDS):
            hits, scores = _ranked(_match_coco, pairs, threshold)
            hits = hits[np.argsort(-scores, kind="stable")]
            values[row, label] = ranked_average_precision(hits, _demanded(pairs), interpolation="101point")
    return values


def _by_class(truths, detections, classes):
    """For each class the true objects and the detections of each image."""
    for label in range(classes):
        yield [(t.of_class(label), d.of_class(label)) for t, d in zip(truths, detections, strict=True)]


def _ranked(match, pairs, threshold):
    matched = [match(truth, found, threshold) for truth, found in pairs]
    return [np.concatenate(column) for column in zip(*matched, strict=True)]


def _demanded(pairs):
    return sum(int((~_difficult(truth)).sum()) for truth, _ in pairs)


def _difficult(truth):
    return np.zeros(len(truth.boxes), bool) if truth.difficult is None else truth.difficult


def _match_voc(truth, found, threshold):
    """``(hit, score)`` of the detections of one class in one image that count."""
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
