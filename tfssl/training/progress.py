"""What a training run says while it runs."""

import sys
import time


class Reporter:
    """Progress of a run: a bar on a terminal, a plain line now and then elsewhere.

    Args:
        stream: where to write; default standard error.
        every: seconds between plain lines.
    """

    def __init__(self, stream=None, every=30.0):
        self.stream = stream or sys.stderr
        self.every = every
        self._last = time.monotonic()
        self._bar = None
        self._task = None

    def start(self, *, step, total):
        """Called once, with the step a run starts from and its last one."""
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(file=self.stream),
            )
            self._task = self._bar.add_task("train", total=total, completed=step, note="")
            self._bar.start()

    def update(self, *, step, total, loss, images_per_second, wait_share, left):
        """Called after each step: figures of the run so far, ``left`` in seconds."""
        note = f"loss {loss:.4f}  {images_per_second:.0f} images/s  waiting for data {wait_share:.0%}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, note=note)
        elif time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            print(f"step {step}/{total}  {note}  {left / 60:.1f} min left", file=self.stream, flush=True)

    def message(self, text):
        """A line that stays."""
        print(text, file=self.stream, flush=True)

    def stop(self):
        """Called at the end, also after an error."""
        if self._bar is not None:
            self._bar.stop()
