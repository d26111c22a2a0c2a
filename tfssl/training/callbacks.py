"""What happens at each step of a run: checks, checkpoints, history, progress, and how long it waits for data."""

import csv
import logging
import math
import time
from pathlib import Path

import keras
import tensorflow as tf

from tfssl.errors import TrainingError
from tfssl.files import writing
from tfssl.training import checkpoint
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
        self._known = set()
        if self._path.exists():
            with open(self._path, newline="", encoding="utf-8") as file:
                self._known = {row["file"] for row in csv.DictReader(file)}
        else:
            self._write(["file", "reason"])

    def add(self, name, reason):
        if name not in self._known:
            self._known.add(name)
            self._write([name, reason])
            log.warning("skipped %s: %s", name, reason)

    def _write(self, row):
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)


class Recorder(keras.callbacks.Callback):
    """Counts steps, stops on NaN, writes checkpoints and ``history.csv``, reports progress.

    ``state``, a :class:`tfssl.training.checkpoint.TrainingState`, is updated in place; ``reporter`` may be None.
    """

    def __init__(self, *, config, out, state, steps_per_epoch, skipped, reporter=None):
        super().__init__()
        self.config = config
        self.out = Path(out)
        self.state = state
        self.steps_per_epoch = steps_per_epoch
        self.total = config.settings.epochs * steps_per_epoch
        self.skipped = skipped
        self.reporter = reporter
        self.clock = None
        self.baseline = None
        self._phase = None
        self._first_of_phase = 0
        self._epoch_mean = 0.0
        self._recent = []
        self._waited = 0.0
        self._first_step = state.step
        self._started = None
        self._stepped = None

    def begin(self, part, count):
        """The steps that follow belong to ``part``, a :class:`tfssl.training.fit.Part`, one of ``count``."""
        self.baseline = part.phase.baseline
        self._phase = part.phase.name if count > 1 else None
        self._first_of_phase = part.first * self.steps_per_epoch
        self._recent = []

    # Keras passes running means over the epoch; the loss of one step is recovered from two of them.
    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_mean, self._epoch_steps = 0.0, 0
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
        mean = float(logs["loss"])
        loss = mean * (self._epoch_steps + 1) - self._epoch_mean * self._epoch_steps
        self._epoch_mean, self._epoch_steps = mean, self._epoch_steps + 1
        state = self.state
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {state.step + 1}; lower learning_rate (now "
                f"{self.config.settings.learning_rate}) or set clip_norm; the last checkpoint in "
                f"{self.out / 'checkpoint'} is good"
            )
        state.step += 1
        state.loss_sum += loss
        state.loss_count += 1
        state.seconds += now - self._stepped
        self._stepped = now
        self._recent = [*self._recent[-_WINDOW + 1 :], loss]
        self._warn_if_not_learning()
        if state.step % self.config.settings.checkpoint_steps == 0:
            self._save()
        self._report(now)

    def on_epoch_end(self, epoch, logs=None):
        state = self.state
        row = {
            "epoch": epoch + 1,
            "step": state.step,
            **({"phase": self._phase} if self._phase else {}),
            "loss": state.loss_sum / max(state.loss_count, 1),
            "baseline": self.baseline,
            **{k: float(v) for k, v in (logs or {}).items() if k != "loss"},
            "learning_rate": learning_rate(self.model),
            "seconds": state.seconds,
            "wait_fraction": self.wait_fraction(),
            "skipped": len(self.skipped.reasons),
        }
        self._waited += self.clock.seconds  # each epoch has a clock of its own
        self.clock = None
        self._write_history(row)
        state.loss_sum, state.loss_count = 0.0, 0
        self._save()
        name = f"{self._phase}  " if self._phase else ""
        losses = f"loss {row['loss']:.4f}  (baseline {self.baseline:.4f})"
        text = f"epoch {epoch + 1}/{self.config.settings.epochs}  {name}{losses}"
        log.info(text)
        if self.reporter is not None:
            self.reporter.message(text)

    def wait_fraction(self):
        """Fraction of this process's training time that was spent waiting for data, 0 to 1."""
        elapsed = time.monotonic() - self._started if self._started else 0.0
        return (self._waited + (self.clock.seconds if self.clock else 0.0)) / elapsed if elapsed else 0.0

    def summary(self):
        with open(self.out / "history.csv", newline="", encoding="utf-8") as file:
            last = list(csv.DictReader(file))[-1]
        return {
            "steps": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "baseline": self.baseline,
            **{k: float(v) for k, v in last.items() if k in ("loss", "val_loss") and v},
        }

    def _save(self):
        checkpoint.save(self.model, self.state, self.out / "checkpoint")

    def _write_history(self, row):
        """Append a row; rows of steps that a resumed run does again are replaced."""
        path = self.out / "history.csv"
        rows = []
        if path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                rows = [r for r in csv.DictReader(file) if int(r["step"]) < row["step"]]
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
