"""Train a method from a configuration into a run directory; start again with the same call to resume."""

import contextlib
import dataclasses
import logging
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl.config import RunConfig, load_config, parse_config
from tfssl.data.examples import Skipped
from tfssl.data.images import FileSource
from tfssl.data.source import check_source
from tfssl.data.tfrecord import TFRecordSource
from tfssl.data.workers import ParallelSource
from tfssl.errors import ArgumentError, ConfigError, ModelError, SourceError, TrainingError, reason_of
from tfssl.files import write_json, writing
from tfssl.methods.base import Phase
from tfssl.options import as_path
from tfssl.training import checkpoint
from tfssl.training.callbacks import Recorder, SkippedTable, measure_wait
from tfssl.training.distribution import make_strategy
from tfssl.training.optimizers import build_optimizer, optimizers_of
from tfssl.training.runs import STATISTICS, load_run, load_weights, read_statistics

log = logging.getLogger("tfssl")

# Keys that do not change what the weights become, so a run may be continued with other values.
_FREE_KEYS = ("checkpoint_steps", "baseline_steps", "workers")


def fit(config: RunConfig, out: str | os.PathLike, *, callbacks=(), reporter=None) -> keras.Model:
    """Train to the end of ``config``, resuming ``out`` where an earlier call was interrupted.

    The weights after step s depend on the configuration alone: a run that was killed at any moment and started
    again ends with the same weights as one that never stopped, bit for bit on a CPU.

    Args:
        config: a :class:`~tfssl.config.RunConfig`.
        out: run directory; created if missing.
        callbacks: Keras callbacks; ``fit`` is called once for each epoch, so ``on_train_begin`` is too.
        reporter: receives progress, see :class:`tfssl.training.progress.Reporter`; None for none.

    Returns:
        The trained ``keras.Model``.

    Raises:
        SourceError: if ``data`` has nothing readable.
        ModelError: if ``out`` holds a run of another configuration.
        TrainingError: if the loss becomes NaN; the last good checkpoint stays.
    """
    out = as_path("out", out)
    if not isinstance(config, RunConfig):
        raise ArgumentError(f"`config` must be a RunConfig, see tfssl.load_config. Received: {type(config).__name__}")
    settings = config.settings
    source, steps_per_epoch = _training_data(config)
    parts = divide(config.method.phases, settings.epochs)
    if len(parts) > 1 and settings.weights is not None:
        raise ConfigError(f"`weights` does not go with the {len(parts)} phases of {config.method.name()}; leave it out")
    _claim(config, out)
    if (out / "metrics.json").exists():
        log.warning("run %s is already finished", out)
        return load_run(out)[1]
    with _log_file(out / "log.txt"), _precision(settings.precision), _reading(source, settings.workers) as source:
        config = RunConfig(_adapted(config.method, source, out), settings)
        state, arrays = checkpoint.newest(out / "checkpoint")
        if state.step:
            log.info("resuming %s at step %d of %d", out, state.step, settings.epochs * steps_per_epoch)
        skipped = Skipped(SkippedTable(out / "skipped.csv").add)
        recorder = Recorder(
            config=config, out=out, state=state, steps_per_epoch=steps_per_epoch, skipped=skipped, reporter=reporter
        )
        model = None
        parts = divide(config.method.phases, settings.epochs)
        for part in parts[part_of(parts, state.step, steps_per_epoch) :]:
            model = _build(config, part, steps_per_epoch, previous=model)
            if arrays is not None:
                checkpoint.assign(model, arrays, out / "checkpoint")
                arrays = None
            recorder.begin(part, len(parts))
            for epoch in range(state.step // steps_per_epoch, part.end):
                _run_epoch(config, part.phase, model, recorder, source, epoch, callbacks)
                _sample(config.method, model, settings, out, epoch)
        _finish(model, out, recorder)
        return model


def _build(config, part, steps_per_epoch, previous):
    """The compiled model of a phase, its weights drawn from the run's seed or taken from ``weights``."""
    settings = config.settings
    keras.utils.set_random_seed(settings.seed)
    with make_strategy(settings.devices, settings.batch_size).scope():
        optimizer = build_optimizer(settings, (part.end - part.first) * steps_per_epoch, part.phase.learning_rate_scale)
        model = part.phase.model(optimizer, previous)
        for changes, variables in optimizers_of(model):
            changes.build(variables)
    if settings.weights is not None:
        load_weights(model, settings.weights)
    return model


def _run_epoch(config, phase, model, recorder, source, epoch, callbacks):
    """One call of ``model.fit``: an epoch, or what is left of it where the run was stopped in the middle."""
    method, settings, first = config.method, config.settings, recorder.state.step
    dataset = phase.dataset or method.dataset
    batches = dataset(
        source,
        batch_size=settings.batch_size,
        training=True,
        seed=settings.seed,
        start=first,
        count=(epoch + 1) * recorder.steps_per_epoch - first,
        skipped=recorder.skipped,
        augment=settings.augment,
    )
    validation = None
    if settings.validation is not None:
        validation = dataset(settings.validation, batch_size=settings.batch_size, training=False)
    batches, recorder.clock = measure_wait(batches)
    try:
        model.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_data=validation,
            callbacks=[recorder, *callbacks],
            shuffle=False,  # the dataset shuffles
            verbose=0,
        )
    except tf.errors.OpError as error:
        raise TrainingError(reason_of(error)) from error
    except OSError as error:
        raise TrainingError(
            f"cannot write to {str(recorder.out)!r} ({error.strerror or error}); fix that and start again, the last "
            f"checkpoint is whole"
        ) from error


