"""What happens at each step of a run: checks, checkpoints, history, progress, and how long it waits for data."""

import csv
import logging
import math
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfssl.errors import TrainingError
from tfssl.files import cell, read_table, write_json, writing
from tfssl.training import checkpoint
from tfssl.training.directory import DIVERGED
from tfssl.training.optimizers import optimizers_of

log = logging.getLogger("tfssl")

_WINDOW = 200  # steps over which the loss is averaged before it is compared with the baseline


def learning_rate(model):
    """Current learning rate of a compiled model: of its first optimizer that changes anything; 0 without one."""
    return next((float(optimizer.learning_rate) for optimizer, variables in optimizers_of(model) if variables), 0.0)


class SkippedTable:
    """``skipped.csv``: one line for each unreadable item, written as soon as it is met."""

    def __init__(self, path):
        self._path = Path(path)
        # Whole lines of what was there: a crash may have damaged it.
        rows = [row for row in read_table(self._path) if row.get("file") and row.get("reason")]
        self.known = {row["file"]: row["reason"] for row in rows}
        with writing(self._path, "w", newline="") as file:
            csv.writer(file).writerows([["file", "reason"], *self.known.items()])

    def add(self, name, reason):
        name, reason = cell(name), cell(reason)
        if name not in self.known:
            self.known[name] = reason
            self._write([name, reason])
            log.warning("skipped %s: %s", name, reason)

    def _write(self, row):
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)


