"""Which regions a detector learns from, and what it should say of them (Fast R-CNN, section 2.3)."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfssl.errors import SourceError
from tfssl.evaluation.detection.data import stack
from tfssl.ops.boxes import encode, iou

PADDING = -1
"""Label of a place in a batch that no region fills; background is 0, class k is k + 1."""

_MIN_DEVIATION = 0.01  # of offsets: a class whose regions all equal their objects must not divide by zero


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How regions are drawn; the defaults are the paper's.

    Args:
        regions: in a picture.
        foreground: share of them that show an object, as far as there are so many.
        foreground_iou: smallest IoU with an object of a region that shows it.
        background_iou: smallest and largest IoU of a background region with the nearest object, the latter excluded.
            Below the smallest are easy ones, so that this finds hard examples.
    """

    regions: int = 64
    foreground: float = 0.25
    foreground_iou: float = 0.5
    background_iou: tuple[float, float] = (0.1, 0.5)


def candidates(example):
    """The regions of a training picture: its proposals and its objects, each with the object it overlaps most.

    Objects that are difficult are left out, as in the released code.

    Args:
        example: :class:`tfssl.evaluation.detection.data.Example`.

    Returns:
        ``(regions, overlaps, labels, objects)``: float32 (M, 4), float (M,), int (M,) class numbers from 1, and
        float32 (M, 4), boxes of the objects. M is 0 without objects.
    """
    boxes, labels = example.boxes[~example.difficult], example.labels[~example.difficult]
    if not len(boxes):
        nothing = np.zeros((0, 4), np.float32)
        return nothing, np.zeros(0), np.zeros(0, int), nothing
    regions = np.concatenate([boxes, example.proposals])
    overlaps = iou(regions, boxes)
    nearest = overlaps.argmax(axis=1)
    return regions, overlaps.max(axis=1), labels[nearest] + 1, boxes[nearest]


def usable(found):
    """Indices of the examples to learn from: those with an object that is not difficult.

    Raises:
        SourceError: if there is none.
    """
    chosen = [i for i, example in enumerate(found) if (~example.difficult).any()]
    if not chosen:
        raise SourceError("`data`: no training picture has an object that is not difficult")
    return chosen


def draw(example, sampling, random):
    """Draw the regions of one picture for one step.

    Args:
        example: :class:`tfssl.evaluation.detection.data.Example`.
        sampling: :class:`Sampling`.
        random: ``numpy.random.Generator``.

    Returns:
        ``(regions, labels, offsets)``: float32 (R, 4), int32 (R,) and float32 (R, 4) with R = ``sampling.regions``.
        Labels are 0 for background, the class number + 1, or :data:`PADDING` where regions have run out; offsets are 0
        but for objects.
    """
    regions, overlaps, labels, objects = candidates(example)
    low, high = sampling.background_iou
    shown = np.flatnonzero(overlaps >= sampling.foreground_iou)
    empty = np.flatnonzero((overlaps >= low) & (overlaps < high))
    shown = random.permutation(shown)[: round(sampling.foreground * sampling.regions)]
    empty = random.permutation(empty)[: sampling.regions - len(shown)]
    chosen = np.concatenate([shown, empty])
    out_regions = np.zeros((sampling.regions, 4), np.float32)
    out_regions[:, 2:] = 1.0
    out_labels = np.full(sampling.regions, PADDING, np.int32)
    out_offsets = np.zeros((sampling.regions, 4), np.float32)
    out_regions[: len(chosen)] = regions[chosen]
    out_labels[: len(chosen)] = 0
    out_labels[: len(shown)] = labels[shown]
    out_offsets[: len(shown)] = encode(regions[shown], objects[shown])
    return out_regions, out_labels, out_offsets


def offset_statistics(found, classes, sampling):
    """Mean and standard deviation of the offsets of each class over all regions that show an object.

    Args:
        found: list of :class:`tfssl.evaluation.detection.data.Example`, mirrored ones left out.
        classes: number of classes.
        sampling: :class:`Sampling`.

    Returns:
        Two float32 (classes + 1, 4); background, and classes that do not occur, have 0 and 1. The mean of dx is 0, as
        it is over pictures and their mirror images.
    """
    sums = np.zeros((3, classes + 1, 4))  # of ones, offsets, squares
    for example in found:
        regions, overlaps, labels, objects = candidates(example)
        shown = overlaps >= sampling.foreground_iou
        offsets = encode(regions[shown], objects[shown])
        for row, values in zip(sums, (np.ones_like(offsets), offsets, offsets**2), strict=True):
            np.add.at(row, labels[shown], values)
    count, total, squares = sums
    total[:, 0] = 0.0
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
    deviation = np.where(count > 0, np.maximum(deviation, _MIN_DEVIATION), 1.0)
    return mean.astype(np.float32), deviation.astype(np.float32)


def training_batches(found, inputs, statistics, sampling, *, pictures=2, seed=0, flip=True):
    """Batches of regions of a few pictures, for ever.

    Each pass over the pictures, and their mirror images where ``flip`` is set, is shuffled anew.

    Args:
        found: list of :class:`tfssl.evaluation.detection.data.Example`.
        inputs: :class:`~tfssl.evaluation.detection.data.Pictures` or ``StoredMaps``.
        statistics: of :func:`offset_statistics`.
        sampling: :class:`Sampling`.
        pictures: in a batch (paper: 2).
        seed: of the order and the regions.
        flip: also show the mirror images.

    Returns:
        ``tf.data.Dataset`` of ``((x, regions), (labels, offsets))``: float32 (B, H, W, C), float32 (B, R, 4), int32
        (B, R), and float32 (B, R, 4) less the mean and divided by the deviation of the label's class.
    """
    mean, deviation = statistics
    members = [(i, flipped) for i in usable(found) for flipped in (False, True)[: 1 + flip]]

    def batches():
        random, waiting = np.random.default_rng(seed), []
        while True:
            while len(waiting) < pictures:
                waiting += [members[i] for i in random.permutation(len(members))]
            batch, waiting = waiting[:pictures], waiting[pictures:]
            drawn = [draw(found[i].mirror() if flipped else found[i], sampling, random) for i, flipped in batch]
            regions, labels, offsets = map(np.stack, zip(*drawn, strict=True))
            known = np.maximum(labels, 0)
            offsets = np.where(labels[..., None] > 0, (offsets - mean[known]) / deviation[known], 0)
            x = stack([inputs(*member) for member in batch], inputs.padding)
            yield (x, regions), (labels, offsets.astype(np.float32))

    spec = tf.TensorSpec((None, None, None, inputs.channels)), tf.TensorSpec((pictures, sampling.regions, 4))
    targets = tf.TensorSpec((pictures, sampling.regions), tf.int32), tf.TensorSpec((pictures, sampling.regions, 4))
    return tf.data.Dataset.from_generator(batches, output_signature=(spec, targets)).prefetch(2)
