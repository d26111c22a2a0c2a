"""Classification by a network trained with labels on top of an encoder: all of it, its head, or beside it."""

import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.data.crop import Crop
from tfssl.data.labeled import labeled_batches
from tfssl.errors import ConfigError
from tfssl.evaluation.features import labeled_sets
from tfssl.evaluation.runner import Progress, Run, check_counts, check_joint, compared, finish, run_all, trained_on
from tfssl.visualization.line_plot import line_plot

MODALITY = "image"

AREA = (0.5, 1.0)
"""Random crops of the training images hold this fraction of the image's area."""

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
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data, test, image_size, compare, trained: as :func:`tfssl.evaluation.tasks.linear_probe.evaluate`.
        tap: name of the tap under the layer; None for the last one.
        strategy, train_from: as :func:`tfssl.transfer.transfer`. Networks other than the encoder take no part in its
            pretext task: for ``"joint"`` they are fine-tuned.
        fraction: of the training images whose labels are used, drawn anew for each seed, the same of each class; in
            (0, 1].
        steps, batch_size, learning_rate: of the training, see :func:`tfssl.transfer.training.train_head`.
        seeds: number of trainings, with seeds 0, 1, ... of head, order, crops and random weights.
        pretext, pretext_weight: of ``"joint"``, see :func:`tfssl.transfer.training.train_head`.
        out: folder for ``metrics.json``, ``runs.csv`` and ``loss.png``; None writes nothing.
        progress: called with (steps done, steps in all, what).

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` on the test set.

    Raises:
        ConfigError: for a setting outside its range, an unknown strategy or tap.
        SourceError: if the folders hold no labeled images.
        TrainingError: if a loss becomes NaN.
    """
    check_counts(seeds=seeds, steps=steps, batch_size=batch_size)
    check_joint(strategy, pretext, trained)
    if not 0 < fraction <= 1:
        raise ConfigError(f"`fraction` must be in (0, 1]. Received: fraction={fraction!r}")
    sets = labeled_sets(data, test, image_size=image_size)
    chosen = tap and [tap]
    encoders = compared(encoder, modality=MODALITY, taps=chosen, trained=trained, compare=compare, pixels=False)
    work = Progress(progress, len(encoders) * seeds * steps)

    def measure(entry, network, own):
        for seed in own:
            with trained_on(
                entry,
                network,
                _head(entry.taps[-1], len(sets.sources[0].classes)),
                lambda seed=seed: _batches(sets, seed, fraction, batch_size),
                _cross_entropy,
                taps=entry.taps[-1:],
                strategy=strategy,
                train_from=train_from,
                seed=seed,
                steps=steps,
                learning_rate=learning_rate,
                pretext=pretext,
                weight=pretext_weight,
                progress=work.steps(entry.name, steps),
            ) as (model, losses):
                yield Run(entry.name, seed, {"accuracy": _accuracy(model, sets)}, entry.taps[-1], shown=losses)

    runs = run_all(encoders, seeds, measure)
    protocol = {
        **sets.protocol,
        "seeds": seeds,
        "tap": encoders[0].taps[-1],
        "strategy": strategy,
        "train_from": train_from,
        "fraction": fraction,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": "SGD, momentum 0.9, weight decay 5e-4 of kernels, rate / 10 after 60 % and 85 %, norm 10",
        "head": "mean over the map, batch normalization without scale and offset, linear layer",
        "augmentation": f"random crop of {AREA[0]:g} to {AREA[1]:g} of the area, mirror",
        "pretext_weight": pretext_weight if pretext is not None else None,
    }
    return finish(
        "classification",
        runs,
        protocol=protocol,
        baselines={"accuracy": {"chance": sets.chance}},
        counts=sets.counts,
        skipped=sets.skipped.reasons,
        out=out,
        draw=lambda folder: _draw(folder / "loss.png", runs, steps),
    )


def draw_labeled(labels, fraction, seed):
    """Positions of the training images whose labels are used, mixed: the same fraction of each class.

    Args:
        labels: int (N,).
        fraction: in (0, 1].
        seed: of the draw.
    """
    random, labels = np.random.default_rng(seed), np.asarray(labels)
    members = (random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels))
    return random.permutation(np.concatenate([m[: max(1, round(fraction * len(m)))] for m in members]))


def crop_and_mirror(images, key, *, area):
    """Cut a random part of each image, enlarged to its whole size again, and mirror every second one on average.

    Args:
        images: float (B, H, W, C), H = W.
        key: int64 (2,), such as a seed and the number of the batch; the same key gives the same parts.
        area: smallest and largest fraction of the area; aspects lie between 3/4 and 4/3.

    Returns:
        float32 of the same shape.
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
    """Logits of the classes, on the mean of one tap."""

    def head(maps):
        x = layers.GlobalAveragePooling2D(name="mean")(maps[tap])
        # Keras' own momentum of 0.99 would still remember the beginning in trainings of a few hundred steps, and
        # its epsilon of 1e-3 leave features small that vary little, as those of untrained networks do.
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-8, center=False, scale=False, name="standardize")(x)
        return layers.Dense(classes, dtype="float32", name="classes")(x)

    return head


def _batches(sets, seed, fraction, batch_size):
    """Training images for ever, float32 (B, size, size, 3) in [0, 1], and their classes."""
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
    """Fraction of the test images that are classified right."""
    predict = tf.function(lambda x: model(tf.cast(x, tf.float32) / 255.0, training=False), reduce_retracing=True)
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
