"""Which regions a detector learns from, and what it should say of them (Fast R-CNN, section 2.3)."""

import dataclasses

import numpy as np

from tfssl.data.source import Source
from tfssl.errors import SourceError
from tfssl.ops.boxes import encode, iou, mirror

PADDING = -1  # label of a row of a batch that no region fills; background is 0, class k is k + 1
_MIN_DEVIATION = 0.01  # of offsets: a class whose regions all equal their objects must not divide by zero


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How ``regions`` are drawn in an image; the defaults are the paper's."""

    regions: int = 64
    foreground: float = 0.25  # fraction of them that show an object, as far as there are so many
    foreground_iou: float = 0.5  # smallest IoU with an object of a region that shows it
    # Of a background region with the nearest object, the latter excluded. Below are easy ones: this finds hard ones.
    background_iou: tuple[float, float] = (0.1, 0.5)


class TrainingImages(Source):
    """What a detector learns from: the images with an object that is not difficult, perhaps mirrored too.

    Examples are those of a :class:`tfssl.evaluation.detection.data.ScaledImages`; ``image`` is the detector's input, of
    the same or of ``StoredMaps``.
    """

    noun = "images"

    def __init__(self, examples, inputs, flip=True):
        self._examples, self._inputs = examples, inputs
        usable = [i for i, example in enumerate(examples) if (~example["difficult"]).any()]
        if not usable:
            raise SourceError("`data`: no training image has an object that is not difficult")
        self._members = [(i, flipped) for i in usable for flipped in (False, True)[: 1 + flip]]

    def __len__(self):
        return len(self._members)

    def name(self, index):
        return self._examples[self._members[index][0]]["name"]

    def example(self, index):
        number, flipped = self._members[index]
        example = self._examples[number]
        if flipped:
            example = example | {field: mirror(example[field], example["size"][0]) for field in ("boxes", "proposals")}
        return {**example, "image": self._inputs(number, flipped)}


class RegionSampler:
    """Draws regions of an image: ``sample`` of :func:`tfssl.data.pipeline.batches`, of :class:`TrainingImages`."""

    def __init__(self, inputs, statistics, sampling):
        self._canvas, self._padding = (*inputs.canvas, inputs.channels), inputs.padding
        self._statistics, self._sampling = statistics, sampling

    def __call__(self, example, rng, training):
        """``(x, regions, labels, offsets)``: float32 (H, W, C), the input padded at its lower and right border; float32
        (R, 4), int32 (R,), and float32 (R, 4) less the mean and divided by the deviation of the label's class."""
        mean, deviation = self._statistics
        regions, labels, offsets = draw(example, self._sampling, rng)
        known = np.maximum(labels, 0)
        offsets = np.where(labels[:, None] > 0, (offsets - mean[known]) / deviation[known], 0)
        x = np.empty(self._canvas, np.float32)
        x[:] = self._padding
        height, width = example["image"].shape[:2]
        x[:height, :width] = example["image"]
        return x, regions, labels, offsets.astype(np.float32)


def inputs_and_targets(x, regions, labels, offsets):
    """Batches of :class:`RegionSampler` as the detector takes them."""
    return (x, regions), (labels, offsets)


def candidates(example):
    """The regions of a training image: its proposals and its objects, each with the object it overlaps most.

    Objects that are difficult are left out, as in the released code. Returns ``(regions, overlaps, labels, objects)``:
    float32 (M, 4), float (M,), int (M,) class numbers from 1, and float32 (M, 4), boxes of the objects. M is 0 without
    objects.
    """
    clear = ~example["difficult"]
    boxes, labels = example["boxes"][clear], example["label"][clear]
    if not len(boxes):
        nothing = np.zeros((0, 4), np.float32)
        return nothing, np.zeros(0), np.zeros(0, int), nothing
    regions = np.concatenate([boxes, example["proposals"]])
    overlaps = iou(regions, boxes)
    nearest = overlaps.argmax(axis=1)
    return regions, overlaps.max(axis=1), labels[nearest] + 1, boxes[nearest]


def draw(example, sampling, rng):
    """Draw R regions of one image for one step: ``(regions, labels, offsets)``, (R, 4), (R,) and (R, 4).

    Labels are 0 for background, the class number + 1, or :data:`PADDING` where regions have run out.
    """
    regions, overlaps, labels, objects = candidates(example)
    low, high = sampling.background_iou
    shown = np.flatnonzero(overlaps >= sampling.foreground_iou)
    empty = np.flatnonzero((overlaps >= low) & (overlaps < high))
    shown = rng.permutation(shown)[: round(sampling.foreground * sampling.regions)]
    empty = rng.permutation(empty)[: sampling.regions - len(shown)]
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


def offset_statistics(examples, classes, sampling):
    """Mean and standard deviation of the offsets of each class over all regions that show an object.

    Two float32 (classes + 1, 4); background, and classes that do not occur, have 0 and 1. The mean of dx is 0, as it is
    over images and their mirror images.
    """
    sums = np.zeros((3, classes + 1, 4))  # of ones, offsets, squares
    for example in examples:
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
