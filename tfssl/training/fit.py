"""Train a method from a configuration into a run directory; start again with the same call to resume."""

import contextlib
import logging
import os
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl import runtime
from tfssl.config import RunConfig, load_config, parse_config
from tfssl.data.examples import Skipped
from tfssl.data.images import FileSource
from tfssl.data.source import check_source
from tfssl.data.tfrecord import TFRecordSource
from tfssl.data.workers import ParallelSource
from tfssl.errors import ArgumentError, ConfigError, ModelError, SourceError, TrainingError, counted, reason_of
from tfssl.files import OneLine, locked, write_json, writing
from tfssl.interrupts import Deferred
from tfssl.options import as_path
from tfssl.training import checkpoint
from tfssl.training.callbacks import Recorder, SkippedTable, measure_wait
from tfssl.training.directory import DIVERGED, check_free, claim, data_record
from tfssl.training.distribution import make_strategy
from tfssl.training.optimizers import build_optimizer, optimizers_of
from tfssl.training.parts import divide, part_of
from tfssl.training.runs import STATISTICS, load_run, load_weights, read_statistics

log = logging.getLogger("tfssl")


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
    runtime.check_backend()
    settings = config.settings
    source, steps_per_epoch = _training_data(config)
    data = data_record(settings, source)
    _check(config, steps_per_epoch)
    check_free(out)
    first = None
    with runtime.precision(settings.precision):
        if not (out / "config.yaml").exists():  # all that can be wrong is found before the directory is made
            statistics = config.method.adapt(source)
            config = RunConfig(config.method.adapted(statistics), settings)
            first = _build(config, divide(config.method.phases, settings.epochs)[0], steps_per_epoch, previous=None)
        with locked(out, f"`out` {str(out)!r}"):
            claim(config, out, data, steps_per_epoch)
            if first is not None and statistics:
                with writing(out / STATISTICS) as file:
                    np.savez(file, **statistics)  # type: ignore[arg-type]
            if (out / "metrics.json").exists() and (model := _finished(out)) is not None:
                return model
            with _log_file(out / "log.txt"), _reading(source, settings.workers) as source:
                config = RunConfig(_adapted(config.method, source, out), settings)
                return _train(config, out, source, steps_per_epoch, first, callbacks, reporter)


def _finished(out):
    """The model of a finished run; None if its file is damaged, and the last checkpoint has to give it again."""
    try:
        model = load_run(out)[1]
    except ModelError as error:
        if not any((out / "checkpoint").glob("step_*.npz")):
            raise
        log.warning("%s; it is made again of the last checkpoint", error)
        return None
    log.warning("run %s is already finished", out)
    return model


