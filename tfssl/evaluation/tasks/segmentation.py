"""Semantic segmentation: how well the class of each pixel can be read from an encoder's maps.

The fully convolutional networks of Long, Shelhamer and Darrell (2015) on any encoder, whose FCN-AlexNet is what the
tables of pretext tasks report on VOC 2012.
"""

import csv

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.voc import IGNORE, masked_set
from tfssl.evaluation.dense.class_colors import legend, painted
from tfssl.evaluation.dense.confusion import Confusion
from tfssl.evaluation.dense.files import write_files
from tfssl.evaluation.dense.head import pixel_mean
from tfssl.evaluation.dense.pictures import DensePictures
from tfssl.evaluation.dense.task import DenseTask, Protocol, baseline, run_all, summary


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
    crop=192,
    batch_size=8,
    rate=None,
    seeds=3,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a fully convolutional head on an encoder, and on the same network untrained, and test them.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``, the deepest tap last.
        data: a VOC directory or folders in CamVid's layout, see :func:`tfssl.data.voc.masked_set`.
        train_split, test_split: names of the splits.
        taps: names of the taps that the head may use; None for all.
        head: ``"32s"`` scores the deepest tap, ``"16s"`` adds the scores of the next finer one, ``"8s"`` of two, see
            :func:`tfssl.evaluation.dense.head.head_taps`.
        strategy: what becomes of the encoder, one of :data:`tfssl.transfer.STRATEGIES`.
        train_from: with ``"fine_tune"``, the first tap whose layers are trained; None trains all.
        steps: batches of training. The default suits a few hundred pictures; FCN-AlexNet had 100 000 of 20.
        crop: side of the random training crops in pixels.
        batch_size: crops in a batch.
        rate: learning rate; None: 0.1 for ``"freeze"``, where the head alone is trained, 0.01 for the others.
        seeds: number of runs; each has another order and other crops, and other weights of an untrained network.
        compare: further encoders, ``{name: keras.Model}``.
        trained: False if the encoder's weights are random: then each seed draws new ones.
        pretext, pretext_weight: with strategy ``"joint"``, the pretext task and lambda, see
            :func:`tfssl.transfer.training.train_head`.
        out: folder for ``metrics.json``, ``runs.csv``, ``classes.csv`` and ``pictures.png``; None writes nothing.
        progress: called with (steps done, steps in all, what).

    Returns:
        ``{name: number or text}``: ``pixel_accuracy``, ``mean_accuracy``, ``mean_iou`` and ``frequency_weighted_iou``
        over the whole test set (:meth:`tfssl.evaluation.dense.confusion.Confusion.metrics`), means over the seeds, with
        ``NAME_std``; the same prefixed by ``untrained_``, and by ``majority_`` for the most frequent class of the
        training set everywhere; ``gain``, the mean IoU over the untrained network's; ``iou_CLASS``; ``taps``, counts
        of pictures, and ``skipped``, ``{file: reason}``.

    Raises:
        SourceError: if the pictures or masks are not what is needed.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.

    Reference:
        J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015.
    """
    protocol = Protocol(head, strategy, train_from, steps, crop, batch_size, rate, seeds)
    train, test = masked_set(data, train_split), masked_set(data, test_split)
    task, classes, skipped = segmentation_task(train, test), all_classes(train, test), Skipped()
    majority = int(class_pixels(task, skipped).argmax())
    options = {"taps": taps, "trained": trained, "compare": compare, "progress": progress}
    runs = run_all(task, encoder, protocol, skipped=skipped, pretext=pretext, weight=pretext_weight, **options)
    numbers = summary(runs)
    numbers |= {f"majority_{name}": value for name, value in baseline(task, majority, skipped).items()}
    numbers["majority_class"] = classes[majority]
    if "untrained_mean_iou" in numbers:
        numbers["gain"] = numbers["mean_iou"] - numbers["untrained_mean_iou"]
    numbers |= _class_means(runs, classes)
    about = {"data": train.root, "train_split": train_split, "test_split": test_split, "classes": classes}
    about |= protocol.record() | {"pretext_weight": pretext_weight if pretext is not None else None}
    key = legend(classes)
    numbers = write_files("segmentation", task, runs, numbers, about, skipped, paint=painted, legend=key, out=out)
    if out is not None:
        _write_classes(out, runs, classes)
    return numbers


def segmentation_task(train, test):
    """Segmentation as a :class:`~tfssl.evaluation.dense.task.DenseTask`.

    Args:
        train, test: :class:`tfssl.data.voc.MaskedSet`.
    """
    pictures = [DensePictures(part.paths, part.read_mask, IGNORE, lambda mask: mask[:, ::-1]) for part in (train, test)]
    classes = len(all_classes(train, test))
    return DenseTask(
        *pictures,
        target=tf.TensorSpec((), tf.int32),
        outputs=classes,
        loss=pixel_cross_entropy,
        answer=lambda scores: tf.argmax(scores, axis=-1, output_type=tf.int32),
        tally=lambda: Confusion(classes),
    )


def all_classes(train, test):
    """Names of the classes; where a set has only numbers, one split may know more of them."""
    return max(train.classes, test.classes, key=len)


def pixel_cross_entropy(targets, scores):
    """Softmax cross-entropy, the mean over the pixels that are not ignored.

    Args:
        targets: int (B, H, W), class numbers, 255 ignored.
        scores: float (B, H, W, classes), logits.

    Returns:
        Scalar; 0 if all pixels are ignored.
    """
    known = targets != IGNORE
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, targets, 0), scores)
    return pixel_mean(losses, known)


def class_pixels(task, skipped):
    """Pixels of each class in the training masks, int64 (classes,)."""
    counts = np.zeros(task.outputs, np.int64)
    for _, mask in task.train.targets(skipped):
        counts += np.bincount(mask[mask != IGNORE], minlength=task.outputs)
    return counts


def _class_means(runs, classes):
    """``{iou_CLASS: mean over the seeds}`` of the encoder, for classes that occur in the test set."""
    means = np.mean([run.tally.intersection_over_union() for run in runs if run.encoder == "encoder"], axis=0)
    return {f"iou_{name}": float(mean) for name, mean in zip(classes, means, strict=True) if np.isfinite(mean)}


def _write_classes(out, runs, classes):
    """``classes.csv``: IoU, accuracy and pixels of each class in each run; empty where a class does not occur."""
    with open(f"{out}/classes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["encoder", "seed", "class", "iou", "accuracy", "pixels", "pixels_predicted"])
        for run in runs:
            counts = run.tally.counts
            ratios = [run.tally.intersection_over_union(), run.tally.accuracies()]
            columns = [["" if np.isnan(v) else float(v) for v in ratio] for ratio in ratios]
            columns += [counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()]
            writer.writerows([run.encoder, run.seed, *row] for row in zip(classes, *columns, strict=True))
