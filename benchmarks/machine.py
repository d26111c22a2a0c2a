"""What every benchmark shares: the machine and versions it ran on, alternating timings, and how results are kept."""

import dataclasses
import os
import platform
import statistics
import time
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
WORK = RESULTS.parent.parent / "work"
"""Where benchmarks keep what they can go on from; git ignores it."""

_LOAD_AT_START = os.getloadavg()[0]  # before the benchmark itself adds to it

# Instruction sets that decide how fast matrix products are, in float32 and in bfloat16.
_MATRIX_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine():
    """The processor, its cores, its instruction sets for matrix products, and the memory."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "instruction_sets": [flag for flag in _MATRIX_FLAGS if flag in _cpuinfo("flags").split()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_at_start": round(_LOAD_AT_START, 2),
    }


def versions(*packages):
    """Versions of Python and of the given distributions."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def _processor():
    return _cpuinfo("model name") or platform.processor() or "unknown"


def _cpuinfo(key):
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def alternate(candidates, repeats, warmup=1):
    """Time functions in turn, A B C A B C ..., so that a slow minute of the machine meets all of them.

    Args:
        candidates: ``{name: function without arguments}``; each must return only when its work is done.
        repeats: timed rounds.
        warmup: rounds before, whose times are dropped (tracing, caches).

    Returns:
        ``{name: [seconds of each round]}``.
    """
    seconds = {name: [] for name in candidates}
    for round_number in range(warmup + repeats):
        for name, function in candidates.items():
            start = time.perf_counter()
            function()
            elapsed = time.perf_counter() - start
            if round_number >= warmup:
                seconds[name].append(round(elapsed, 6))
    return seconds


def ratio(seconds, slow, fast):
    """How many times faster ``fast`` is than ``slow``: the ratio of their median times."""
    return statistics.median(seconds[slow]) / statistics.median(seconds[fast])


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One row of the speed table.

    Args:
        what: what was measured, with its size.
        against: what it was measured against.
        measured: the figure, by default a factor (times faster, times smaller).
        required: the figure that the project promises.
        at_most: whether the promise is an upper limit; otherwise it is a lower one.
        unit: written behind both figures.
    """

    what: str
    against: str
    measured: float
    required: float
    at_most: bool = False
    unit: str = "x"

    def __str__(self):
        limit = "at most" if self.at_most else "at least"
        figures = f"{self.measured:.3g}{self.unit} ({limit} {self.required:g}{self.unit})"
        return f"{self.what}, against {self.against}: {figures}"


def kept(path, compute):
    """``compute()``, kept as JSON at ``path``: a benchmark that was stopped goes on from what it had."""
    from tfssl.files import read_json, write_json

    if not Path(path).is_file():
        write_json(path, compute())
    return read_json(path)


def slim(record):
    """What a benchmark keeps of a :class:`tfssl.evaluation.record.Record`: no paths of this machine."""
    return {name: value for name, value in record.to_dict().items() if name in ("task", "metrics", "details")}


def save(name, *, config, packages, seconds, comparisons, out=None, **extra):
    """Write ``results/<name>.json`` and print its comparisons.

    Args:
        name: of the benchmark.
        config: its arguments and seeds.
        packages: distributions whose versions matter.
        seconds: raw timings, as :func:`alternate` returns them.
        comparisons: list of :class:`Comparison`.
        out: folder of the results; None for ``benchmarks/results``.
        **extra: further results of this benchmark.

    Returns:
        The path written.
    """
    from tfssl.files import write_json

    record = {
        "benchmark": name,
        "config": config,
        "machine": machine(),
        "versions": versions(*packages),
        "comparisons": [dataclasses.asdict(comparison) for comparison in comparisons],
        "median_seconds": {key: statistics.median(values) for key, values in seconds.items()},
        "seconds": seconds,
        **extra,
    }
    path = Path(out or RESULTS) / f"{name}.json"
    write_json(path, record)
    for row in comparisons:
        print(row)
    print(path)
    return path
