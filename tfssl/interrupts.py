"""Ctrl-C, SIGTERM and SIGHUP: what they end, and where work that would be lost is saved first."""

import contextlib
import os
import signal
import sys
import threading

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


_RETRY = 0.2  # seconds
_received = threading.Event()  # a KeyboardInterrupt was raised: whoever still runs has lost it


@contextlib.contextmanager
def exit_on_signals():
    """Within the block SIGTERM and SIGHUP raise SystemExit, so that temporary files go; 128 + their number is the code.

    SIGINT raises KeyboardInterrupt as ever, also where a library loses it: Python drops what is raised in the
    destructors and callbacks that run while a network is built, and bare ``except:`` does the same.
    """

    def leave(number, frame):
        raise SystemExit(128 + number)

    def interrupt(number, frame):
        _received.set()
        raise KeyboardInterrupt

    before, hook = {}, sys.unraisablehook
    for number in _SIGNALS if threading.current_thread() is threading.main_thread() else ():
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, interrupt if number == signal.SIGINT else leave)

    def again(lost):
        error = lost.exc_value  # Python would only report it
        if isinstance(error, KeyboardInterrupt):
            threading.Timer(_RETRY, signal.raise_signal, [signal.SIGINT]).start()
        elif isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
            threading.Timer(_RETRY, signal.raise_signal, [error.code - 128]).start()
        else:
            hook(lost)

    sys.unraisablehook = again
    try:
        yield
        check_interrupted()
    finally:
        sys.unraisablehook = hook
        _received.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def check_interrupted():
    """Raise the KeyboardInterrupt that was lost on its way, if there was one: between two pieces of work."""
    if _received.is_set():
        raise KeyboardInterrupt


class Deferred:
    """Within the block the first signal is only noted, for :meth:`check`; a second one acts at once.

    Signals that are ignored stay ignored; outside the main thread nothing happens.
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        check_interrupted()
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
