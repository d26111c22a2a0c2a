"""Which classes an image shows, several at once: the parts of the task voc_classification."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

from tfssl.data.copies import warn_of_copies
from tfssl.data.labeled import LabeledImages
from tfssl.data.pipeline import batches
from tfssl.data.voc import IGNORE, boxed_images
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.features import grid_size
from tfssl.evaluation.logistic import Rows
from tfssl.evaluation.runner import limited
from tfssl.layers.pooling import PoolToGrid

RULES = ("area", "11point")  # average precisions that are computed
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # values of C among which the held-out images choose
HELD_OUT = 5  # one training image in so many is held out for that choice

CLASSIFIERS = ("svm", "logistic")
"""``"svm"``: scikit-learn's ``LinearSVC``, squared hinge loss. ``"logistic"``: its ``LogisticRegression``."""

SCALES = (0.5, 2.0)  # factors between which images are scaled for random windows (philkr/voc-classification)
CROPS = 10  # random windows of a test image whose scores are summed
DEVIATION, BIAS, DROPOUT = 0.01, 0.1, 0.5  # of new layers: of the weights, initial, fraction of hidden units dropped


def presence_images(root, train_split, test_split, *, classes=None, limit=None):
    """The two splits of a VOC directory, see :func:`tfssl.data.voc.boxed_images`.

    Returns two :class:`~tfssl.data.labeled.LabeledImages`, whose labels are int32 (classes,): 1, 0, or 255 where it
    counts for nothing. A SourceError tells of a class that is in none or in all training images.
    """
    if train_split == test_split:
        raise ConfigError(f"`test_split` must not be the training set. Received: test_split={test_split!r}")
    found = [limited(boxed_images(root, split, classes=classes), limit) for split in (train_split, test_split)]
    warn_of_copies(*found)
    train, test = (LabeledImages(f.root, f.images, tuple(f.presence()), f.classes) for f in found)
    for name, row in zip(train.classes, np.transpose(train.labels), strict=True):
        if not (row == 1).any() or not (row == 0).any():
            images = (
                f"images of split {train_split!r}" if limit is None else f"training images that limit={limit} leaves"
            )
            raise SourceError(f"`data`: class {name!r} is in none or in all {images}")
    return train, test


def known(presence):
    """Where a label counts."""
    return presence != IGNORE


def precisions(scores, presence):
    """Average precisions of each class by each rule, of scores (M, classes) of one crop, and perhaps of ten together.

    Returns ``{"area": float64 (classes,), "11point": ..., "area_10crop": ..., ...}``, NaN for classes in no image.
    """
    ignore = ~known(presence)
    return {
        rule + end: average_precision(values, presence, interpolation=rule, ignore=ignore)
        for values, end in zip(scores, ("", "_10crop"), strict=False)
        for rule in RULES
    }


def mean_average_precision(scores, presence):
    """Mean over the classes of the area under the precision-recall curve; classes without a positive left out."""
    found = average_precision(scores, presence, ignore=~known(presence))
    return float(np.nanmean(found)) if np.isfinite(found).any() else 0.0