class Recorder(keras.callbacks.Callback):
    """Counts steps, stops on NaN, writes checkpoints and ``history.csv``, reports progress.

    ``state``, a :class:`tfssl.training.checkpoint.TrainingState`, is updated in place; ``reporter`` may be None.
    ``signals``, a :class:`tfssl.interrupts.Deferred`, are acted on between steps, after a checkpoint.
    """

    def __init__(self, *, config, out, state, steps_per_epoch, skipped, signals, reporter=None):
        super().__init__()
        self.config = config
        self.out = Path(out)
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        self.total = config.settings.epochs * steps_per_epoch
        self.skipped = skipped
        self.signals = signals
        self.reporter = reporter
        self.clock = None
        self.baseline = None
        self._phase = None
        self._first_of_phase = 0
        self._epoch_mean = 0.0
        self._restore = None
        self._row = None
        self._recent = []
        self._waited = 0.0
        self._first_step = state.step
        self._started = None
        self._stepped = None

    def begin(self, part, count):
        """The steps that follow belong to ``part``, a :class:`tfssl.training.parts.Part`, one of ``count``."""
        self.baseline = part.phase.baseline
        self._phase = part.phase.name if count > 1 else None
        self._first_of_phase = part.first * self.steps_per_epoch
        self._recent = []

    # Keras passes running means over the epoch; the loss of one step is recovered from two of them.
    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_mean, self._epoch_steps = 0.0, 0
        self._restore = self.state.metrics  # those of the part of the epoch before a stop
        if self._started is None:
            self._started = time.monotonic()
            if self.reporter is not None:
                self.reporter.start(step=self.state.step, total=self.total)
        self._stepped = time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        self.clock.asking()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self.clock.arrived()
        state = self.state
        mean = float(logs["loss"])
        loss = mean * (self._epoch_steps + 1) - self._epoch_mean * self._epoch_steps
        if self._restore:
            logs = self._add_metrics(logs)
            mean, self._epoch_steps = float(logs["loss"]), state.loss_count
        self._epoch_mean, self._epoch_steps = mean, self._epoch_steps + 1
        if not math.isfinite(loss):
            raise self.diverged(f"the loss became {loss} at step {state.step + 1}")
        state.step += 1
        state.loss_sum += loss
        state.loss_count += 1
        state.seconds += now - self._stepped
        self._stepped = now
        self._recent = [*self._recent[-_WINDOW + 1 :], loss]
        self._warn_if_not_learning()
        ends = state.step % self.steps_per_epoch == 0
        saves = state.step % self.config.settings.checkpoint_steps == 0 and not ends  # an epoch ends with one
        if ends or saves or self.signals.received:
            state.metrics = [np.asarray(v).tolist() for v in self._metric_variables()]
            state.logs = {name: float(value) for name, value in logs.items()}
        if saves:
            self.save()
        self._report(now)
        self.stop_if_asked()

    def on_test_batch_end(self, batch, logs=None):
        self.stop_if_asked()

    def stop_if_asked(self):
        """Act on a signal that came meanwhile, after a checkpoint."""
        if self.signals.received:
            self.save()
            # For the run's log file: on the terminal the command line says what ended it and what comes next.
            log.info(
                "stopped at step %d of %d, saved; the same command goes on from there", self.state.step, self.total
            )
            self.signals.check()

    def diverged(self, what):
        """The error of a run that cannot go on so; notes in the run directory that its learning rate may change."""
        write_json(self.out / DIVERGED, {"step": self.state.step, "reason": what})
        # With the weights of this step the loss was NaN: a checkpoint of them is no good one.
        (self.out / "checkpoint" / f"step_{self.state.step:09d}.npz").unlink(missing_ok=True)
        saved = sorted((self.out / "checkpoint").glob("step_*.npz"))
        where = f"the checkpoint of step {int(saved[-1].stem[5:])}" if saved else "the beginning"
        return TrainingError(
            f"{what}; give a lower learning_rate (now {self.config.settings.learning_rate}) or clip_norm with the same "
            f"command, it goes on from {where}"
        )

    def _metric_variables(self):
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def _add_metrics(self, logs):
        """Add what metrics had summed up before a stop: they are made in the first step, and all of them are sums."""
        variables, saved, self._restore = self._metric_variables(), self._restore, None
        saved = [np.asarray(value, np.asarray(v).dtype) for value, v in zip(saved, variables, strict=False)]
        if [value.shape for value in saved] == [tuple(v.shape) for v in variables]:
            for variable, value in zip(variables, saved, strict=True):
                variable.assign(np.asarray(variable) + value)
        return {**logs, **{k: v for k, v in self.model.get_metrics_result().items() if k in logs}}

    def on_epoch_end(self, epoch, logs=None):
        state = self.state
        logs = logs or {}
        # The mean of the part after a stop is not the epoch's, in runs of earlier versions.
        whole = "loss" in logs and (self._epoch_steps == self.steps_per_epoch or not self._epoch_steps)
        row = {
            "epoch": epoch + 1,
            "step": state.step,
            **({"phase": self._phase} if self._phase else {}),
            "loss": float(logs["loss"]) if whole else state.loss_sum / max(state.loss_count, 1),
            "baseline": self.baseline,
            **{k: float(v) for k, v in logs.items() if k != "loss"},
            "learning_rate": learning_rate(self.model),
            "seconds": state.seconds,
            "wait_fraction": self.wait_fraction(),
            "skipped": len(self.skipped.reasons),
        }
        self._waited += self.clock.seconds if self.clock else 0.0  # each epoch has a clock of its own
        self.clock = None
        self._row = row

    def end_epoch(self, draw):
        """Write the epoch's row, let ``draw`` make its samples, and only then the checkpoint that says it is over."""
        state, row = self.state, self._row
        self._write_history(row)
        draw()
        state.history = [*state.history, row]
        state.loss_sum, state.loss_count, state.metrics, state.logs = 0.0, 0, [], {}
        self.save()
        name = f"{self._phase}  " if self._phase else ""
        losses = f"loss {row['loss']:.4f}  (baseline {self.baseline:.4f})"
        text = f"epoch {row['epoch']}/{self.config.settings.epochs}  {name}{losses}"
        log.info(text)
        if self.reporter is not None:
            self.reporter.message(text)
        self.stop_if_asked()

    def wait_fraction(self):
        """Fraction of this process's training time that was spent waiting for data, 0 to 1."""
        elapsed = time.monotonic() - self._started if self._started else 0.0
        return (self._waited + (self.clock.seconds if self.clock else 0.0)) / elapsed if elapsed else 0.0

    def summary(self):
        last = self.state.history[-1] if self.state.history else {}
        return {
            "steps": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "baseline": self.baseline,
            **{k: float(v) for k, v in last.items() if k in ("loss", "val_loss") and v not in (None, "")},
        }

    def restore_history(self):
        """Take over what ``history.csv`` says of the epochs before, in runs of earlier versions."""
        state = self.state
        if not state.history:
            done = state.step - 1 if state.loss_count else state.step
            rows = read_table(self.out / "history.csv")
            state.history = [r for r in rows if (r.get("step") or "").isdecimal() and int(r["step"]) <= done]

    def save(self):
        """Write a checkpoint; the error says what to do if a variable is no number any more."""
        self.state.learning_rate = self.config.settings.learning_rate
        try:
            checkpoint.save(self.model, self.state, self.out / "checkpoint")
        except TrainingError as error:
            raise self.diverged(str(error)) from None

    def _write_history(self, row):
        """Write the rows so far and this one: those of steps that a resumed run does again are replaced."""
        path, rows = self.out / "history.csv", self.state.history
        with writing(path, "w", newline="") as file:
            names = dict.fromkeys(name for old in (*rows, row) for name in old)  # phases have other metrics
            writer = csv.DictWriter(file, fieldnames=list(names), restval="")
            writer.writeheader()
            writer.writerows([*rows, row])

    def _warn_if_not_learning(self):
        if self.state.step - self._first_of_phase != self.config.settings.baseline_steps:
            return
        mean = sum(self._recent) / len(self._recent)
        if mean >= self.baseline:
            log.warning(
                f"after {self.state.step} steps the loss is {mean:.4f}, not below {self.baseline:.4f}, what a "
                f"predictor that ignores its input reaches; check the data and the learning rate"
            )

    def _report(self, now):
        if self.reporter is None:
            return
        done = self.state.step - self._first_step
        elapsed = max(now - self._started, 1e-9)
        self.reporter.update(
            step=self.state.step,
            total=self.total,
            loss=sum(self._recent) / len(self._recent),
            images_per_second=done * self.config.settings.batch_size / elapsed,
            wait_fraction=self.wait_fraction(),
            left=(self.total - self.state.step) * elapsed / max(done, 1),
        )


class WaitClock:
    """Adds up the time between asking for a batch and getting it.

    Under MirroredStrategy a background thread fetches ahead, and the figure is a lower bound.
    """

    def __init__(self, arrival):
        self._arrival = arrival
        self._asked = time.time()
        self.seconds = 0.0

    def asking(self):
        self._asked = time.time()

    def arrived(self):
        self.seconds += max(0.0, float(self._arrival.numpy()) - self._asked)


def measure_wait(batches):
    """``(dataset, WaitClock)``: the same batches of a dataset that ends in a prefetch, the arrival of each noted."""
    with tf.device("/CPU:0"):
        arrival = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def stamp(*batch):
        # Runs in the consumer's own call, after the prefetch buffer has handed the batch over.
        arrival.assign(tf.timestamp())
        return batch

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # it would move the stamp ahead of the consumer
    return batches.map(stamp).with_options(options), WaitClock(arrival)