def _train(config, out, source, steps_per_epoch, first, callbacks, reporter):
    """Everything from the newest checkpoint to the model; ``first`` is the model of a run that begins."""
    settings = config.settings
    state, arrays = checkpoint.newest(out / "checkpoint")
    total = settings.epochs * steps_per_epoch
    _tell_start(config, out, source, state.step, total, reporter)
    table = SkippedTable(out / "skipped.csv")
    skipped = Skipped(table.add)
    skipped.reasons |= table.known
    parts = divide(config.method.phases, settings.epochs)
    with Deferred() as signals:
        recorder = Recorder(
            config=config,
            out=out,
            state=state,
            steps_per_epoch=steps_per_epoch,
            skipped=skipped,
            signals=signals,
            reporter=reporter,
        )
        recorder.restore_history()
        model = None
        for part in parts[part_of(parts, state.step, steps_per_epoch) :]:
            started = first if first is not None and part is parts[0] else None
            model = started or _build(config, part, steps_per_epoch, previous=model, fresh=arrays is None)
            signals.check()
            recorder.begin(part, len(parts))
            if arrays is not None:
                _restore(model, state, arrays, settings, out)
                arrays = None
                if state.loss_count and state.step % steps_per_epoch == 0:  # stopped between its last step and its row
                    _end_pending_epoch(config, part.phase, model, recorder, callbacks)
            for epoch in range(state.step // steps_per_epoch, part.end):
                _run_epoch(config, part.phase, model, recorder, source, epoch, callbacks)
        _finish(config, model, out, recorder)
        return model


def _tell_start(config, out, source, step, total, reporter):
    settings = config.settings
    gpus = tf.config.list_physical_devices("GPU")
    devices = counted(settings.devices, "GPUs" if gpus else "CPUs")
    where = "the builtin ones, for a try; --data FOLDER takes yours" if settings.data == "builtin" else settings.data
    text = (
        f"{config.method.name()}: {counted(len(source), source.noun)} ({where}), {devices}, "
        f"steps {step} to {total} of {settings.batch_size} examples, to {out}"
    )
    log.info(text)
    if reporter is not None:
        reporter.message(text)


def _restore(model, state, arrays, settings, out):
    """Assign a checkpoint; of a learning rate that was changed since, the new one stays."""
    fresh = [float(optimizer.learning_rate) for optimizer, _ in optimizers_of(model)]
    checkpoint.assign(model, arrays, out / "checkpoint")
    changed = state.learning_rate is not None and state.learning_rate != settings.learning_rate
    if changed and isinstance(settings.learning_rate, float) and settings.schedule == "constant":
        for (optimizer, _), rate in zip(optimizers_of(model), fresh, strict=True):
            if not settings.warmup_steps:  # otherwise a schedule, which holds the new one
                optimizer.learning_rate = rate


def _end_pending_epoch(config, phase, model, recorder, callbacks):
    """What was left to do of an epoch whose steps are all done: validation, row, samples, checkpoint."""
    state, epoch = recorder.state, recorder.state.step // recorder.steps_per_epoch - 1
    every = keras.callbacks.CallbackList([recorder, *callbacks], model=model)
    every.on_train_begin()
    every.on_epoch_begin(epoch)
    logs = dict(state.logs) or {"loss": state.loss_sum / state.loss_count}
    validation = _validation(config, phase)
    if validation is not None:
        measured = model.evaluate(validation, callbacks=[recorder], verbose=0, return_dict=True)
        logs |= {f"val_{name}": value for name, value in measured.items()}
    every.on_epoch_end(epoch, logs)
    every.on_train_end()
    recorder.end_epoch(lambda: _sample(config.method, model, config.settings, recorder.out, epoch))


def _build(config, part, steps_per_epoch, previous, fresh=True):
    """The compiled model of a phase, its weights drawn from the run's seed or, if ``fresh``, taken from ``weights``."""
    settings = config.settings
    keras.utils.set_random_seed(settings.seed)
    with make_strategy(settings.devices, settings.batch_size).scope():
        optimizer = build_optimizer(settings, (part.end - part.first) * steps_per_epoch, part.phase.learning_rate_scale)
        model = part.phase.model(optimizer, previous)
        for changes, variables in optimizers_of(model):
            changes.build(variables)
    if settings.weights is not None and fresh and not config.method.start(model, settings.weights):
        load_weights(model, settings.weights, config.method.output_layers)
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
    validation = _validation(config, phase)
    batches, recorder.clock = measure_wait(batches)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input ran out of data")  # of validation, as it should
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
    recorder.end_epoch(lambda: _sample(method, model, settings, recorder.out, epoch))


def _validation(config, phase):
    settings = config.settings
    if settings.validation is None:
        return None
    dataset = phase.dataset or config.method.dataset
    return dataset(settings.validation, batch_size=settings.batch_size, training=False)


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
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


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


def _check(config, steps_per_epoch):
    """Whatever of a configuration can be known to be wrong before a network is built; ConfigError, SourceError."""
    method, settings = config.method, config.settings
    parts = divide(method.phases, settings.epochs)
    if len(parts) > 1 and settings.weights is not None:
        raise ConfigError(f"`weights` does not go with the {len(parts)} phases of {method.name()}; leave it out")
    make_strategy(settings.devices, settings.batch_size)
    for part in parts:
        build_optimizer(settings, (part.end - part.first) * steps_per_epoch, part.phase.learning_rate_scale)
    options = {"seed": settings.seed, "start": 0, "count": 1, "augment": settings.augment}
    for data in dict.fromkeys(filter(None, (settings.data, settings.validation))):
        method.dataset(data, batch_size=settings.batch_size, training=True, **options)


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


def _finish(config, model, out, recorder):
    if not _answers(config, model):
        raise recorder.diverged("the trained network answers NaN")
    with writing(out / "model.keras") as file:
        model.save(file.name)
    write_json(out / "metrics.json", recorder.summary())
    (out / DIVERGED).unlink(missing_ok=True)


def _answers(config, model):
    """Whether the network's outputs for a few examples are numbers."""
    count = 2 * config.method.examples_per_item
    batch = next(iter(config.method.dataset(config.settings.data, batch_size=count, training=True, start=0, count=1)))
    outputs = tf.nest.flatten(model(batch[0] if isinstance(batch, tuple) else batch, training=False))
    return all(np.isfinite(np.asarray(keras.ops.cast(x, "float32"))).all() for x in outputs if x.dtype != "string")
