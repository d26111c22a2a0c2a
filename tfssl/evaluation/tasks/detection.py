"""Object detection: how well regions of an encoder's map tell which object they show, and where it ends.

Fast R-CNN (Girshick 2015) on any encoder and any of its taps: the protocol behind the column "detection" of the tables
of pretext tasks, with every constant an option. The defaults suit images of about 256 pixels and small encoders.
"""

import contextlib
import dataclasses
import math
import tempfile
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.pipeline import batches
from tfssl.data.voc import boxed_images
from tfssl.errors import ConfigError
from tfssl.evaluation.average_precision import (
    MAX_DETECTIONS,
    Objects,
    coco_average_precision,
    voc_average_precision,
)
from tfssl.evaluation.dense.head import tap_strides
from tfssl.evaluation.detection import head as network_parts, proposals as regions_of, report
from tfssl.evaluation.detection.data import ScaledImages, StoredMaps, scaled_images
from tfssl.evaluation.detection.sampling import (
    RegionSampler,
    Sampling,
    TrainingImages,
    inputs_and_targets,
    offset_statistics,
)
from tfssl.evaluation.record import Metric
from tfssl.evaluation.runner import Progress, Run, check_counts, check_joint, compared, finish, run_all
from tfssl.transfer import STRATEGIES, trunk
from tfssl.transfer.strategies import check_taps, unchanged
from tfssl.transfer.training import train_head

