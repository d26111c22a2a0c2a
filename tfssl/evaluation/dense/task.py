"""A task that asks for something at every pixel: its crops, the training of a head, the test on whole images."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.pipeline import batches
from tfssl.data.source import Source
from tfssl.data.voc import IGNORE
from tfssl.errors import SourceError
from tfssl.evaluation.dense.head import EPSILON, MOMENTUM, full_size, head_taps, score_head
from tfssl.evaluation.runner import Progress, Run, Training, check_counts, compared, final_loss, finish, run_all, spread
from tfssl.visualization.sheet import picture_sheet

UNKNOWN = {"mask": IGNORE, "normals": 0.0}  # fields that can be asked for, and their value where nothing is known
LEARNING_RATES = {"freeze": 0.1}  # 0.01 of the others: a linear head on standardized maps bears more than a trunk
SHOWN = 6  # test images on the sheet

_PROTOCOL = {
    "maps": "standardized per channel by batch normalization without scale and offset",
    "batch_normalization": {"momentum": MOMENTUM, "epsilon": EPSILON},
    "head_layers": "1x1 convolutions from zeros; coarser scores resized bilinearly and added to finer ones",
    "enlarged": "scores, bilinearly, to every pixel",
    "training": "random crops without scaling, mirrored with probability 1/2; mean of the loss over all known "
    "pixels of a batch; SGD, momentum 0.9, weight decay 5e-4, learning rate x0.1 after 60 % and 85 % of the "
    "steps, gradient norm at most 10",
    "testing": "whole images at their own size, continued by their border to a multiple of the stride",
}


@dataclasses.dataclass(frozen=True)
class DenseTask:
    """What segmentation and surface normals differ in."""

    name: str
    field: str  # of the examples, one of UNKNOWN
    train: Source
    test: Source
    outputs: int  # scores for each pixel
    loss: Callable  # (targets (B, H, W, ...), scores (B, H, W, outputs)) -> scalar
    answer: Callable  # scores (B, H, W, outputs) -> answers (B, H, W, ...)
    tally: Callable  # () -> object with `add(target, answer)` of an image and `metrics()`
    paint: Callable  # target or answer -> uint8 (H, W, 3)
    bias: tuple[float, ...] | None = None  # that the scores start from; None for zeros

    def targets(self, part, skipped):
        """Yield the targets of ``"train"`` or ``"test"`` that can be read; the others are added to ``skipped``."""
        source = getattr(self, part)
        for _, annotation in readable(source, skipped, source.annotation):
            yield annotation[self.field]


@dataclasses.dataclass(frozen=True)
class DenseTraining(Training):
    """How networks are trained on a task, see :func:`tfssl.evaluation.tasks.segmentation.evaluate`."""

    head: str
    crop_size: int

    def __post_init__(self):
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES.get(self.strategy, 0.01))
        super().__post_init__()
        check_counts(crop_size=self.crop_size)

    def record(self):
        return {"head": self.head, "crop_size": self.crop_size, **super().record(), **_PROTOCOL}


@dataclasses.dataclass(frozen=True)
class DenseCrop:
    """A random square of an image and of its target, as ``sample`` of :func:`tfssl.data.pipeline.batches`.

    Nothing is scaled. An image that is smaller than the square of ``size`` pixels is continued by its border pixels,
    about which nothing is known.
    """

    size: int
    field: str

    def __call__(self, example, rng, training):
        image, target = np.asarray(example["image"]), example[self.field]
        rows, columns = (self._range(extent, rng) for extent in image.shape[:2])
        image, target = image[rows, columns], target[rows, columns]
        missing = [(0, self.size - extent) for extent in image.shape[:2]]
        image = np.pad(image, [*missing, (0, 0)], mode="edge")
        rest = [(0, 0)] * (target.ndim - 2)
        target = np.pad(target, [*missing, *rest], constant_values=UNKNOWN[self.field])
        if rng.random() < 0.5:
            image, target = image[:, ::-1], mirrored(target, self.field)
        return image, target

    def _range(self, extent, rng):
        begin = rng.integers(max(extent - self.size, 0) + 1)
        return slice(begin, begin + self.size)


def mirrored(target, field):
    """The target of the image seen in a mirror: there a normal that pointed to the right points to the left."""
    target = target[:, ::-1]
    return target * np.array([-1, 1, 1], target.dtype) if field == "normals" else target


def readable(source, skipped, read=None):
    """Yield ``(index, example)`` of all that can be read, by ``read`` or as examples; others join ``skipped``."""
    count = 0
    for index in range(len(source)):
        try:
            found = (read or source.example)(index)
        except (ValueError, OSError) as error:
            skipped.add(source.name(index), str(error))
            continue
        count += 1
        yield index, found
    if not count:
        first = source.name(0)
        raise SourceError(f"`data`: no image can be read; {first!r}: {skipped.reasons[first]}")


def evaluate_dense(
    task,
    encoder,
    training,
    *,
    skipped,
    constants,
    about,
    legend=None,
    write=None,
    taps=None,
    compare=None,
    progress=None,
    **options,
):
    """Train and test the encoder, the same network untrained, and what it is compared with, and sum it up.

    Args:
        training: :class:`DenseTraining`.
        constants: ``{name: answer}``, baselines that give the same answer for every pixel.
        about: further entries of the record's protocol.
        legend: ``PIL.Image`` below the last row of the sheet.
        write: function (folder, runs) that writes further files; ``run.shown`` is ``(tally, answers)``.
        options: ``kinds``, ``details`` and ``out`` of :func:`tfssl.evaluation.runner.finish`.
    """
    found = compared(encoder, taps=taps, trained=training.trained, compare=compare, pixels=False)
    strides = {entry.name: head_taps(entry.network, training.head, entry.taps) for entry in found}
    work = Progress(progress, len(found) * training.seeds * training.steps)

    def measure_one(entry, network, seeds):
        names, stride = tuple(strides[entry.name]), max(strides[entry.name].values())
        crop = DenseCrop(-(-training.crop_size // stride) * stride, task.field)
        head = score_head(task.outputs, names, task.bias)

        def crops(seed):
            options = {"training": True, "prepare": _unit_range, "count": training.steps, "skipped": skipped}
            return batches(task.train, crop, training.batch_size, seed=seed, **options)

        def loss(targets, scores):
            return task.loss(targets, full_size(scores, crop.size, crop.size))

        for seed in seeds:
            given = {"taps": names, "work": work}
            with training.network(entry, network, seed, head, crops, loss, **given) as (model, losses):
                tally, answers = measure(task, model, stride, skipped)
            metrics = tally.metrics() | {"training_loss": final_loss(losses)}
            yield Run(entry.name, seed, metrics, tap=",".join(names), shown=(tally, answers))

    def images():
        crops = DenseCrop(training.crop_size, task.field)
        both = batches(task.train, crops, training.batch_size, training=False, skipped=skipped)
        return both.map(lambda rgb, target: rgb)

    runs = run_all(found, training.seeds, measure_one, images)
    beside = {name: baseline(task, answer, skipped) for name, answer in constants.items()}
    unread = [sum(part.name(i) in skipped.reasons for i in range(len(part))) for part in (task.train, task.test)]

    def draw(folder):
        _write_sheet(folder / "pictures.png", task, runs, legend)
        if write is not None:
            write(folder, runs)

    return finish(
        task.name,
        runs,
        protocol={"data": task.train.root, "train_split": task.train.split, "test_split": task.test.split}
        | about
        | training.record(),
        baselines={key: {name: values[key] for name, values in beside.items()} for key in task.tally().metrics()},
        counts={"images_train": len(task.train) - unread[0], "images_test": len(task.test) - unread[1]},
        skipped=skipped.reasons,
        draw=draw,
        **options,
    )


def baseline(task, answer, skipped):
    """The numbers of the same answer for every pixel of every test image."""
    tally = task.tally()
    for target in task.targets("test", skipped):
        tally.add(target, np.broadcast_to(answer, (*target.shape[:2], *np.shape(answer))))
    return tally.metrics()


def _write_sheet(path, task, runs, legend):
    first = [run for run in runs if run.seed == 0]
    rows, labels = [], []
    for index in first[0].shown[1]:
        example = task.test.example(index)
        answers = [task.paint(run.shown[1][index]) for run in first]
        rows.append([example["image"], task.paint(example[task.field]), *answers])
        labels.append(Path(task.test.name(index)).stem)
    if rows:
        rows += [[legend]] if legend is not None else []
        titles = ["photo", "truth", *(run.encoder for run in first)]
        picture_sheet(rows, path, titles=titles, labels=[*labels, *[""] * (len(rows) - len(labels))])


def measure(task, model, stride, skipped):
    """Answer for whole test images at their own size, continued by their border pixels to a multiple of ``stride``.

    Returns ``(tally, {index: answer})``, the answers for :data:`SHOWN` images spread over the set.
    """

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)], autograph=False)
    def predict(rgb):
        scores = model(tf.cast(rgb, tf.float32) / 255.0, training=False)
        return task.answer(full_size(scores, tf.shape(rgb)[1], tf.shape(rgb)[2]))[0]

    predict = predict.get_concrete_function()
    tally, answers = task.tally(), {}
    wanted = spread(len(task.test), SHOWN)
    for index, example in readable(task.test, skipped):
        image = np.asarray(example["image"])
        height, width = image.shape[:2]
        padded = np.pad(image, [(0, -height % stride), (0, -width % stride), (0, 0)], mode="edge")
        answer = predict(padded[None]).numpy()[:height, :width]
        tally.add(example[task.field], answer)
        if index in wanted:
            answers[index] = answer
    return tally, answers


def _unit_range(rgb, target):
    return tf.cast(rgb, tf.float32) / 255.0, target
