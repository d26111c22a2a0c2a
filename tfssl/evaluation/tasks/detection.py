"""Object detection: how well regions of an encoder's map tell which object they show, and where it ends.

Fast R-CNN (Girshick 2015) on any encoder and any of its taps: the protocol behind the column "detection" of the tables
of pretext tasks, with every constant an option. The defaults suit pictures of about 256 pixels and small encoders.
"""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.voc import boxed_set
from tfssl.errors import ConfigError
from tfssl.evaluation.detection import head as network_parts
from tfssl.evaluation.detection import report as report
from tfssl.evaluation.detection.data import Pictures, StoredMaps, examples
from tfssl.evaluation.detection.proposals import choose_source, recall
from tfssl.evaluation.detection.protocol import Progress, Protocol
from tfssl.evaluation.detection.sampling import offset_statistics, training_batches
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.transfer.strategies import check_taps, trunk, unchanged
from tfssl.transfer.training import train_head


def evaluate(
    encoder,
    data,
    *,
    train_split="train",
    test_split="val",
    classes=None,
    tap=None,
    strategy="freeze",
    train_from=None,
    steps=2000,
    rate=0.001,
    short_side=160,
    long_side=267,
    batch=2,
    regions=64,
    units=256,
    dropout=0.0,
    flip=True,
    proposals=None,
    cache=None,
    seeds=3,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a Fast R-CNN head on an encoder, and on the same network untrained, and test them.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data: a VOC directory, see :func:`tfssl.data.voc.boxed_set`.
        train_split, test_split: names of the splits (VOC 2007: ``"trainval"``, ``"test"``).
        classes: names of the classes, in the order of their numbers; None: see :func:`tfssl.data.voc.boxed_set`.
        tap: the map that regions are pooled from; None for the last one (paper: conv5).
        strategy: what becomes of the encoder, one of :data:`tfssl.transfer.STRATEGIES`. With ``"freeze"`` its maps are
            computed once for each picture and its mirror image and kept in a temporary file.
        train_from: with ``"fine_tune"``, the first tap that is trained; the paper's conv1 stays fixed: ``"conv2"``.
        steps: batches of training (paper: 40 000).
        rate: learning rate, x0.1 after three quarters of the steps (paper: the same).
        short_side, long_side: pictures are scaled until the shorter side has the one or the longer side the other
            number of pixels (paper: 600, 1000, on a map of stride 16; small encoders have 4 to 8).
        batch: pictures in a batch (paper: 2).
        regions: of a picture in a batch, a quarter of them with an object (paper: 64).
        units: of fc6 and fc7 (CaffeNet: 4096).
        dropout: share of these units dropped in training (CaffeNet: 0.5, which needs more steps than the default).
        flip: also train on mirror images, as the paper.
        proposals: ``"selective_search"`` (paper; extra ``detection``), ``"sliding_windows"``, or None for the first
            where it is installed and else the second.
        cache: folder that keeps the regions of selective search for the next evaluation, see
            :func:`tfssl.evaluation.detection.proposals.propose`.
        seeds: number of runs; each draws another head, order and regions, and other weights of an untrained network.
        compare: further encoders, ``{name: keras.Model}``.
        trained: False if the encoder's weights are random: then each seed draws new ones.
        pretext, pretext_weight: with strategy ``"joint"``, the pretext task and lambda, see
            :func:`tfssl.transfer.training.train_head`. Networks without one are then fine-tuned.
        out: folder for ``metrics.json``, ``classes.csv`` and ``detections.png``; None writes nothing.
        progress: called with (units of work done, in all, what).

    Returns:
        ``{name: number or text}``: see :func:`tfssl.evaluation.detection.report.summary`; ``proposal_recall``, the
        share of the test objects that some proposal covers with IoU 0.5, ``proposals_per_image``, ``tap``, counts of
        classes, pictures and objects, and ``skipped``, ``{file: reason}``.

    Raises:
        SourceError: if the directory or its annotations are not what is needed.
        ConfigError: for a setting outside its range, a tap that the encoder lacks, or a missing extra.

    Reference:
        R. Girshick: Fast R-CNN. ICCV 2015.
    """
    tap = check_taps(encoder, None if tap is None else [tap], "tap")[-1]
    protocol = Protocol(
        tap, strategy, train_from, steps, rate, short_side, long_side, batch, regions, units, dropout, flip, seeds
    )
    if (strategy == "joint") != (pretext is not None and trained):
        raise ConfigError("strategy='joint' needs a trained encoder and its `pretext` task, other strategies use none")
    if train_split == test_split:
        raise ConfigError(f"`test_split` must not be the training split. Received: test_split={test_split!r}")
    source = choose_source(proposals)
    train = boxed_set(data, train_split, classes=classes)
    test = boxed_set(data, test_split, classes=train.classes)
    runners = [r for r in contestants(encoder, taps=[tap], trained=trained, compare=compare) if r.name != "pixels"]
    pictures = len(train) + len(test)
    networks = sum(seeds if r.redrawn else 1 for r in runners) if strategy == "freeze" else 0
    work = Progress(progress, pictures * (1 + networks) + len(runners) * seeds * (steps + len(test)))
    skipped, parts = Skipped(), []
    for part in (train, test):
        scale = {"short_side": short_side, "long_side": long_side}
        found = examples(part, **scale, source=source, cache=cache, skipped=skipped, progress=work.add(source))
        parts.append(found)
    task = _Task(*parts, train.classes, protocol, work)
    runs = []
    for runner in runners:
        own = (pretext, pretext_weight) if runner.name == "encoder" else (None, pretext_weight)
        for network, run_seeds in runner.runs(seeds):
            runs += task.measure(runner.name, network, runner.taps[0], run_seeds, own)
    numbers = report.summary(runs, train.classes) | _counts(task, skipped)
    if out is not None:
        about = {"data": train.root, "train_split": train_split, "test_split": test_split, "classes": train.classes}
        about |= protocol.record() | {"proposals": source}
        about["pretext_weight"] = None if pretext is None else pretext_weight
        write_metrics(out, numbers, task="detection", protocol=about)
        report.write_classes(runs, train.classes, task.test, Path(out) / "classes.csv")
        report.write_sheet(runs, train.classes, task.test, Path(out) / "detections.png")
    return numbers


@dataclasses.dataclass(frozen=True)
class _Task:
    """The pictures, and how networks are trained and tested on them."""

    train: list
    test: list
    classes: tuple
    protocol: Protocol
    work: Progress

    def measure(self, name, network, tap, seeds, own):
        """A :class:`tfssl.evaluation.detection.report.Run` for each seed of one network."""
        with contextlib.ExitStack() as stack:
            inputs = None
            if self.protocol.strategy == "freeze":
                folder = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="tfssl-maps-", ignore_cleanup_errors=True)
                )
                body = trunk(network, "freeze", taps=[tap])
                inputs = [self._stored(body, tap, part, Path(folder)) for part in (0, 1)]
            return [self._run(name, network, tap, seed, own, inputs) for seed in seeds]

    def _stored(self, body, tap, part, folder):
        found, mirrored = (self.train, self.protocol.flip) if part == 0 else (self.test, False)
        compute = tf.function(
            lambda x: body(x, training=False)[tap], input_signature=[tf.TensorSpec((1, None, None, 3))]
        )
        return StoredMaps(compute, found, folder / str(part), mirrored=mirrored, progress=self.work.add("maps"))

    def _run(self, name, network, tap, seed, own, inputs):
        pretext, weight = own
        protocol, sampling = self.protocol, self.protocol.sampling
        strategy = "fine_tune" if protocol.strategy == "joint" and pretext is None else protocol.strategy
        keras.utils.set_random_seed(seed)
        with unchanged(*([network, pretext.model] if pretext is not None else [])):
            body = trunk(network, strategy, taps=[tap], train_from=protocol.train_from, seed=seed)
            top = self._head(body, tap, inputs)
            model = top if inputs else network_parts.on_trunk(body, tap, top)
            train, test = inputs or (Pictures(self.train), Pictures(self.test))
            offsets = offset_statistics(self.train, len(self.classes), sampling)
            options = {"pictures": protocol.batch, "seed": seed, "flip": protocol.flip}
            batches = training_batches(self.train, train, offsets, sampling, **options)
            losses = train_head(
                model,
                batches,
                network_parts.detection_loss,
                **protocol.training,
                pretext=pretext,
                weight=weight,
                progress=self.work.steps(f"{name} {seed}", protocol.steps),
            )
            detected = self._detect(model, test, offsets, self.work.add(f"{name} {seed} test"))
        about = {"encoder": name, "seed": seed, "training_loss": float(np.mean(losses[-max(len(losses) // 10, 1) :]))}
        return report.score(self.test, detected, len(self.classes), **about)

    def _head(self, body, tap, inputs):
        chosen = network_parts.calibration_indices(len(self.train))
        if inputs:
            maps = (inputs[0](index) for index in chosen)
        else:
            maps = (body(self.train[index].pixels()[None], training=False)[tap][0] for index in chosen)
        stride = network_parts.stride_of(body, tap)
        side = max(max(example.size) for example in (*self.train, *self.test))
        return network_parts.head(
            network_parts.channel_statistics(maps),
            len(self.classes),
            stride=stride,
            max_cells=self.protocol.longest_cell(side / stride),
            pool_size=self.protocol.pool_size,
            units=(self.protocol.units,) * 2,
            dropout=self.protocol.dropout,
        )

    def _detect(self, model, inputs, offsets, step):
        answer, detected = network_parts.answer_function(model, inputs.channels), []
        for index, example in enumerate(self.test):
            answers = [values.numpy() for values in answer(inputs(index)[None], example.proposals[None])]
            kind = {"nms": self.protocol.nms}
            detected.append(network_parts.detections(example.proposals, *answers, offsets, example.size, **kind))
            step()
        return detected


def _counts(task, skipped):
    boxes = [example.boxes[~example.difficult] for example in task.test]
    found = [example.proposals for example in task.test]
    return {
        "tap": task.protocol.tap,
        "proposal_recall": recall(found, boxes),
        "proposals_per_image": float(np.mean([len(p) for p in found])),
        "classes": len(task.classes),
        "images_train": len(task.train),
        "images_test": len(task.test),
        "objects_train": sum(int((~example.difficult).sum()) for example in task.train),
        "objects_test": sum(map(len, boxes)),
        "images_skipped": len(skipped.reasons),
        "skipped": dict(sorted(skipped.reasons.items())),
    }
