"""Object detection: how well regions of an encoder's map tell which object they show, and where it ends.

The protocol behind the column "detection" of the tables of pretext tasks.
"""

import contextlib
import dataclasses
import math
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfssl.data.copies import warn_of_copies
from tfssl.data.examples import Skipped
from tfssl.data.pipeline import batches
from tfssl.data.voc import boxed_images
from tfssl.errors import ConfigError
from tfssl.evaluation.average_precision import MAX_DETECTIONS, Objects, coco_average_precision, voc_average_precision
from tfssl.evaluation.dense.head import tap_strides
from tfssl.evaluation.detection import head as network_parts, proposals as regions_of
from tfssl.evaluation.detection.data import StoredMaps, scaled_images
from tfssl.evaluation.detection.sampling import (
    RegionSampler,
    Sampling,
    TrainingImages,
    inputs_and_targets,
    offset_statistics,
)
from tfssl.evaluation.record import Metric
from tfssl.evaluation.runner import (
    Progress,
    Run,
    Training,
    check_counts,
    compared,
    final_loss,
    finish,
    limited,
    run_all,
    spread,
    write_classes,
)
from tfssl.transfer import trunk
from tfssl.transfer.strategies import check_taps
from tfssl.visualization.line_plot import COLORS
from tfssl.visualization.sheet import picture_sheet

POOL_SIZE = 6  # rows and columns of the grid that a region is pooled to (CaffeNet)
NMS = 0.3  # largest IoU of two detections of a class
SHOWN = 8  # test images on the sheet
DRAWN_SCORE = 0.5  # detections with a lower score are not drawn
_CELL = 256
_FONT_SIZE = 13
CALIBRATED = 64  # training images whose maps give the mean and deviation of each channel