def fit_classes(rows, presence, strength, classifier):
    """Fit ``C sum_i loss(x_i) + |w|^2 / 2`` for each class against the rest.

    ``rows`` are float (n, R), ``presence`` int (n, classes): 1, 0, or 255 for images that this class is not fitted to.
    Returns float64 weights (R, classes) and bias (classes,); zeros for a class that is in all or in none of the images.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    weights, bias = np.zeros((rows.shape[1], presence.shape[1])), np.zeros(presence.shape[1])
    for k, labels in enumerate(presence.T):
        keep = known(labels)
        if len(np.unique(labels[keep])) == 2:
            svm = {"loss": "squared_hinge", "dual": False}
            kind, options = (LinearSVC, svm) if classifier == "svm" else (LogisticRegression, {})
            fitted = kind(C=strength, tol=1e-4, max_iter=5000, **options).fit(rows[keep], labels[keep])
            weights[:, k], bias[k] = fitted.coef_[0], fitted.intercept_[0]
    return weights, bias


def held_out(count, seed):
    """A random fifth of the images, rounded, at least one: bool (count,)."""
    held = np.zeros(count, bool)
    held[np.random.default_rng(seed).permutation(count)[: max(1, round(count / HELD_OUT))]] = True
    return held


def probe_classes(train, tests, presence, seeds, classifier):
    """Choose C for one tap, fit all training images with it, and score the test images.

    C is one for all classes: that with the highest mean average precision on the held-out images, the smallest of
    equals. Vectors are standardized as for linear probes, see :class:`tfssl.evaluation.logistic.Rows`: (N, D) of the
    training images and (M, D) of each crop of the test images.

    Yields:
        ``(seed, C, mean average precision on the held-out images, [float64 (M, classes), ...])``.
    """
    rows = Rows(train)
    vectors, cache = np.concatenate([block for block, _ in rows.blocks()]), {}
    for seed in seeds:
        held, best = held_out(len(train), seed), (None, -1.0)
        for strength in STRENGTHS:
            weights, bias = fit_classes(vectors[~held], presence[~held], strength, classifier)
            right = mean_average_precision(vectors[held] @ weights + bias, presence[held])
            best = max(best, (strength, right), key=lambda pair: pair[1])
        strength, right = best
        if strength not in cache:  # the fit to all images does not depend on the split
            weights, bias = fit_classes(vectors, presence, strength, classifier)
            cache[strength] = [np.concatenate([x @ weights + bias for x in rows.project(test)]) for test in tests]
        yield seed, strength, right, cache[strength]


@dataclasses.dataclass(frozen=True)
class RandomWindow:
    """A square window of an image that was scaled by a random factor, perhaps mirrored, and the image's labels.

    The factor is uniform in :data:`SCALES`, and raised where the scaled image would be smaller than the window. Of test
    images it is the center square, scaled, unless they are ``random_in_evaluation`` too.
    """

    size: int
    random_in_evaluation: bool = False

    def __call__(self, example, rng, training):
        rng = rng if training or self.random_in_evaluation else None
        return self.cut(example["image"], rng), example["label"]

    def cut(self, image, rng=None):
        side = float(min(image.size))
        if rng is not None:
            side = min(side, self.size / rng.uniform(*SCALES))
        offset = (0.5, 0.5) if rng is None else rng.random(2)
        left, top = ((extent - side) * part for extent, part in zip(image.size, offset, strict=True))
        box = (left, top, min(left + side, image.width), min(top + side, image.height))  # rounding may lead out
        window = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        if rng is not None and rng.random() < 0.5:
            window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(window)


def training_windows(source, size, batch_size, **options):
    """Batches of float32 windows (B, size, size, 3) in [0, 1] and labels (B, classes)."""
    dataset = batches(source, RandomWindow(size), batch_size, training=True, **options)
    return dataset.map(lambda rgb, presence: (tf.cast(rgb, tf.float32) / 255.0, presence)).prefetch(2)


def score_windows(model, source, size, *, crops, skipped):
    """Scores and labels of the readable images: ``([float (M, classes), ...], presence (M, classes))``.

    Scores are those of the center square, and with 10 crops also the sum over random windows.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)], autograph=False)
    def predict(rgb):
        return model(tf.cast(rgb, tf.float32) / 255.0, training=False)

    predict = predict.get_concrete_function()

    def scores(window, seed=0):
        dataset = batches(source, window, 32, training=False, seed=seed, skipped=skipped)
        found = [(predict(rgb).numpy(), presence.numpy()) for rgb, presence in dataset]
        return [np.concatenate(part) for part in zip(*found, strict=True)]

    center, presence = scores(RandomWindow(size))
    if crops == 1:
        return [center], presence
    window = RandomWindow(size, random_in_evaluation=True)
    return [center, sum(scores(window, seed)[0] for seed in range(CROPS))], presence


def presence_loss(targets, logits):
    """Sigmoid cross-entropy of (B, classes), summed over classes, mean over the batch; targets of 255 are ignored."""
    logits = tf.cast(logits, tf.float32)
    counted = known(targets)
    labels = tf.cast(tf.where(counted, targets, tf.zeros_like(targets)), tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(tf.reduce_sum(tf.where(counted, losses, tf.zeros_like(losses)), axis=-1))


def presence_head(classes, *, hidden=(), pool=None):
    """A head for :func:`tfssl.transfer.transfer`: ``{tap: map or vector}`` of one tap -> logits (B, classes).

    Each number of the averaged map is standardized (batch normalization without scale and offset, as in the linear
    probes of Zhang et al., 2016), for encoders differ in scale and there is one learning rate for all; the VOC
    protocol has no such layer. ``hidden`` are units of fully connected layers before the scores.
    """

    def start():
        return {
            "kernel_initializer": keras.initializers.RandomNormal(stddev=DEVIATION),
            "bias_initializer": keras.initializers.Constant(BIAS),
        }

    def head(maps):
        (x,) = maps.values()
        if len(x.shape) == 4:
            x = PoolToGrid(pool or grid_size(x.shape[-1]), name="grid")(x)
            x = layers.Flatten(name="flatten")(x)
        # Keras' epsilon of 1e-3 would leave features small that vary little, as those of untrained networks do.
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.95, epsilon=1e-8, name="standardize")(x)
        for number, units in enumerate(hidden, 6):
            x = layers.Dense(units, activation="relu", name=f"fc{number}", **start())(x)
            x = layers.Dropout(DROPOUT, name=f"drop{number}")(x)
        return layers.Dense(classes, dtype="float32", name="scores", **start())(x)

    return head
