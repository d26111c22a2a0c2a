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
import subprocess
import sys
import threading
import time
import types
import weakref

import numpy as np

from tfssl.data.examples import Examples
from tfssl.data.images import ArraySource, image_source
from tfssl.data.source import Source
from tfssl.errors import SourceError, TrainingError

_ALIGNMENT = 64
"""TensorFlow takes over arrays whose memory begins at a multiple of this many bytes, and copies others."""

_PATIENCE = 60
"""Seconds without a sign of life after which a worker that has work is given up: no example takes that long to read."""

_TICK = 1.0
"""Seconds between looks at the workers, and between the signs of life of one."""

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
        self._pool = _Pool(workers)

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
        self._pool.close()

    def in_workers(self, function):
        """``function`` called in a worker process: a function of the same arguments that returns the same.

        Args:
            function: picklable, of picklable arguments, importable by name; returns ``(arrays, note)``: a sequence of
                NumPy arrays and anything picklable.
        """
        job = _Job(function)
        return lambda *arguments: self._pool.call(job, arguments)


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
    """Worker processes, started when they are first used, and the queue of those that are idle."""

    def __init__(self, number):
        self._number = number
        self._lock = threading.Lock()
        self.workers = []

    def call(self, job, arguments):
        with self._lock:
            if not self.workers:
                self.workers = [_Worker() for _ in range(self._number)]
                self._idle = queue.SimpleQueue()
                for worker in self.workers:
                    self._idle.put(worker)
                closed = threading.Event()
                threading.Thread(target=_watch, args=(self.workers, closed), daemon=True).start()
                self._finalizer = weakref.finalize(self, _end_all, self.workers, closed)
            idle = self._idle
        worker = idle.get()
        try:
            return worker.call(job, arguments)
        finally:
            idle.put(worker)

    def close(self):
        with self._lock:
            if self.workers:
                self.workers = []
                self._finalizer()


def _watch(workers, closed):
    """Count for how long each worker has been silent; what is counted are looks, as this process may be stopped too."""
    while not closed.wait(_TICK):
        for worker in workers:
            worker.look()


def _end_all(workers, closed):
    closed.set()
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
        )
        self._job = None
        self._works = self._given_up = False
        self._silent = 0  # looks since the last sign of life

    def look(self):
        """Called every _TICK seconds: end a process that does not answer, so that whoever waits for it is told."""
        self._silent = self._silent + 1 if self._works else 0
        if self._silent * _TICK > _PATIENCE and not self._given_up:
            self._given_up = True
            self._process.kill()

    def call(self, job, arguments):
        requests, replies = self._process.stdin, self._process.stdout
        self._silent, self._works = 0, True
        try:
            pickle.dump((None if job is self._job else job.pickled, pickle.dumps(arguments)), requests)
            requests.flush()
            self._job = job
            while (reply := pickle.load(replies)) is None:  # a sign of life
                self._silent = 0
            error, note, specs = reply
            arrays = [_read_array(replies, *spec) for spec in specs]
        except (BrokenPipeError, EOFError, ValueError, pickle.UnpicklingError):  # ValueError: closed while it was read
            raise TrainingError(self._end_reason()) from None
        finally:
            self._works = False
        if error is not None:
            self._job = None  # perhaps it could not even be loaded there
            raise error
        return arrays, note

    def _end_reason(self):
        if self._given_up:
            return (
                f"worker process {self._process.pid} gave no sign of life for {_PATIENCE} s: it was stopped, or a disk "
                f"does not answer; start again, a run goes on from its last checkpoint, or set `workers` to 0"
            )
        with contextlib.suppress(subprocess.TimeoutExpired):  # its pipes close a moment before it is over
            self._process.wait(1)
        return (
            f"worker process {self._process.pid} ended (exit status {self._process.poll()}), perhaps for want of "
            f"memory; lower `workers`, or set it to 0"
        )

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self):
        try:  # a worker notices its end when what it is doing is done
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _read_array(file, dtype, shape):
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    if file.readinto(memory[begin : begin + size]) < size:
        raise EOFError
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _serve(requests, replies):
    function = None
    beat = _Beat(replies)
    while True:
        try:
            job, arguments = pickle.load(requests)
        except EOFError:
            return
        error, note, arrays = None, None, []
        try:
            if job is not None:
                beat()
                function = pickle.loads(job)
                if isinstance(function, Examples):
                    function.after_each = beat
            arrays, note = function(*pickle.loads(arguments))
        except Exception as raised:  # whatever it is, it is raised again where the batch was asked for
            error = _portable(raised)
        arrays = [np.asarray(array, order="C") for array in arrays]
        pickle.dump((error, note, [(array.dtype.str, array.shape) for array in arrays]), replies)
        for array in arrays:
            replies.write(array.reshape(-1).view(np.uint8))
        replies.flush()


class _Beat:
    """Signs of life between the arrays: None, at most one every _TICK seconds."""

    def __init__(self, replies):
        self._replies = replies
        self._last = -_TICK

    def __call__(self):
        if time.monotonic() - self._last >= _TICK:
            self._last = time.monotonic()
            pickle.dump(None, self._replies)
            self._replies.flush()


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
    with open(os.dup(0), "rb") as requests, open(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what a library prints must not come among the arrays
        # Pickled functions name this module by its name, not as __main__.
        importlib.import_module("tfssl.data.workers")._serve(requests, replies)


if __name__ == "__main__":
    main()
