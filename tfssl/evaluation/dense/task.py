"""A task that asks for something at every pixel, measured: the training, the test, the baselines, the summary."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfssl.errors import ConfigError
from tfssl.evaluation.dense.head import EPSILON, MOMENTUM, full_size, head_taps, score_head
from tfssl.evaluation.dense.pictures import DenseCrop, DensePictures, training_batches
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.labeled_sets import check_counts
from tfssl.transfer import STRATEGIES, transfer
from tfssl.transfer.strategies import unchanged
from tfssl.transfer.training import train_head

RATES = {"freeze": 0.1}
"""Learning rates of a strategy, 0.01 of the others: a linear head on standardized maps bears more than a trunk."""

SHOWN = 6
"""Test pictures on the sheet."""


@dataclasses.dataclass(frozen=True)
class DenseTask:
    """What segmentation and surface normals differ in.

    Args:
        train, test: :class:`~tfssl.evaluation.dense.pictures.DensePictures`.
        target: ``tf.TensorSpec`` of the target of one pixel.
        outputs: scores for each pixel.
        loss: function (targets (B, H, W, ...), scores (B, H, W, outputs)) -> scalar.
        answer: function scores (B, H, W, outputs) -> answers (B, H, W, ...).
        tally: function () -> object with ``add(target, answer)`` of a picture and ``metrics()``.
        bias: that the scores start from; None for zeros.
    """

    train: DensePictures
    test: DensePictures
    target: tf.TensorSpec
    outputs: int
    loss: Callable
    answer: Callable
    tally: Callable
    bias: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How networks are trained on a task.

    Args:
        head: see :func:`tfssl.evaluation.dense.head.head_taps`.
        strategy, train_from: see :func:`tfssl.transfer.transfer`.
        steps: batches.
        crop: side of the random crops in pixels; rounded up to a multiple of the stride of the deepest tap.
        batch_size: crops in a batch.
        rate: learning rate; None for that of :data:`RATES`.
        seeds: number of runs, with seeds 0, 1, ...

    Raises:
        ConfigError: for a value out of range.
    """

    head: str
    strategy: str
    train_from: str | None
    steps: int
    crop: int
    batch_size: int
    rate: float | None
    seeds: int

    def __post_init__(self):
        check_counts(steps=self.steps, crop=self.crop, batch_size=self.batch_size, seeds=self.seeds)
        if self.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise ConfigError(f"`strategy` must be one of {known}. Received: strategy={self.strategy!r}")
        if self.rate is not None and not self.rate > 0:
            raise ConfigError(f"`rate` must be above 0. Received: rate={self.rate!r}")

    @property
    def learning_rate(self):
        """The rate, where none was given that of the strategy."""
        return RATES.get(self.strategy, 0.01) if self.rate is None else self.rate

    def record(self):
        """Every constant, for ``metrics.json``."""
        return {
            **dataclasses.asdict(self),
            "rate": self.learning_rate,
            "maps": "standardized per channel by batch normalization without scale and offset",
            "batch_normalization": {"momentum": MOMENTUM, "epsilon": EPSILON},
            "head_layers": "1x1 convolutions from zeros; coarser scores resized bilinearly and added to finer ones",
            "enlarged": "scores, bilinearly, to every pixel",
            "training": "random crops without scaling, mirrored with probability 1/2; mean of the loss over all known "
            "pixels of a batch; SGD, momentum 0.9, weight decay 5e-4, rate x0.1 after 60 % and 85 % of the steps, "
            "gradient norm at most 10",
            "testing": "whole pictures at their own size, continued by their border to a multiple of the stride",
        }


@dataclasses.dataclass(frozen=True)
class Run:
    """A network trained on the task once, and tested.

    Args:
        encoder: ``"encoder"``, ``"untrained"`` or the name of a compared one.
        seed: of the head, of the crops, and of the weights of an untrained network.
        taps: that the head used, the deepest first.
        training_loss: mean over the last tenth of the steps.
        tally: what was counted on the test pictures.
        shown: ``{index of a test picture: answer}``, some of them.
    """

    encoder: str
    seed: int
    taps: tuple[str, ...]
    training_loss: float
    tally: object
    shown: dict

    @property
    def metrics(self):
        """The numbers of the tally."""
        return self.tally.metrics()


