"""Boxes in NumPy: ``x_min, y_min, x_max, y_max`` in pixels from the upper left corner of the image.

They are edges and not pixel numbers: the box of the whole image is ``0, 0, width, height``.
"""

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes

MAX_GROWTH = float(np.log(1000 / 16))
"""Largest offset dw, dh that is decoded, so that an untrained regressor cannot overflow (Detectron's bound)."""


def iou(first, second):
    """Intersection over union of boxes (N, 4) with others (M, 4): float64 (N, M); 0 where both have no area."""
    check_shapes(first=(first, "N 4"), second=(second, "M 4"))
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    union = area(first)[:, None] + area(second)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def area(boxes):
    """Areas of boxes (..., 4) in square pixels; 0 for a box whose edges are crossed."""
    check_shapes(boxes=(boxes, "... 4"))
    boxes = np.asarray(boxes)
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)


def encode(boxes, targets):
    """Offsets from boxes to the boxes they should become, both (..., 4) with an area: float64 (..., 4), dx, dy, dw, dh.

    ``dx = (x* - x) / w, dy = (y* - y) / h, dw = log(w* / w), dh = log(h* / h)`` with x, y the centers (Girshick et
    al. 2014, appendix C; Fast R-CNN, section 2.3).
    """
    check_shapes(boxes=(boxes, "... 4"), targets=(targets, "... 4"))
    center, size = _center_and_size(boxes)
    goal, goal_size = _center_and_size(targets)
    if not ((size > 0).all() and (goal_size > 0).all()):
        raise ConfigError("`boxes` and `targets` must have an area. Received: a width or height of 0, below it or NaN")
    return np.concatenate([(goal - center) / size, np.log(goal_size / size)], axis=-1)


def decode(boxes, offsets):
    """The inverse of :func:`encode`; dw and dh are cut off at :data:`MAX_GROWTH`."""
    check_shapes(boxes=(boxes, "... 4"), offsets=(offsets, "... 4"))
    center, size = _center_and_size(boxes)
    offsets = np.asarray(offsets, np.float64)
    center = center + offsets[..., :2] * size
    half = 0.5 * size * np.exp(np.minimum(offsets[..., 2:], MAX_GROWTH))
    return np.concatenate([center - half, center + half], axis=-1)


def clip(boxes, width, height):
    """Boxes (..., 4) cut at the border of an image of ``width`` x ``height`` pixels."""
    check_shapes(boxes=(boxes, "... 4"))
    return np.clip(boxes, 0, np.array([width, height, width, height]))


def mirror(boxes, width):
    """Boxes (..., 4) in the image mirrored left to right, ``width`` pixels wide."""
    check_shapes(boxes=(boxes, "... 4"))
    boxes = np.asarray(boxes)
    return np.stack([width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], axis=-1)


def non_maximum_suppression(boxes, scores, threshold=0.3, *, limit=None):
    """Which boxes stay when each one silences those of a lower score that overlap it by more than the threshold.

    Args:
        boxes: (N, 4), pixels, of one class.
        scores: (N,); of equal ones the first comes first.
        threshold: largest IoU that two boxes which stay may have (Fast R-CNN: 0.3).
        limit: how many may stay, best first; None for all.
    """
    check_shapes(boxes=(boxes, "N 4"), scores=(scores, "N"))
    if not 0 <= threshold <= 1:
        raise ConfigError(f"`threshold` must be an IoU in [0, 1]. Received: threshold={threshold!r}")
    if limit is not None:
        check_integers(0, limit=limit)
    if np.isnan(scores).any():
        raise ConfigError("`scores` must be numbers. Received: NaN")
    boxes = np.asarray(boxes, np.float64)
    waiting = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while waiting.size and (limit is None or len(kept) < limit):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        waiting = waiting[iou(boxes[best : best + 1], boxes[waiting])[0] <= threshold]
    return np.array(kept, int)


def _center_and_size(boxes):
    boxes = np.asarray(boxes, np.float64)
    low, high = boxes[..., :2], boxes[..., 2:]
    return 0.5 * (low + high), high - low