DESCENT = {"momentum": 0.9, "weight_decay": 5e-4, "drops": (0.75,), "bias_learning_rate_scale": 2.0}
"""Of the training, see :func:`tfssl.transfer.training.train_head`; that of biases is in Fast R-CNN's networks."""


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
    limit=None,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a Fast R-CNN head on an encoder, and on the same network untrained, and test them.

    The defaults suit images of about 256 pixels and small encoders.

    Args:
        data: a VOC directory, see :func:`tfssl.data.voc.boxed_images`.
        tap: the map that regions are pooled from; None for the last one (paper: conv5).
        strategy: ``"freeze"``, ``"fine_tune"``, ``"augment"`` or ``"joint"``; with ``"freeze"`` maps are computed once
            for each image and its mirror image and kept in a file.
        train_from: with ``"fine_tune"``, the first tap whose layers are trained; None trains all (paper: ``"conv2"``).
        steps: batches of training, at least 1 (paper: 40 000).
        learning_rate: above 0, x0.1 after three quarters of the steps (paper: the same).
        short_size, long_size: 16 or more; images are scaled until the shorter side has the one or the longer side the
            other number of pixels (paper: 600, 1000, on a map of stride 16; small encoders have 4 to 8).
        batch_size: images in a batch (paper: 2).
        regions: of an image in a batch, a quarter of them with an object (paper: 64).
        units: of fc6 and fc7 (CaffeNet: 4096).
        dropout: fraction of these units dropped in training, in [0, 1) (CaffeNet: 0.5, which needs more steps than the
            default).
        flip: also train on mirror images, as the paper.
        proposals: ``"selective_search"`` (paper; extra ``detection``), ``"sliding_windows"``, or None for the first
            where it is installed and else the second.
        cache: folder that keeps the regions of selective search for the next evaluation.

    Returns:
        :class:`~tfssl.evaluation.record.Record` of ``map`` (VOC 2007: IoU 0.5, 11 points), ``map_area``, ``coco_ap``,
        ``coco_ap50``, ``coco_ap75`` and ``ap_CLASS``; the training loss; ``proposal_recall``, the fraction of the test
        objects that some proposal covers with IoU 0.5, and counts.

    Reference:
        R. Girshick: Fast R-CNN. ICCV 2015.
    """
    tap = check_taps(encoder, None if tap is None else [tap], "tap")[-1]
    options = strategy, train_from, steps, batch_size, learning_rate, seeds, pretext, pretext_weight, trained
    training, sampling = Training(*options), Sampling(regions=regions)
    check_counts(short_size=short_size, long_size=long_size, regions=regions, units=units)
    if not 0 <= dropout < 1:
        raise ConfigError(f"`dropout` must be in [0, 1). Received: dropout={dropout!r}")
    if not 16 <= short_size <= long_size:
        sizes = f"short_size={short_size!r}, long_size={long_size!r}"
        raise ConfigError(f"`short_size` must be 16 to `long_size` pixels. Received: {sizes}")
    if train_split == test_split:
        raise ConfigError(f"`test_split` must not be the training split. Received: test_split={test_split!r}")
    kind, frozen = regions_of.choose_source(proposals), strategy == "freeze"
    sources = [limited(boxed_images(data, train_split, classes=classes), limit)]
    classes = sources[0].classes
    sources.append(limited(boxed_images(data, test_split, classes=classes), limit))
    warn_of_copies(*sources)
    found = compared(encoder, taps=[tap], trained=trained, compare=compare, pixels=False)
    stored = sum(seeds if entry.redrawn else 1 for entry in found) if frozen else 0
    total = sum(map(len, sources)) * (1 + stored) + len(found) * seeds * (steps + len(sources[1]))
    work, skipped = Progress(progress, total), Skipped()
    options = {"short_size": short_size, "long_size": long_size, "proposals": kind, "cache": cache, "skipped": skipped}
    train, test = (scaled_images(part, **options, progress=lambda: work.add(kind)) for part in sources)
    statistics = offset_statistics(train.examples, len(classes), sampling)
    truths = [Objects(e["boxes"], e["label"], None, e["difficult"]) for e in test.examples]

    def head(body, tap, compute):
        strides = tap_strides(body)
        if tap not in strides:
            raise ConfigError(f"`tap`: {tap!r} is no map that grows with the image; choose a convolution's")
        longest = max(max(part.canvas) for part in (train, test)) / strides[tap]  # in cells of the map
        return network_parts.head(
            network_parts.channel_statistics(map(compute, spread(len(train.examples), CALIBRATED))),
            len(classes),
            stride=strides[tap],
            max_cells=math.ceil((longest + 2) / POOL_SIZE) + 1,
            pool_size=POOL_SIZE,
            units=(units, units),
            dropout=dropout,
        )

    def measure(entry, network, own):
        (tap,), inputs = entry.taps, (train, test)

        def build(network, head, strategy, **options):
            body = trunk(network, strategy, **options)
            if frozen:
                return head(body, tap, inputs[0])
            top = head(body, tap, lambda index: body(train(index)[None], training=False)[tap][0])
            return network_parts.on_trunk(body, tap, top)

        def drawn(seed):
            source = TrainingImages(train.examples, inputs[0], flip)
            options = {"training": True, "prepare": inputs_and_targets, "seed": seed, "count": steps}
            return batches(source, RegionSampler(inputs[0], statistics, sampling), batch_size, **options)

        def detect(model, what):
            answer = network_parts.answer_function(model, inputs[1].channels)
            for index, example in enumerate(test.examples):
                regions = example["proposals"]
                answers = [values.numpy() for values in answer(inputs[1](index)[None], regions[None])]
                yield network_parts.detections(regions, *answers, statistics, example["size"], nms=NMS)
                work.add(what)

        with contextlib.ExitStack() as stack:
            if frozen:
                make = tempfile.TemporaryDirectory(prefix="tfssl-maps-", ignore_cleanup_errors=True)
                folder, body = Path(stack.enter_context(make)), trunk(network, "freeze", taps=[tap])
                signature = tf.TensorSpec((1, None, None, 3))
                compute = tf.function(lambda x: body(x, training=False)[tap], autograph=False).get_concrete_function(
                    signature
                )
                parts = ((train, folder / "train", flip), (test, folder / "test", False))
                inputs = [StoredMaps(compute, *part, progress=lambda: work.add("maps")) for part in parts]
            options = {"taps": [tap], "work": work, "build": build, **DESCENT}
            for seed in own:
                loss = network_parts.detection_loss
                with training.network(entry, network, seed, head, drawn, loss, **options) as (model, losses):
                    detected = list(detect(model, f"{entry.name} {seed} test"))
                    metrics, columns = _scores(truths, detected, classes)
                    metrics["training_loss"] = final_loss(losses)
                    yield Run(entry.name, seed, metrics, tap=tap, shown=(columns, detected))

    def images():
        def each():
            return (train(index)[None] for index in range(len(train.examples)))

        return tf.data.Dataset.from_generator(each, output_signature=tf.TensorSpec((1, None, None, 3)))

    runs = run_all(found, seeds, measure, images)

    def write(folder):
        labels = np.concatenate([example["label"][~example["difficult"]] for example in test.examples])
        about = {"class": classes, "objects": np.bincount(labels, minlength=len(classes))}
        write_classes(folder, runs, lambda run: about | run.shown[0])
        _write_sheet(folder / "detections.png", test, classes, runs)

    about = {"data": sources[0].root, "train_split": train_split, "test_split": test_split, "classes": classes}
    about |= {"tap": tap, **training.record(), "short_size": short_size, "long_size": long_size, "regions": regions}
    about |= {} if limit is None else {"limit": limit}
    about |= {"units": units, "dropout": dropout, "flip": flip, "sampling": dataclasses.asdict(sampling)}
    return finish(
        "detection",
        runs,
        protocol=about | _PROTOCOL | {"map_store": _STORE if frozen else None, "proposals": kind},
        counts=_counts(train.examples, test.examples),
        skipped=skipped.reasons,
        out=out,
        draw=write,
    )


def _scores(truths, detected, classes):
    """Metrics of a run, and columns of ``classes.csv``."""
    scored = truths, detected, len(classes)
    voc, area = voc_average_precision(*scored), voc_average_precision(*scored, interpolation="area")
    coco = coco_average_precision(*scored)
    means = {"map": voc, "map_area": area, "coco_ap": coco, "coco_ap50": coco[0], "coco_ap75": coco[5]}
    metrics = {key: float(np.nanmean(values)) for key, values in means.items()}
    metrics |= {f"ap_{label}": float(value) for label, value in zip(classes, voc, strict=True)}
    return metrics, {"ap_11point": voc, "ap_area": area, "coco_ap": coco.mean(axis=0), "coco_ap50": coco[0]}


def _counts(train, test):
    clear = [example["boxes"][~example["difficult"]] for example in test]
    proposals = [example["proposals"] for example in test]
    return {
        "proposal_recall": Metric(regions_of.recall(proposals, clear), unit="fraction"),
        "proposals_per_image": float(np.mean([len(p) for p in proposals])),
        "images_train": len(train),
        "images_test": len(test),
        "objects_train": sum(int((~example["difficult"]).sum()) for example in train),
        "objects_test": sum(map(len, clear)),
    }


def _write_sheet(path, test, classes, runs):
    """Some test images of a ``ScaledImages``: their objects, and what the first run of each encoder detected."""
    first, rows = [run for run in runs if run.seed == 0], []
    for index in spread(len(test.examples), SHOWN):
        example = test.examples[index]
        image = Image.fromarray(np.uint8(np.round(255 * test(index))))
        answers = [Objects(example["boxes"], example["label"]), *(run.shown[1][index] for run in first)]
        rows.append([_drawn(image, objects, classes) for objects in answers])
    titles = ["objects", *(f"{run.encoder}, score at least {DRAWN_SCORE:g}" for run in first)]
    picture_sheet(rows, path, titles=titles, cell=_CELL)


def _drawn(image, objects, classes):
    """A copy of an image with the boxes of ``Objects``, each in the color of its class, under its name and score."""
    scale = _CELL / max(image.size)
    drawn = image.resize([max(1, round(extent * scale)) for extent in image.size], Image.Resampling.BICUBIC)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(_FONT_SIZE)
    for number in reversed(range(len(objects.boxes))):  # the best on top
        if objects.scores is not None and objects.scores[number] < DRAWN_SCORE:
            continue
        box, label = [float(v) * scale for v in objects.boxes[number]], int(objects.labels[number])
        color = COLORS[label % len(COLORS)]
        text = classes[label] + ("" if objects.scores is None else f" {objects.scores[number]:.2f}")
        pen.rectangle([box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])], outline=color, width=2)
        left, top, right, bottom = pen.textbbox((box[0] + 3, box[1] + 2), text, font=font)
        pen.rectangle([left - 3, top - 2, right + 2, bottom + 2], fill=color)
        pen.text((box[0] + 3, box[1] + 2), text, "white", font=font)
    return drawn


_STORE = "float32 file, one map for each image and mirror image"

_PROTOCOL = {
    "pool_size": POOL_SIZE,
    "nms": NMS,
    "detections_per_image": MAX_DETECTIONS,
    "maps": "standardized per channel by mean and deviation over 64 training images",
    **DESCENT,
    "training": "softmax cross entropy + smooth L1 of normalized offsets, over the regions of a batch; SGD, "
    "learning rate x0.1 after `drops` of the steps, gradient norm at most 10; objects join the proposals",
    "offsets": "normalized per class by mean and deviation over the proposals with IoU 0.5 or more",
    "windows": {"extents": regions_of.EXTENTS, "step": regions_of.STEP, "max_aspect": regions_of.MAX_ASPECT},
    "selective_search": {"width": regions_of.SEARCH_WIDTH, "min_extent": regions_of.MIN_EXTENT, "mode": "fast"},
    "metrics": "map: VOC 2007, IoU 0.5, 11 points; map_area: IoU 0.5, area under the raw curve; coco_ap: IoU "
    "0.5 to 0.95, 101 points, 100 detections; difficult objects count for nothing",
}