def _reading(source, workers):
    """The source as a context: read by so many worker processes, or by this process's threads if there are none."""
    if workers is None:
        # Where a CPU trains, it has no cores to spare, and waits for a thousandth of a step.
        on_files = isinstance(source, (FileSource, TFRecordSource))
        workers = (os.cpu_count() or 1) if on_files and tf.config.list_physical_devices("GPU") else 0
    return ParallelSource(source, workers) if workers else contextlib.nullcontext(source)


@contextlib.contextmanager
def _log_file(path):
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _precision(name):
    previous = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(previous)


def train(config, out=None, **overrides):
    """Train from a configuration file or the name of a shipped one, as ``tfssl train`` does; see :func:`fit`.

    Args:
        config: path of a YAML file, or a name such as ``"colorization/cpu"``.
        out: run directory; default ``runs/<method>-<file name>``.
        **overrides: values that replace those of the file, checked the same way.
    """
    loaded = load_config(config)
    if overrides:
        loaded = parse_config({**loaded.to_dict(), **overrides})
    return fit(loaded, out if out is not None else default_run(config, loaded))


def default_run(config, loaded):
    """Run directory of a configuration file when none is given: the same for the same file, so that it resumes."""
    return Path("runs") / f"{loaded.method.name()}-{Path(config).stem}"


def _claim(config, out):
    effective = out / "config.yaml"
    if effective.exists():
        old, new = load_config(effective).to_dict(), config.to_dict()
        changed = [k for k in new if old.get(k) != new[k] and k not in _FREE_KEYS]
        if changed:
            listing = ", ".join(f"{k} {old.get(k)!r} -> {new[k]!r}" for k in changed)
            raise ModelError(
                f"`out` {str(out)!r} holds a run of another configuration ({listing}); choose another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ModelError(f"`out` {str(out)!r} is not empty and not a run directory; choose another folder")
    (out / "checkpoint").mkdir(parents=True, exist_ok=True)
    (out / "samples").mkdir(exist_ok=True)
    config.save(effective)


def _training_data(config):
    """The source, and steps of an epoch: they follow from the examples that the method takes of the items."""
    method, settings = config.method, config.settings
    source = method.open(settings.data)
    check_source(source)
    examples = len(source) * method.examples_per_item
    steps = settings.steps_per_epoch or examples // settings.batch_size
    if steps == 0:
        raise SourceError(
            f"`data` holds {examples} examples, fewer than batch_size {settings.batch_size}; "
            f"lower batch_size or set steps_per_epoch"
        )
    return source, steps


def _adapted(method, source, out):
    """The method with the statistics of its data: those of the run, or learned now."""
    file = out / STATISTICS
    if not file.exists():
        statistics = method.adapt(source)
        if not statistics:
            return method
        with writing(file) as opened:
            np.savez(opened, **statistics)
    return method.adapted(read_statistics(file))


def _sample(method, model, settings, out, epoch):
    try:
        method.sample_sheet(model, settings.validation or settings.data, out / "samples" / f"epoch_{epoch + 1:04d}.png")
    except (OSError, ValueError) as error:  # an image is never worth a run
        log.warning("no sample image of epoch %d: %s", epoch + 1, error)


def _finish(model, out, recorder):
    with writing(out / "model.keras") as file:
        model.save(file.name)
    write_json(out / "metrics.json", recorder.summary())


@dataclasses.dataclass(frozen=True)
class Part:
    """Epochs ``first`` to ``end`` - 1, counted from 0, of a phase."""

    phase: Phase
    first: int
    end: int


def divide(phases, epochs):
    """Divide the epochs of a run among the phases of its method: a :class:`Part` each, one epoch at least."""
    if epochs < len(phases):
        names = ", ".join(phase.name for phase in phases)
        raise ConfigError(f"`epochs` must be at least {len(phases)}, one for each phase ({names}). Received: {epochs=}")
    parts, fraction, first = [], 0.0, 0
    for number, phase in enumerate(phases):
        fraction += phase.fraction
        latest = epochs - (len(phases) - number - 1)  # leaves one epoch for each phase that follows
        end = min(max(round(fraction * epochs), first + 1), latest)
        parts.append(Part(phase, first, end))
        first = end
    return parts


def part_of(parts, step, steps_per_epoch):
    """Number of the part that a checkpoint of ``step`` was written in: at a border, the one that ends there."""
    return next(i for i, part in enumerate(parts) if step <= part.end * steps_per_epoch)
