"""One process at a time: a lock beside a file that several may change."""

import contextlib
import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_POLL = 0.05  # seconds between two tries


@contextlib.contextmanager
def exclusive(path):
    """Hold the lock of ``path`` inside the ``with``; others that ask for it wait.

    The lock is ``.NAME.lock`` in the same folder, gone after its last holder. A process that dies lets go of it.

    Args:
        path: the file to be changed; its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _acquire(lock)
    try:
        yield
    finally:
        if fcntl is not None:  # removed while held: who waits for this file sees that it is another one, see below
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(lock):
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _wait_for(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if fcntl is None or os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait_for(descriptor):
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    import msvcrt

    while True:
        try:
            return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:  # held by another process
            time.sleep(_POLL)
