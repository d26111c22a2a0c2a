"""What a training run says while it runs."""

import sys
import time

from tfssl.files import printable
from tfssl.interrupts import check_interrupted


class Reporter:
    """Progress of a run: a bar on a terminal, a plain line every so many seconds elsewhere; default standard error."""

    def __init__(self, stream=None, every=30.0):
        self.stream = stream or sys.stderr
        self.every = every
        self._last = time.monotonic()
        self._bar = None
        self._task = None

    def start(self, *, step, total):
        """Called once, with the step a run starts from and its last one."""
        if self.stream.isatty():
            self._bar, self._task = _start_bar(self.stream, total, step, "training")

    def update(self, *, step, total, loss, images_per_second, wait_fraction, left):
        """Called after each step: figures of the run so far, ``left`` in seconds."""
        note = f"loss {loss:.4f}  {images_per_second:.0f} images/s  waiting for data {wait_fraction:.0%}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, note=note)
        elif time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            print(f"step {step}/{total}  {note}  {left / 60:.1f} min left", file=self.stream, flush=True)

    def message(self, text):
        print(printable(text), file=self.stream, flush=True)

    def stop(self):
        if self._bar is not None:
            self._bar.stop()


class CountProgress:
    """Progress over a list of items: ``with CountProgress("images") as progress: progress(done, total)``.

    A bar with rate and time left on a terminal, a plain line every ten seconds elsewhere. ``done`` may hold a fraction,
    of an item that takes long.
    """

    def __init__(self, unit, stream=None):
        self.unit = unit
        self.stream = stream or sys.stderr
        self._bar = None
        self._task = None
        self._started = self._last = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done, total, note=""):
        check_interrupted()
        now = time.monotonic()
        rate = done / max(now - self._started, 1e-9)
        text = f"{rate:.1f} {self.unit}/s  {printable(note)}".rstrip()
        if self.stream.isatty():
            if self._bar is None:
                self._bar, self._task = _start_bar(self.stream, total)
            self._bar.update(self._task, completed=done, total=total, note=text)
        elif now - self._last >= 10:
            self._last = now
            left = (total - done) / max(rate, 1e-9)
            print(f"{int(done)}/{total} {self.unit}  {text}  {left / 60:.1f} min left", file=self.stream, flush=True)


def _start_bar(stream, total, done=0, label=None):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # The note comes last and takes the room that is left: a long name in it is cut, and its brackets are no markup.
    note = TextColumn(
        "{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
    )
    columns = BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), note
    console = Console(file=stream)
    bar = Progress(*((TextColumn(label),) if label else ()), *columns, console=console, expand=True)
    task = bar.add_task("", total=total, completed=done, note="")
    bar.start()
    return bar, task