def run_all(
    task, encoder, protocol, *, skipped, taps=None, trained=True, compare=None, pretext=None, weight=1.0, progress=None
):
    """Train and test the encoder, the same network untrained, and what it is compared with.

    With strategy ``"joint"`` only the encoder is trained beside its pretext task, and gets its weights back after each
    run; the others, which have none, are fine-tuned on the task alone.

    Args:
        task: :class:`DenseTask`.
        encoder, taps, trained, compare: as :func:`tfssl.evaluation.encoders.contestants`.
        protocol: :class:`Protocol`.
        skipped: :class:`~tfssl.data.pipeline.Skipped`, collects unreadable files.
        pretext, weight: as :func:`tfssl.transfer.training.train_head`, for strategy ``"joint"``.
        progress: called with (steps done, steps in all, what).

    Returns:
        list of :class:`Run`.

    Raises:
        ConfigError: for a tap or head that does not fit an encoder; for ``"joint"`` without a pretext task.
    """
    if (protocol.strategy == "joint") != (pretext is not None and trained):
        raise ConfigError("strategy='joint' needs a trained encoder and its `pretext` task, other strategies use none")
    runners = [r for r in contestants(encoder, taps=taps, trained=trained, compare=compare) if _belongs(r, encoder)]
    chosen = [head_taps(runner.network, protocol.head, runner.taps) for runner in runners]
    runs, total = [], len(runners) * protocol.seeds * protocol.steps
    for runner, strides in zip(runners, chosen, strict=True):
        for network, seeds in runner.runs(protocol.seeds):
            own = (pretext, weight) if runner.name == "encoder" else (None, weight)
            for seed in seeds:
                report = _reporter(progress, len(runs) * protocol.steps, total, f"{runner.name} {seed}")
                runs.append(_run(task, runner.name, network, strides, protocol, seed, own, skipped, report))
    return runs


def baseline(task, answer, skipped):
    """The numbers of the same answer for every pixel of every test picture."""
    tally = task.tally()
    for _, target in task.test.targets(skipped):
        tally.add(target, np.broadcast_to(answer, (*target.shape[:2], *np.shape(answer))))
    return tally.metrics()


def summary(runs):
    """Mean over the seeds and sample standard deviation (``NAME_std``) of each number.

    Args:
        runs: list of :class:`Run`.

    Returns:
        ``{name: number}``; numbers of other networks than the encoder are prefixed by the network's name and ``_``.
    """
    numbers = {}
    for name in dict.fromkeys(run.encoder for run in runs):
        own = [{**run.metrics, "training_loss": run.training_loss} for run in runs if run.encoder == name]
        prefix = "" if name == "encoder" else f"{name}_"
        for key in own[0]:
            values = [numbers_of_run[key] for numbers_of_run in own]
            numbers[prefix + key] = float(np.mean(values))
            numbers[f"{prefix}{key}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return numbers


def _belongs(runner, encoder):
    return runner.name != "pixels" or runner.network is encoder


def _reporter(progress, begun, total, what):
    if progress is None:
        return None
    return lambda done, _, text: progress(begun + done, total, f"{what} {text}")


def _run(task, name, network, strides, protocol, seed, own, skipped, progress):
    pretext, weight = own
    taps, stride = tuple(strides), max(strides.values())
    strategy = "fine_tune" if protocol.strategy == "joint" and pretext is None else protocol.strategy
    keras.utils.set_random_seed(seed)
    with unchanged(*([network, pretext.model] if pretext is not None else [])):
        head = score_head(task.outputs, taps, task.bias)
        model = transfer(network, head, strategy, taps=taps, train_from=protocol.train_from, seed=seed)
        crop = DenseCrop(-(-protocol.crop // stride) * stride, task.train, task.target)
        batches = training_batches(crop, batch=protocol.batch_size, steps=protocol.steps, seed=seed, skipped=skipped)

        def loss(targets, scores):
            return task.loss(targets, full_size(scores, crop.size, crop.size))

        options = {"steps": protocol.steps, "rate": protocol.learning_rate, "pretext": pretext, "weight": weight}
        losses = train_head(model, batches, loss, progress=progress, **options)
        tally, shown = measure(task, model, stride, skipped)
    return Run(name, seed, taps, float(np.mean(losses[-max(len(losses) // 10, 1) :])), tally, shown)


def measure(task, model, stride, skipped):
    """Answer for whole test pictures at their own size.

    Args:
        task: :class:`DenseTask`.
        model: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> scores (B, h, w, outputs).
        stride: pictures are continued by their border pixels to a multiple of this many pixels.
        skipped: :class:`~tfssl.data.pipeline.Skipped`, collects unreadable files.

    Returns:
        ``(tally, {index: answer})``, the answers for :data:`SHOWN` pictures spread over the set.
    """

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)])
    def predict(rgb):
        scores = model(tf.cast(rgb, tf.float32) / 255.0, training=False)
        return task.answer(full_size(scores, tf.shape(rgb)[1], tf.shape(rgb)[2]))[0]

    tally, answers = task.tally(), {}
    wanted = set(shown_indices(len(task.test)))
    for index, picture, target in task.test.pairs(skipped):
        height, width = picture.shape[:2]
        padded = np.pad(picture, [(0, -height % stride), (0, -width % stride), (0, 0)], mode="edge")
        answer = predict(padded[None]).numpy()[:height, :width]
        tally.add(target, answer)
        if index in wanted:
            answers[index] = answer
    return tally, answers


def shown_indices(count):
    """Numbers of the pictures on the sheet, spread over ``count``."""
    return sorted(set(np.linspace(0, count - 1, SHOWN).round().astype(int).tolist()))