MODALITY = "image"


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
    learning_rate=0.001,
    short_size=160,
    long_size=267,
    batch_size=2,
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
        data: a VOC directory, see :func:`tfssl.data.voc.boxed_images`.
        train_split, test_split: names of the splits (VOC 2007: ``"trainval"``, ``"test"``).
        classes: names of the classes, in the order of their numbers; None: see :func:`tfssl.data.voc.boxed_images`.
        tap: the map that regions are pooled from; None for the last one (paper: conv5).
        strategy: what becomes of the encoder, one of :data:`tfssl.transfer.STRATEGIES`. With ``"freeze"`` its maps are
            computed once for each image and its mirror image and kept in a temporary file.
        train_from: with ``"fine_tune"``, the first tap that is trained; the paper's conv1 stays fixed: ``"conv2"``.
        steps: batches of training (paper: 40 000).
        learning_rate: x0.1 after three quarters of the steps (paper: the same).
        short_size, long_size: images are scaled until the shorter side has the one or the longer side the other
            number of pixels (paper: 600, 1000, on a map of stride 16; small encoders have 4 to 8).
        batch_size: images in a batch (paper: 2).
        regions: of an image in a batch, a quarter of them with an object (paper: 64).
        units: of fc6 and fc7 (CaffeNet: 4096).
        dropout: fraction of these units dropped in training (CaffeNet: 0.5, which needs more steps than the default).
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
        out: folder for ``metrics.json``, ``runs.csv``, ``classes.csv`` and ``detections.png``; None writes nothing.
        progress: called with (units of work done, in all, what).

    Returns:
        :class:`~tfssl.evaluation.record.Record` of ``map`` (VOC 2007: IoU 0.5, 11 points), ``map_area``, ``coco_ap``,
        ``coco_ap50``, ``coco_ap75`` and ``ap_CLASS``, beside them the untrained network; the training loss;
        ``proposal_recall``, the fraction of the test objects that some proposal covers with IoU 0.5, and counts.

    Raises:
        SourceError: if the directory or its annotations are not what is needed.
        ConfigError: for a setting outside its range, a tap that the encoder lacks, or a missing extra.

    Reference:
        R. Girshick: Fast R-CNN. ICCV 2015.
    """
    tap = check_taps(encoder, None if tap is None else [tap], "tap")[-1]
    protocol = Protocol(
        tap, strategy, train_from, steps, learning_rate, short_size, long_size, batch_size, regions, units, dropout,
        flip, seeds,
    )  # fmt: skip
    check_joint(strategy, pretext, trained)
    if train_split == test_split:
        raise ConfigError(f"`test_split` must not be the training split. Received: test_split={test_split!r}")
    kind = regions_of.choose_source(proposals)
    train = boxed_images(data, train_split, classes=classes)
    test = boxed_images(data, test_split, classes=train.classes)
    found = compared(encoder, modality=MODALITY, taps=[tap], trained=trained, compare=compare, pixels=False)
    networks = sum(seeds if entry.redrawn else 1 for entry in found) if strategy == "freeze" else 0
    total = (len(train) + len(test)) * (1 + networks) + len(found) * seeds * (steps + len(test))
    work, skipped = Progress(progress, total), Skipped()
    options = {"short_size": short_size, "long_size": long_size, "proposals": kind, "cache": cache, "skipped": skipped}
    parts = (scaled_images(part, **options, progress=lambda: work.add(kind)) for part in (train, test))
    task = _Task(*parts, train.classes, protocol, work)
    runs = run_all(found, seeds, lambda entry, network, own: task.measure(entry, network, own, pretext, pretext_weight))
    about = {"data": train.root, "train_split": train_split, "test_split": test_split, "classes": train.classes}
    weight = None if pretext is None else pretext_weight
    return finish(
        "detection",
        runs,
        protocol=about | protocol.record() | {"proposals": kind, "pretext_weight": weight},
        kinds={"training_loss": ("", False)},
        counts=task.counts(),
        skipped=skipped.reasons,
        out=out,
        draw=lambda folder: report.write_files(folder, task.test, train.classes, runs),
    )


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How detectors are trained and tested; arguments as :func:`evaluate`.

    Raises:
        ConfigError: for a value out of range.
    """

    tap: str
    strategy: str
    train_from: str | None
    steps: int
    learning_rate: float
    short_size: int
    long_size: int
    batch_size: int
    regions: int
    units: int
    dropout: float
    flip: bool
    seeds: int

    pool_size: ClassVar[int] = 6
    """Rows and columns of the grid that a region is pooled to (CaffeNet)."""

    nms: ClassVar[float] = 0.3
    """Largest IoU of two detections of a class."""

    training: ClassVar[dict] = {
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "drops": (0.75,),
        "bias_learning_rate_scale": 2.0,
    }
    """Further arguments of :func:`tfssl.transfer.training.train_head`; that of biases is in Fast R-CNN's networks."""

    def __post_init__(self):
        names = ("steps", "short_size", "long_size", "batch_size", "regions", "units", "seeds")
        check_counts(**{name: getattr(self, name) for name in names})
        if self.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise ConfigError(f"`strategy` must be one of {known}. Received: strategy={self.strategy!r}")
        if not self.learning_rate > 0:
            raise ConfigError(f"`learning_rate` must be above 0. Received: learning_rate={self.learning_rate!r}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"`dropout` must be in [0, 1). Received: dropout={self.dropout!r}")
        if not 16 <= self.short_size <= self.long_size:
            raise ConfigError(
                f"`short_size` must be 16 to `long_size` pixels. Received: short_size={self.short_size!r}, "
                f"long_size={self.long_size!r}"
            )

    @property
    def sampling(self):
        """How regions are drawn in training."""
        return Sampling(regions=self.regions)

    def record(self):
        """Every constant, for ``metrics.json``."""
        frozen = self.strategy == "freeze"
        return {
            **dataclasses.asdict(self),
            "sampling": dataclasses.asdict(self.sampling),
            "pool_size": self.pool_size,
            "nms": self.nms,
            "detections_per_image": MAX_DETECTIONS,
            "maps": "standardized per channel by mean and deviation over 64 training images",
            "map_store": "float32 file, one map for each image and mirror image" if frozen else None,
            **self.training,
            "training": "softmax cross entropy + smooth L1 of normalized offsets, over the regions of a batch; SGD, "
            "learning rate x0.1 after `drops` of the steps, gradient norm at most 10; objects join the proposals",
            "offsets": "normalized per class by mean and deviation over the proposals with IoU 0.5 or more",
            "windows": {
                "extents": regions_of.EXTENTS,
                "step": regions_of.STEP,
                "max_aspect": regions_of.MAX_ASPECT,
            },
            "selective_search": {
                "width": regions_of.SEARCH_WIDTH,
                "min_extent": regions_of.MIN_EXTENT,
                "mode": "fast",
            },
            "metrics": "map: VOC 2007, IoU 0.5, 11 points; map_area: IoU 0.5, area under the raw curve; coco_ap: IoU "
            "0.5 to 0.95, 101 points, 100 detections; difficult objects count for nothing",
        }


@dataclasses.dataclass(frozen=True)
class _Task:
    """The images, and how networks are trained and tested on them."""

    train: ScaledImages
    test: ScaledImages
    classes: tuple
    protocol: Protocol
    work: Progress

    def measure(self, entry, network, seeds, pretext, weight):
        """Yield a :class:`~tfssl.evaluation.runner.Run` for each seed of one network."""
        tap, own = entry.taps[0], pretext if entry.name == "encoder" else None
        strategy = "fine_tune" if self.protocol.strategy == "joint" and own is None else self.protocol.strategy
        with contextlib.ExitStack() as stack:
            inputs = self.train, self.test
            if strategy == "freeze":
                make = tempfile.TemporaryDirectory(prefix="tfssl-maps-", ignore_cleanup_errors=True)
                body, folder = trunk(network, "freeze", taps=[tap]), Path(stack.enter_context(make))
                inputs = [self._stored(body, tap, part, folder) for part in (0, 1)]
            for seed in seeds:
                keras.utils.set_random_seed(seed)
                with unchanged(*([network, own.model] if own is not None else [])):
                    body = trunk(network, strategy, taps=[tap], train_from=self.protocol.train_from, seed=seed)
                    yield self._run(entry.name, body, tap, seed, inputs, {"pretext": own, "weight": weight})

    def _stored(self, body, tap, part, folder):
        images, mirrored = (self.train, self.protocol.flip) if part == 0 else (self.test, False)
        compute = tf.function(
            lambda x: body(x, training=False)[tap], input_signature=[tf.TensorSpec((1, None, None, 3))]
        )
        return StoredMaps(
            compute, images, folder / str(part), mirrored=mirrored, progress=lambda: self.work.add("maps")
        )

    def _run(self, name, body, tap, seed, inputs, joint):
        protocol, examples = self.protocol, self.train.examples
        frozen = isinstance(inputs[0], StoredMaps)
        top = self._head(body, tap, inputs[0] if frozen else None)
        model = top if frozen else network_parts.on_trunk(body, tap, top)
        offsets = offset_statistics(examples, len(self.classes), protocol.sampling)
        regions = batches(
            TrainingImages(examples, inputs[0], protocol.flip),
            RegionSampler(inputs[0], offsets, protocol.sampling),
            protocol.batch_size,
            training=True,
            prepare=inputs_and_targets,
            seed=seed,
            count=protocol.steps,
        )
        options = {"steps": protocol.steps, "learning_rate": protocol.learning_rate, **protocol.training, **joint}
        options["progress"] = self.work.steps(f"{name} {seed}", protocol.steps)
        losses = train_head(model, regions, network_parts.detection_loss, **options)
        detected = self._detect(model, inputs[1], offsets, f"{name} {seed} test")
        truths = [Objects(e["boxes"], e["label"], None, e["difficult"]) for e in self.test.examples]
        scored = truths, detected, len(self.classes)
        voc, area = voc_average_precision(*scored), voc_average_precision(*scored, interpolation="area")
        coco = coco_average_precision(*scored)
        means = {"map": voc, "map_area": area, "coco_ap": coco, "coco_ap50": coco[0], "coco_ap75": coco[5]}
        metrics = {key: float(np.nanmean(values)) for key, values in means.items()}
        metrics |= {f"ap_{label}": float(value) for label, value in zip(self.classes, voc, strict=True)}
        metrics["training_loss"] = float(np.mean(losses[-max(len(losses) // 10, 1) :]))
        columns = {"ap_11point": voc, "ap_area": area, "coco_ap": coco.mean(axis=0), "coco_ap50": coco[0]}
        return Run(name, seed, metrics, tap=tap, shown=(columns, detected))

    def _head(self, body, tap, stored):
        chosen = network_parts.calibration_indices(len(self.train.examples))
        compute = stored or (lambda index: body(self.train(index)[None], training=False)[tap][0])
        strides = tap_strides(body)
        if tap not in strides:
            raise ConfigError(f"`tap`: {tap!r} is no map that grows with the image; choose a convolution's")
        longest = max(max(part.canvas) for part in (self.train, self.test)) / strides[tap]  # in cells of the map
        return network_parts.head(
            network_parts.channel_statistics(map(compute, chosen)),
            len(self.classes),
            stride=strides[tap],
            max_cells=math.ceil((longest + 2) / self.protocol.pool_size) + 1,
            pool_size=self.protocol.pool_size,
            units=(self.protocol.units,) * 2,
            dropout=self.protocol.dropout,
        )

    def _detect(self, model, inputs, offsets, what):
        answer, detected = network_parts.answer_function(model, inputs.channels), []
        for index, example in enumerate(self.test.examples):
            regions = example["proposals"]
            answers = [values.numpy() for values in answer(inputs(index)[None], regions[None])]
            options = {"nms": self.protocol.nms}
            detected.append(network_parts.detections(regions, *answers, offsets, example["size"], **options))
            self.work.add(what)
        return detected

    def counts(self):
        """What the record tells beside the metrics."""
        boxes = [example["boxes"][~example["difficult"]] for example in self.test.examples]
        proposals = [example["proposals"] for example in self.test.examples]
        return {
            "proposal_recall": Metric(regions_of.recall(proposals, boxes), unit="fraction"),
            "proposals_per_image": float(np.mean([len(p) for p in proposals])),
            "images_train": len(self.train.examples),
            "images_test": len(self.test.examples),
            "objects_train": sum(int((~example["difficult"]).sum()) for example in self.train.examples),
            "objects_test": sum(map(len, boxes)),
        }
