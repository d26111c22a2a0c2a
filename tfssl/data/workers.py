"""Processes that read files and cut examples from them: threads of Python take turns, processes do not.

A worker is this module run as a program. It reads requests from its standard input and writes arrays to its standard
output; when its input ends, because the pool was closed or its owner died in whatever way, it ends too. It does not
import the user's main module, so scripts need no ``if __name__ == "__main__"``.
"""

import contextlib
import copy
import importlib
import io
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import types
import weakref

import numpy as np

from tfssl.data.images import ArraySource, image_source
from tfssl.data.source import Source
from tfssl.errors import SourceError, TrainingError

_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64
"""TensorFlow takes over arrays whose memory begins at a multiple of this many bytes, and copies others."""

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Each worker computes on one core: they are as many as there are cores to use.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class ParallelSource(Source):
    """A source whose examples are read, cut and converted by ``workers`` processes.

    Give it to a method's ``dataset`` in place of the data: the batches are the same, bit for bit. Worth it where an
    accelerator trains and the machine has cores to spare. Processes start with the first batch and stay until
    :meth:`close`, the end of a ``with`` block, or the end of the program. They import no TensorFlow.

    Args:
        source: a :class:`~tfssl.data.source.Source`, or anything :func:`tfssl.data.images.image_source` takes, but
            images in memory (arrays), which would be copied into each process.
        workers: number of processes, at least 1.
    """

    def __init__(self, source, workers):
        if workers < 1:
            raise ValueError(f"`workers` must be at least 1. Received: workers={workers}")
        self.source = source if isinstance(source, Source) else image_source(source)
        if isinstance(self.source, ArraySource):
            raise SourceError("`source` holds images in memory, which worker processes would copy; use it as it is")
        self.noun = self.source.noun
        self.workers = workers
        self._pools = _Pools(workers)

    def __len__(self):
        return len(self.source)

    def example(self, index):
        return self.source.example(index)

    def name(self, index):
        return self.source.name(index)

    def check(self, index):
        self.source.check(index)

    def sized(self, min_size):
        return self.of(self.source.sized(min_size))

    def of(self, source):
        """Another source, read by the same processes."""
        other = copy.copy(self)
        other.source = source
        return other

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """End the processes. A dataset that is still being read starts them again."""
        self._pools.close()

    def in_workers(self, function):
        """``function`` called in a worker process: a function of the same arguments that returns the same.

        Args:
            function: picklable, of picklable arguments, importable by name; returns ``(arrays, note)``: a sequence of
                NumPy arrays and anything picklable.
        """
        job = _Job(function)
        return lambda *arguments: self._pools.running().call(job, arguments)


class _Pools:
    """The pool of processes, started when it is first used."""

    def __init__(self, workers):
        self._workers = workers
        self._pool = None
        self._lock = threading.Lock()

    def running(self):
        with self._lock:
            if self._pool is None:
                self._pool = _Pool(self._workers)
            return self._pool

    def close(self):
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


class _Job:
    """A pickled function."""

    def __init__(self, function):
        buffer = io.BytesIO()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(function)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SourceError(
                f"`workers`: this source or sampler cannot be sent to another process ({error}); set workers to 0"
            ) from None
        self.pickled = buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Refuses what belongs to the user's script: it is pickled by name, but a worker does not run that script."""

    def reducer_override(self, obj):
        if isinstance(obj, (type, types.FunctionType)) and obj.__module__ == "__main__":
            where = "defined in the main script, which other processes do not run: move it to a module"
            raise pickle.PicklingError(f"{obj.__qualname__} is {where}")
        return NotImplemented


class _Pool:
    def __init__(self, workers):
        self._idle = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(workers)]
        for worker in self._workers:
            self._idle.put(worker)
        self._finalizer = weakref.finalize(self, _end_all, self._workers)

    def call(self, job, arguments):
        worker = self._idle.get()
        try:
            return worker.call(job, arguments)
        finally:
            self._idle.put(worker)

    def close(self):
        self._finalizer()


def _end_all(workers):
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.wait()


class _Worker:
    """One process, used by one thread at a time."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfssl.data.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
            bufsize=0,
        )
        self._job = None

    def call(self, job, arguments):
        try:
            if job is not self._job:
                _send(self._process.stdin, job.pickled)
                self._job = job
            else:
                _send(self._process.stdin, b"")
            _send(self._process.stdin, pickle.dumps(arguments))
            error, note, specs = pickle.loads(_receive(self._process.stdout))
            arrays = [_receive_array(self._process.stdout, *spec) for spec in specs]
        except (BrokenPipeError, EOFError, ValueError):  # ValueError: closed while the dataset was read
            status = self._process.poll()
            raise TrainingError(
                f"a worker process ended (exit status {status}), perhaps for want of memory; lower `workers`, or set "
                f"it to 0"
            ) from None
        if error is not None:
            self._job = None  # perhaps it could not even be loaded there
            raise error
        return arrays, note

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self):
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _send(file, message):
    """Write a length and that many bytes; ``file`` is unbuffered and may write less than it is given."""
    for part in (_LENGTH.pack(len(message)), message):
        view = memoryview(part)
        while view:
            view = view[file.write(view) :]


def _receive(file):
    (length,) = _LENGTH.unpack(_fill(file, bytearray(_LENGTH.size)))
    return _fill(file, bytearray(length))


def _fill(file, buffer):
    view = memoryview(buffer)
    while view:
        count = file.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]
    return buffer


def _receive_array(file, dtype, shape):
    array = _aligned(shape, np.dtype(dtype))
    _fill(file, array.reshape(-1).view(np.uint8))
    return array


def _aligned(shape, dtype):
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _serve(requests, replies):
    function = None
    while True:
        try:
            job, arguments = _receive(requests), _receive(requests)
        except EOFError:
            return
        error, note, arrays = None, None, []
        try:
            if job:
                function = pickle.loads(job)
            arrays, note = function(*pickle.loads(arguments))
        except Exception as raised:  # whatever it is, it is raised again where the batch was asked for
            error = _portable(raised)
        arrays = [np.asarray(array, order="C") for array in arrays]
        _send(replies, pickle.dumps((error, note, [(array.dtype.str, array.shape) for array in arrays])))
        for array in arrays:
            _write(replies, array)


def _write(file, array):
    view = memoryview(array.reshape(-1).view(np.uint8))
    while view:
        view = view[file.write(view) :]


def _portable(error):
    """The error, or where it cannot be pickled one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def main():
    """A worker."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the owner decides when it is over
    replies = io.FileIO(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come among the arrays
    # Pickled functions name this module by its name, not as __main__.
    importlib.import_module("tfssl.data.workers")._serve(io.FileIO(os.dup(0)), replies)


if __name__ == "__main__":
    main()
