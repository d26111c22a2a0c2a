"""The detector: a head that classifies and corrects regions of a trunk's map, its loss, and what it detects."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tfssl.evaluation.average_precision import MAX_DETECTIONS, Objects
from tfssl.layers.pooling import RoIPooling
from tfssl.ops.boxes import area, clip, decode, non_maximum_suppression

_LEAST_DEVIATION = 1e-3  # of a channel, as a fraction of the mean one: a channel that is always 0 is not blown up


def channel_statistics(maps):
    """Mean and deviation of each channel over the cells of maps (h, w, C), float32 (C,); tiny deviations are raised."""
    count, total, squares = 0, 0.0, 0.0
    for values in maps:
        values = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        count, total, squares = count + len(values), total + values.sum(axis=0), squares + (values**2).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    floor = max(_LEAST_DEVIATION * deviation.mean(), 1e-12)
    return mean.astype(np.float32), np.maximum(deviation, floor).astype(np.float32)


def head(statistics, classes, *, stride, max_cells, pool_size=6, units=(256, 256), dropout=0.0):
    """Region of interest pooling, fully connected layers, and two answers for each region (Fast R-CNN, section 2.1).

    Args:
        statistics: of :func:`channel_statistics`; maps are first standardized by them, for encoders differ by orders of
            magnitude.
        classes: number of classes without background.
        stride, max_cells, pool_size: see :class:`tfssl.layers.pooling.RoIPooling`.
        units, dropout: of fc6 and fc7.

    Returns:
        ``keras.Model``: ``[maps (B, h, w, C), regions (B, R, 4)]`` -> ``{"scores": logits (B, R, classes + 1), 0 is the
        background, "offsets": (B, R, classes + 1, 4)}``. Starts as in the paper: Gaussians of deviation 0.01 for scores
        and 0.001 for offsets; fc6 and fc7, which the paper has from pretraining, from He's normal distribution.
    """
    mean, deviation = statistics
    maps, regions = keras.Input((None, None, len(mean)), name="maps"), keras.Input((None, 4), name="regions")
    x = layers.Normalization(mean=mean, variance=deviation**2, name="standardize")(maps)
    x = RoIPooling(pool_size, stride, max_cells, name="roi_pool")([x, regions])
    x = layers.Reshape((-1, pool_size * pool_size * len(mean)), name="flatten")(x)
    for number, width in enumerate(units, start=6):
        x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"fc{number}")(x)
        x = layers.Dropout(dropout, name=f"drop{number}")(x)
    gauss = keras.initializers.RandomNormal
    scores = layers.Dense(classes + 1, kernel_initializer=gauss(stddev=0.01), dtype="float32", name="scores")(x)
    offsets = layers.Dense(4 * (classes + 1), kernel_initializer=gauss(stddev=0.001), dtype="float32", name="boxes")(x)
    offsets = layers.Reshape((-1, classes + 1, 4), dtype="float32", name="offsets")(offsets)
    return keras.Model([maps, regions], {"scores": scores, "offsets": offsets}, name="detector_head")


def on_trunk(trunk, tap, top):
    """Trunk and head as one ``keras.Model``: ``[images (B, H, W, 3) in [0, 1], regions (B, R, 4)]`` -> the head's."""
    images, regions = keras.Input((None, None, 3), name="images"), keras.Input((None, 4), name="regions")
    return keras.Model([images, regions], top([trunk(images)[tap], regions]), name="detector")


def detection_loss(targets, outputs):
    """Cross entropy of the class plus, for regions with an object, smooth L1 of its class's offsets (equation 1).

    Both are summed and divided by the number of regions. ``targets`` are ``(labels, offsets)``: int32 (B, R), 0 for
    background, negative where there is no region; and float (B, R, 4), normalized.
    """
    labels, wanted = targets
    real = ops.cast(labels >= 0, "float32")
    known = ops.maximum(labels, 0)
    entropy = keras.losses.sparse_categorical_crossentropy(known, outputs["scores"], from_logits=True)
    own = ops.one_hot(known, outputs["scores"].shape[-1])[..., None]  # (B, R, classes + 1, 1)
    misses = 4 * keras.losses.huber(wanted, ops.sum(outputs["offsets"] * own, axis=2))  # it takes the mean of the four
    shown = ops.cast(labels > 0, "float32")
    return ops.sum(real * entropy + shown * misses) / ops.maximum(ops.sum(real), 1.0)


def answer_function(model, channels):
    """Compile a detector for one image at a time: function (x (1, H, W, channels), regions (1, R, 4)) -> probabilities
    (R, classes + 1), offsets (R, classes + 1, 4)."""

    @tf.function(
        input_signature=[tf.TensorSpec((1, None, None, channels)), tf.TensorSpec((1, None, 4))], autograph=False
    )
    def answer(x, regions):
        outputs = model([x, regions], training=False)
        return tf.nn.softmax(outputs["scores"])[0], outputs["offsets"][0]

    return answer.get_concrete_function()


def detections(regions, probabilities, offsets, statistics, size, *, nms=0.3):
    """What is detected in an image.

    For each class every region is moved by its offsets and cut at the border, non-maximum suppression follows, and the
    :data:`MAX_DETECTIONS` best of all classes stay. No score is too low: the metrics rank.

    Args:
        regions: (R, 4), pixels.
        probabilities: (R, classes + 1).
        offsets: (R, classes + 1, 4), normalized by ``statistics``, mean and deviation, (classes + 1, 4) each.
        size: (width, height) of the image in pixels.
        nms: largest IoU of two detections of a class (paper: 0.3).
    """
    mean, deviation = statistics
    boxes, labels, scores = [], [], []
    for label in range(1, probabilities.shape[1]):
        moved = clip(decode(regions, offsets[:, label] * deviation[label] + mean[label]), *size)
        own = probabilities[:, label]
        moved, own = moved[area(moved) > 0], own[area(moved) > 0]
        kept = non_maximum_suppression(moved, own, nms, limit=MAX_DETECTIONS)
        boxes.append(moved[kept])
        scores.append(own[kept])
        labels.append(np.full(len(kept), label - 1))
    boxes, labels, scores = (np.concatenate(column) for column in (boxes, labels, scores))
    best = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    return Objects(boxes[best], labels[best], scores[best])
