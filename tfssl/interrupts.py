"""Ctrl-C, SIGTERM and SIGHUP: what they end, and where work that would be lost is saved first."""

import os
import signal
import threading

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def exit_on_signals():
    """Let SIGTERM and SIGHUP raise SystemExit, so that temporary files go; the code is 128 and the signal's number."""

    def leave(number, frame):
        raise SystemExit(128 + number)

    for number in _SIGNALS:
        if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


class Deferred:
    """Within the block the first signal is only noted, for :meth:`check`; a second one acts at once.

    Signals that are ignored stay ignored; outside the main thread nothing happens.
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.received is not None:
            self._act(number)
        self.received = number

    def check(self):
        """Let a signal that was noted do what it would have done."""
        if self.received is not None:
            self._act(self.received)

    def _act(self, number):
        handler = self._before[number]
        if callable(handler):
            handler(number, None)
        else:
            signal.signal(number, handler)
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt  # of a handler that returned
