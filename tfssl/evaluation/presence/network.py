"""Training of a network that tells which classes occur in a picture, as the VOC protocol of pretext tasks does it."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.data.pipeline import crop_batches
from tfssl.errors import ConfigError
from tfssl.evaluation.features import grid_side
from tfssl.evaluation.labeled_sets import check_counts
from tfssl.evaluation.presence.data import RandomWindow, known
from tfssl.layers.pooling import PoolToGrid
from tfssl.transfer import STRATEGIES, transfer
from tfssl.transfer.strategies import unchanged
from tfssl.transfer.training import train_head

CROPS = 10
"""Random windows of a test picture whose scores are summed."""

DROPS, DROP_FACTOR = tuple(share / 8 for share in range(1, 8)), 0.5
"""The rate is halved after each eighth of the steps (10 000 of 80 000)."""

CLIP_NORM, WEIGHT_DECAY, BIAS_RATE = 10.0, 1e-6, 2.0
"""Largest norm of the gradient, weight decay, and rate of the biases relative to the others'."""

DEVIATION, BIAS, DROPOUT = 0.01, 0.1, 0.5
"""Of new layers: deviation of the weights, initial bias, share of hidden units dropped."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is trained.

    Args:
        strategy: one of :data:`tfssl.transfer.STRATEGIES`.
        train_from: with ``"fine_tune"``, the first tap that is trained.
        hidden: units of fully connected layers between the tap and the scores.
        pool: side of the grid that the tap is averaged to; None for vectors of about 9000 numbers.
        side: of the windows, in pixels.
        steps: batches.
        rate: learning rate.
        batch_size: windows in a batch.

    Raises:
        ConfigError: for a value out of range.
    """

    strategy: str
    train_from: str | None
    hidden: tuple[int, ...]
    pool: int | None
    side: int
    steps: int
    rate: float
    batch_size: int

    def __post_init__(self):
        check_counts(steps=self.steps, batch_size=self.batch_size, pool=self.pool)
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"`strategy` must be one of {', '.join(STRATEGIES)}. Received: {self.strategy!r}")
        if not self.rate > 0:
            raise ConfigError(f"`rate` must be above 0. Received: rate={self.rate!r}")
        for units in self.hidden:
            check_counts(hidden=units)

    def record(self):
        """Every constant, for ``metrics.json``."""
        return {
            **dataclasses.asdict(self),
            "head": "average over a grid; batch normalization without scale and offset, momentum 0.95; fully connected"
            f" layers with ReLU and dropout {DROPOUT}; scores; weights N(0, {DEVIATION}), biases {BIAS}",
            "loss": "sigmoid cross-entropy summed over the classes, mean over the batch, 255 ignored",
            "optimizer": f"SGD, momentum 0.9, weight decay {WEIGHT_DECAY} of kernels, rate x{DROP_FACTOR} after each "
            f"eighth of the steps, gradient norm at most {CLIP_NORM}, biases at {BIAS_RATE} times the rate",
            "augmentation": "random window of the picture scaled by a factor in [0.5, 2], mirrored with probability "
            "1/2",
            "ten_crops": f"sum of the scores of {CROPS} such windows, seeds 0 ... {CROPS - 1}",
        }


def presence_loss(targets, logits):
    """Sigmoid cross-entropy, summed over the classes, mean over the batch.

    Args:
        targets: int (B, classes), 1, 0, or 255, which counts for nothing.
        logits: float (B, classes).

    Returns:
        float32 scalar. Logits of 0 with 20 classes: 20 ln 2.
    """
    logits = tf.cast(logits, tf.float32)
    counted = known(targets)
    labels = tf.cast(tf.where(counted, targets, tf.zeros_like(targets)), tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(tf.reduce_sum(tf.where(counted, losses, tf.zeros_like(losses)), axis=-1))


def presence_head(classes, *, hidden=(), pool=None):
    """A head for :func:`tfssl.transfer.transfer`: ``{tap: map}`` of one tap -> logits (B, classes).

    Each number of the averaged map is standardized (batch normalization without scale and offset, as in the linear
    probes of Zhang et al., 2016), for encoders differ in scale and there is one learning rate for all; the VOC
    protocol has no such layer.

    Args:
        classes: number of classes.
        hidden, pool: as :class:`Training`.
    """

    def head(maps):
        (tap,) = maps.values()
        x = PoolToGrid(pool or grid_side(tap.shape[-1]), name="grid")(tap)
        x = layers.Flatten(name="flatten")(x)
        # Keras' epsilon of 1e-3 would leave features small that vary little, as those of untrained networks do.
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.95, epsilon=1e-8, name="standardize")(x)
        for number, units in enumerate(hidden, 6):
            x = layers.Dense(units, activation="relu", name=f"fc{number}", **_start())(x)
            x = layers.Dropout(DROPOUT, name=f"drop{number}")(x)
        return layers.Dense(classes, dtype="float32", name="scores", **_start())(x)

    return head


