"""Semantic segmentation: how well the class of each pixel can be read from an encoder's maps.

The tables of pretext tasks report it of FCN-AlexNet on VOC 2012.
"""

import functools

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.copies import warn_of_copies
from tfssl.data.examples import Skipped
from tfssl.data.voc import IGNORE, masked_images
from tfssl.evaluation.dense.head import pixel_mean
from tfssl.evaluation.dense.task import DenseTask, DenseTraining, evaluate_dense
from tfssl.evaluation.runner import limited, write_classes

_FONT_SIZE = 14


def evaluate(
    encoder,
    data,
    *,
    train_split="train",
    test_split="val",
    taps=None,
    head="32s",
    strategy="freeze",
    train_from=None,
    steps=500,
    crop_size=192,
    batch_size=8,
    learning_rate=None,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a fully convolutional head on an encoder, and on the same network untrained, and test them.

    Args:
        data: a VOC directory or folders in CamVid's layout, see :func:`tfssl.data.voc.masked_images`.
        head: ``"32s"`` scores the deepest tap, ``"16s"`` adds the scores of the next finer one, ``"8s"`` of two, see
            :func:`~tfssl.evaluation.dense.head.head_taps`.
        steps: of the training, at least 1; the default suits a few hundred images; FCN-AlexNet had 100 000 batches of
            20.
        crop_size: of the random training crops, in pixels, rounded up to a multiple of the deepest tap's stride.
        learning_rate: above 0; None: 0.1 for ``"freeze"``, where the head alone is trained, 0.01 for the others.

    Returns:
        :class:`~tfssl.evaluation.record.Record` of :meth:`Confusion.metrics` over the whole test set, beside them the
        most frequent class of the training set everywhere (``majority``); the training loss; counts of images.

    Reference:
        J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015.
    """
    training = DenseTraining(
        strategy, train_from, steps, batch_size, learning_rate, seeds, pretext, pretext_weight, trained, head, crop_size
    )
    task = segmentation_task(*(limited(masked_images(data, split), limit) for split in (train_split, test_split)))
    warn_of_copies(task.train, task.test)
    classes, skipped = task.tally().classes, Skipped()
    majority = int(class_pixels(task, skipped).argmax())
    return evaluate_dense(
        task,
        encoder,
        training,
        skipped=skipped,
        constants={"majority": majority},
        about={"classes": classes} | ({} if limit is None else {"limit": limit}),
        details={"majority_class": classes[majority]},
        legend=legend(classes),
        write=lambda folder, runs: write_classes(folder, runs, _by_class),
        taps=taps,
        compare=compare,
        out=out,
        progress=progress,
    )


class Confusion:
    """A confusion matrix that grows image by image: ``counts[i, j]`` pixels of true class i were answered with j."""

    def __init__(self, classes):
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes),) * 2, np.int64)

    def add(self, truth, predicted):
        """Count the pixels of an image: class numbers, int (H, W); nothing where the truth is 255."""
        classes, counted = len(self.counts), truth != IGNORE
        pairs = truth[counted].astype(np.int64) * classes + predicted[counted]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def accuracies(self):
        """Fraction of each class's pixels that were found, float64 (classes,); NaN for a class without pixels."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    def intersection_over_union(self):
        """n_ii / (sum_j n_ij + sum_j n_ji - n_ii), float64 (classes,); NaN for a class without pixels in the truth."""
        truth, predicted, hit = self.counts.sum(axis=1), self.counts.sum(axis=0), np.diag(self.counts)
        return np.where(truth > 0, _ratio(hit, truth + predicted - hit), np.nan)

    def metrics(self):
        """The four numbers of Long, Shelhamer and Darrell (CVPR 2015, section 5), each in [0, 1], and ``iou_CLASS``.

        ``pixel_accuracy`` = sum_i n_ii / sum_i t_i with t_i the pixels of class i; ``mean_accuracy`` and ``mean_iou``,
        means over the classes that occur in the truth; ``frequency_weighted_iou`` = sum_i t_i IoU_i / sum_i t_i.
        """
        truth, iou = self.counts.sum(axis=1), self.intersection_over_union()
        occurs = truth > 0
        if not occurs.any():
            return dict.fromkeys(("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"), np.nan)
        return {
            "mean_iou": float(iou[occurs].mean()),
            "pixel_accuracy": float(np.trace(self.counts) / truth.sum()),
            "mean_accuracy": float(self.accuracies()[occurs].mean()),
            "frequency_weighted_iou": float(np.average(iou[occurs], weights=truth[occurs])),
            **{f"iou_{name}": float(v) for name, v in zip(self.classes, iou, strict=True) if np.isfinite(v)},
        }


def segmentation_task(train, test):
    """Segmentation of :class:`tfssl.data.voc.MaskedImages`."""
    # Where a set has only numbers, one split may know more of them.
    classes = max(train.classes, test.classes, key=len)
    answer = functools.partial(tf.argmax, axis=-1, output_type=tf.int32)
    tally = functools.partial(Confusion, classes)
    return DenseTask("segmentation", "mask", train, test, len(classes), pixel_cross_entropy, answer, tally, painted)


def pixel_cross_entropy(targets, scores):
    """Softmax cross-entropy of logits (B, H, W, classes), the mean over pixels whose target is not 255."""
    known = targets != IGNORE
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, targets, 0), scores)
    return pixel_mean(losses, known)


def class_pixels(task, skipped):
    """Pixels of each class in the training masks, int64 (classes,)."""
    counts = np.zeros(task.outputs, np.int64)
    for mask in task.targets("train", skipped):
        counts += np.bincount(mask[mask != IGNORE], minlength=task.outputs)
    return counts


def palette():
    """VOC's color map, uint8 (256, 3): from the highest bit down, red, green and blue each take one of the number's.

    255, which counts for nothing, is white here, where VOC has cream.
    """
    numbers, colors = np.arange(256), np.zeros((256, 3), np.uint8)
    for bit in range(7, -1, -1):
        colors |= ((numbers[:, None] >> np.arange(3) & 1) << bit).astype(np.uint8)
        numbers = numbers >> 3
    colors[IGNORE] = 255
    return colors


def painted(mask):
    """A mask (H, W) in the colors of its classes, uint8 (H, W, 3)."""
    return palette()[mask]


def legend(classes, width=160):
    """The classes' colors and names, ``PIL.Image`` of ``width`` pixels, one line for each class."""
    font = ImageFont.load_default(_FONT_SIZE)
    line = sum(font.getmetrics()) + 2
    picture = Image.new("RGB", (width, line * len(classes)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (name, color) in enumerate(zip(classes, palette().tolist(), strict=False)):
        top = number * line
        draw.rectangle((0, top, line - 3, top + line - 3), fill=tuple(color))
        draw.text((line + 4, top), name, "black", font)
    return picture


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _by_class(run):
    confusion = run.shown[0]
    return {
        "class": confusion.classes,
        "iou": confusion.intersection_over_union(),
        "accuracy": confusion.accuracies(),
        "pixels": confusion.counts.sum(axis=1),
        "pixels_predicted": confusion.counts.sum(axis=0),
    }
