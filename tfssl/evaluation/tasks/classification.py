"""Classification by a network trained with labels on top of an encoder: all of it, its head, or beside it."""

import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.data.crop import Crop
from tfssl.data.labeled import labeled_batches
from tfssl.errors import ConfigError
from tfssl.evaluation.features import labeled_sets
from tfssl.evaluation.runner import Progress, Run, Training, compared, run_all
from tfssl.visualization.line_plot import line_plot

AREA = (0.5, 1.0)  # random crops of the training images hold this fraction of the image's area
_SHUFFLED = 4096  # images that the order is mixed over, after one permutation of all


def evaluate(
    encoder,
    data,
    *,
    test=None,
    tap=None,
    strategy="fine_tune",
    train_from=None,
    fraction=1.0,
    image_size=96,
    steps=1000,
    batch_size=64,
    learning_rate=0.01,
    seeds=1,
    limit=None,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a linear layer on the average of one tap, and with it what the strategy trains; test it.

    The same training is given to the same network with new random weights. The layer stands behind a batch
    normalization without scale and offset, as in the linear probes of Zhang et al. (2016), so that one learning rate
    suits every encoder. Training images are cut at random and mirrored; test images are center crops.

    Args:
        fraction: of the training images whose labels are used, in (0, 1], drawn anew for each seed from each class.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` on the test set.
    """
    options = strategy, train_from, steps, batch_size, learning_rate, seeds, pretext, pretext_weight, trained
    training = Training(*options)
    if not 0 < fraction <= 1:
        raise ConfigError(f"`fraction` must be in (0, 1]. Received: fraction={fraction!r}")
    sets = labeled_sets(data, test, image_size=image_size, limit=limit)
    encoders = compared(encoder, taps=tap and [tap], trained=trained, compare=compare, pixels=False)
    work = Progress(progress, len(encoders) * seeds * steps)

    def drawn(seed):
        return _batches(sets, seed, fraction, batch_size)

    def measure(entry, network, own):
        head, options = _head(entry.taps[-1], len(sets.sources[0].classes)), {"taps": entry.taps[-1:], "work": work}
        for seed in own:
            with training.network(entry, network, seed, head, drawn, _cross_entropy, **options) as (model, losses):
                yield Run(entry.name, seed, {"accuracy": _accuracy(model, sets)}, entry.taps[-1], shown=losses)

    runs = run_all(encoders, seeds, measure, sets.images)
    protocol = {
        **sets.protocol,
        "tap": encoders[0].taps[-1],
        **training.record(),
        "fraction": fraction,
        "optimizer": "SGD, momentum 0.9, weight decay 5e-4 of kernels, rate / 10 after 60 % and 85 %, norm 10",
        "head": "mean over a map, batch normalization without scale and offset, linear layer",
        "augmentation": f"random crop of {AREA[0]:g} to {AREA[1]:g} of the area, mirror",
    }
    return sets.finish(
        "classification",
        runs,
        protocol=protocol,
        baselines={"accuracy": {"chance": sets.chance}},
        out=out,
        draw=lambda folder: _draw(folder / "loss.png", runs, steps),
    )


def draw_labeled(labels, fraction, seed):
    """Positions of the training images whose labels are used, mixed: the same fraction of each class."""
    random, labels = np.random.default_rng(seed), np.asarray(labels)
    members = (random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels))
    return random.permutation(np.concatenate([m[: max(1, round(fraction * len(m)))] for m in members]))


def crop_and_mirror(images, key, *, area):
    """Cut a random part of each square image, enlarged to its whole size again, and mirror half of them on average.

    ``area`` is the smallest and largest fraction of the area; aspects lie between 3/4 and 4/3. The same ``key``, int64
    (2,), such as a seed and the number of the batch, gives the same parts.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform((5, count), key)
    part, aspect = area[0] + (area[1] - area[0]) * draws[0], tf.exp(tf.math.log(4 / 3) * (2 * draws[1] - 1))
    height, width = tf.minimum(tf.sqrt(part / aspect), 1.0), tf.minimum(tf.sqrt(part * aspect), 1.0)
    top, left = draws[2] * (1 - height), draws[3] * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=-1)
    images = tf.image.crop_and_resize(images, boxes, tf.range(count), (size, size))
    return tf.where(draws[4][:, None, None, None] < 0.5, images[:, :, ::-1], images)


def _head(tap, classes):
    def head(maps):
        x = maps[tap] if len(maps[tap].shape) == 2 else layers.GlobalAveragePooling2D(name="mean")(maps[tap])
        # Keras' own momentum of 0.99 would still remember the beginning in trainings of a few hundred steps, and
        # its epsilon of 1e-3 leave features small that vary little, as those of untrained networks do.
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-8, center=False, scale=False, name="standardize")(x)
        return layers.Dense(classes, dtype="float32", name="classes")(x)

    return head


def _batches(sets, seed, fraction, batch_size):
    part = sets.sources[0].take(draw_labeled(sets.sources[0].labels, fraction, seed))
    crop = Crop(sets.image_size, resize=sets.image_size, flip=False)
    images = labeled_batches(part, crop, skipped=sets.skipped).unbatch()
    images = images.shuffle(min(_SHUFFLED, len(part)), seed=seed).repeat()

    def augmented(number, pair):
        key = tf.stack([tf.cast(seed, tf.int64), number])
        return crop_and_mirror(tf.cast(pair[0], tf.float32) / 255.0, key, area=AREA), pair[1]

    batches = images.batch(batch_size, drop_remainder=True).enumerate()
    return batches.map(augmented, num_parallel_calls=2).prefetch(2)


def _accuracy(model, sets):
    predict = tf.function(lambda x: model(tf.cast(x, tf.float32) / 255.0, training=False), autograph=False)
    predict = predict.get_concrete_function(sets.batches[1].element_spec[0])
    right = [np.argmax(predict(images), axis=-1) == labels for images, labels in sets.batches[1]]
    return float(np.mean(np.concatenate(right)))


def _cross_entropy(labels, logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _draw(path, runs, steps):
    """Loss of the first training of each network."""
    first = {run.encoder: run.shown for run in reversed(runs)}
    curves = {name: (np.linspace(0, steps, len(first[name])), first[name]) for name in reversed(first)}
    top = max(max(losses) for losses in first.values())
    line_plot(curves, path, x_label="steps", y_label="loss on the training set", x_range=(0, steps), y_range=(0, top))