def train_and_score(
    encoder, tap, train, test, training, *, seed, skipped, crops=1, pretext=None, weight=1.0, progress=None
):
    """Train a network and score the test pictures with it.

    Args:
        encoder: ``keras.Model``; with ``"joint"`` its weights, and those of the pretext model, are put back afterwards.
        tap: under the head.
        train, test: :class:`~tfssl.evaluation.presence.data.PresencePictures`.
        training: a :class:`Training`.
        seed: of the head, the order and the windows.
        skipped: :class:`~tfssl.data.pipeline.Skipped`, collects unreadable files.
        crops: 1 or 10, as :func:`tfssl.evaluation.tasks.voc_classification.evaluate`.
        pretext, weight, progress: as :func:`tfssl.transfer.training.train_head`.

    Returns:
        ``([float (M, classes), ...], presence (M, classes))``: the scores of the center square, with 10 crops also the
        sum over random windows; and the labels of the readable test pictures.
    """
    strategy = "fine_tune" if training.strategy == "joint" and pretext is None else training.strategy
    keras.utils.set_random_seed(seed)
    with unchanged(*([encoder, pretext.model] if pretext is not None else [])):
        head = presence_head(len(train.classes), hidden=training.hidden, pool=training.pool)
        model = transfer(encoder, head, strategy, taps=[tap], train_from=training.train_from, seed=seed)
        train_head(
            model,
            _training_batches(train, training, seed, skipped),
            presence_loss,
            steps=training.steps,
            rate=training.rate,
            weight_decay=WEIGHT_DECAY,
            drops=DROPS,
            drop_factor=DROP_FACTOR,
            clip_norm=CLIP_NORM,
            bias_rate=BIAS_RATE,
            pretext=pretext,
            weight=weight,
            progress=progress,
        )
        center = RandomWindow(training.side, len(train.classes))
        predict = _compiled(model, training.side)
        scores, presence = _scores(predict, test, center, 0, skipped)
        if crops == 1:
            return [scores], presence
        windows = dataclasses.replace(center, random_in_evaluation=True)
        return [scores, sum(_scores(predict, test, windows, i, skipped)[0] for i in range(CROPS))], presence


def _start():
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=DEVIATION),
        "bias_initializer": keras.initializers.Constant(BIAS),
    }


def _training_batches(train, training, seed, skipped):
    window = RandomWindow(training.side, len(train.classes))
    options = {"seed": seed, "count": training.steps, "skipped": skipped}
    batches = crop_batches(train, window, training.batch_size, training=True, **options)
    return batches.map(lambda rgb, presence: (tf.cast(rgb, tf.float32) / 255.0, presence)).prefetch(2)


def _compiled(model, side):
    @tf.function(input_signature=[tf.TensorSpec((None, side, side, 3), tf.uint8)])
    def predict(rgb):
        return model(tf.cast(rgb, tf.float32) / 255.0, training=False)

    return predict


def _scores(predict, test, window, seed, skipped):
    scores, labels = [], []
    for rgb, presence in crop_batches(test, window, 32, training=False, seed=seed, skipped=skipped):
        scores.append(predict(rgb).numpy())
        labels.append(presence.numpy())
    return np.concatenate(scores), np.concatenate(labels)
