"""Classification by a network trained with labels on top of an encoder: all of it, its head, or beside it."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import labeled_dataset, train_and_test
from tfssl.data.random_boxes import crop_and_mirror
from tfssl.errors import ConfigError
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.labeled_sets import check_counts
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.transfer import transfer
from tfssl.transfer.strategies import unchanged
from tfssl.transfer.training import train_head
from tfssl.visualization.line_plot import line_plot

AREA = (0.5, 1.0)
"""Random crops of the training pictures hold this share of the picture's area."""

_SHUFFLED = 4096  # pictures that the order is mixed over, after one permutation of all


def evaluate(
    encoder,
    data,
    *,
    test=None,
    tap=None,
    strategy="fine_tune",
    train_from=None,
    share=1.0,
    side=96,
    steps=1000,
    batch_size=64,
    rate=0.01,
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
    suits every encoder. Training pictures are cut at random and mirrored; test pictures are center crops.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data, test, side, compare, trained: as :func:`tfssl.evaluation.tasks.linear_probe.evaluate`.
        tap: name of the tap under the layer; None for the last one.
        strategy, train_from: as :func:`tfssl.transfer.transfer`. Networks other than the encoder take no part in its
            pretext task: for ``"joint"`` they are fine-tuned.
        share: part of the training pictures whose labels are used, drawn anew for each seed, the same of each class;
            in (0, 1].
        steps, batch_size, rate: of the training, see :func:`tfssl.transfer.training.train_head`.
        seeds: number of trainings, with seeds 0, 1, ... of head, order, crops and random weights.
        pretext, pretext_weight: of ``"joint"``, see :func:`tfssl.transfer.training.train_head`.
        out: folder for ``metrics.json`` and ``loss.png``; None writes nothing.
        progress: called with (steps done, steps in all, what).

    Returns:
        ``accuracy`` and ``accuracy_std`` of the encoder on the test set, in [0, 1]; prefixed by ``untrained_`` or
        their names those of others; ``gain`` over the untrained network; ``chance``, the accuracy of always naming
        the largest class; counts, and ``skipped``.

    Raises:
        ConfigError: for a setting outside its range, an unknown strategy or tap.
        SourceError: if the folders hold no labeled pictures.
        TrainingError: if a loss becomes NaN.
    """
    check_counts(seeds=seeds, steps=steps, batch_size=batch_size)
    if not 0 < share <= 1:
        raise ConfigError(f"`share` must be in (0, 1]. Received: share={share!r}")
    folders, skipped = train_and_test(data, test), Skipped()
    runners = [
        r for r in contestants(encoder, taps=tap and [tap], trained=trained, compare=compare) if r.name != "pixels"
    ]
    alone = "fine_tune" if strategy == "joint" else strategy  # of those without a pretext task
    accuracies, curves = {r.name: [] for r in runners}, {}
    done, total = 0, len(runners) * seeds * steps
    for runner in runners:
        for network, run_seeds in runner.runs(seeds):
            for seed in run_seeds:
                plan = _Plan(folders, side, batch_size, seed, share, skipped)
                own = runner.name == "encoder"
                with unchanged(*([network, pretext.model] if own and pretext else [])):
                    model = plan.network(network, runner.taps[-1], strategy if own else alone, train_from)
                    options = {"pretext": pretext if own else None, "weight": pretext_weight}
                    report = _shifted(progress, done, total, runner.name)
                    batches = plan.batches()
                    losses = train_head(
                        model, batches, _cross_entropy, steps=steps, rate=rate, progress=report, **options
                    )
                    accuracies[runner.name].append(plan.accuracy(model))
                done += steps
                curves.setdefault(runner.name, losses)
    numbers = _summary(accuracies, folders, skipped)
    if out is not None:
        protocol = {
            "tap": runners[0].taps[-1],
            "strategy": strategy,
            "train_from": train_from,
            "share": share,
            "steps": steps,
            "batch_size": batch_size,
            "rate": rate,
            "optimizer": "SGD, momentum 0.9, weight decay 5e-4 of kernels, rate / 10 after 60 % and 85 %, norm 10",
            "head": "mean over positions, batch normalization without scale and offset, linear layer",
            "augmentation": f"random crop of {AREA[0]:g} to {AREA[1]:g} of the area, mirror",
            "pretext_weight": pretext_weight if pretext is not None else None,
        }
        sets = {"train": folders[0].root, "test": folders[1].root, "side": side, "seeds": seeds}
        write_metrics(out, numbers, task="classification", protocol={**sets, **protocol})
        _plot(curves, steps, out)
    return numbers


@dataclasses.dataclass(frozen=True)
class _Plan:
    """One training: its pictures, their order, and the network."""

    folders: tuple
    side: int
    batch_size: int
    seed: int
    share: float
    skipped: Skipped

    def network(self, encoder, tap, strategy, train_from):
        """Logits of the classes, on one tap."""
        keras.utils.set_random_seed(self.seed)

        def head(maps):
            x = layers.GlobalAveragePooling2D(name="mean")(maps[tap])
            # Keras' own momentum of 0.99 would still remember the beginning in trainings of a few hundred steps, and
            # its epsilon of 1e-3 leave features small that vary little, as those of untrained networks do.
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-8, center=False, scale=False, name="standardize")(x)
            return layers.Dense(len(self.folders[0].classes), dtype="float32", name="classes")(x)

        return transfer(encoder, head, strategy, taps=[tap], train_from=train_from, seed=self.seed)

    def batches(self):
        """Training pictures for ever, float32 (B, side, side, 3) in [0, 1], and their classes."""
        part = self.folders[0].take(self.chosen())
        pictures = labeled_dataset(part, Crop(self.side, resize=self.side, flip=False), skipped=self.skipped).unbatch()
        pictures = pictures.shuffle(min(_SHUFFLED, len(part)), seed=self.seed).repeat()
        batches = pictures.batch(self.batch_size, drop_remainder=True).enumerate()
        return batches.map(self._augmented, num_parallel_calls=2).prefetch(2)

    def chosen(self):
        """Places of the training pictures whose labels are used, mixed."""
        random, labels = np.random.default_rng(self.seed), np.asarray(self.folders[0].labels)
        members = (random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels))
        return random.permutation(np.concatenate([m[: max(1, round(self.share * len(m)))] for m in members]))

    def _augmented(self, number, pair):
        images, labels = pair
        key = tf.stack([tf.cast(self.seed, tf.int64), number])
        return crop_and_mirror(tf.cast(images, tf.float32) / 255.0, key, area=AREA), labels

    def accuracy(self, model):
        """Share of the test pictures that are classified right."""
        crop = Crop(self.side, resize=self.side, flip=False)
        predict = tf.function(lambda x: model(tf.cast(x, tf.float32) / 255.0, training=False), reduce_retracing=True)
        right = [
            np.argmax(predict(images), axis=-1) == labels
            for images, labels in labeled_dataset(self.folders[1], crop, skipped=self.skipped)
        ]
        return float(np.mean(np.concatenate(right)))


def _cross_entropy(labels, logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _shifted(progress, done, total, name):
    if progress is None:
        return None
    return lambda step, steps, text: progress(done + step, total, f"{name} {text}")


def _summary(accuracies, folders, skipped):
    numbers = {}
    for name, values in accuracies.items():
        prefix = "" if name == "encoder" else f"{name}_"
        numbers[f"{prefix}accuracy"] = float(np.mean(values))
        numbers[f"{prefix}accuracy_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if "untrained_accuracy" in numbers:
        numbers["gain"] = numbers["accuracy"] - numbers["untrained_accuracy"]
    train, test = (np.asarray(folder.labels) for folder in folders)
    return numbers | {
        "chance": float(np.mean(test == np.bincount(train).argmax())),
        "classes": len(folders[0].classes),
        "images_train": len(train),
        "images_test": len(test),
        "images_skipped": len(skipped.reasons),
        "skipped": dict(skipped.reasons),
    }


def _plot(curves, steps, out):
    """Loss of the first training of each network."""
    top = max(max(losses) for losses in curves.values())
    drawn = {name: (np.linspace(0, steps, len(losses)), losses) for name, losses in curves.items()}
    path = f"{out}/loss.png"
    line_plot(drawn, path, x_label="steps", y_label="loss on the training set", x_range=(0, steps), y_range=(0, top))
