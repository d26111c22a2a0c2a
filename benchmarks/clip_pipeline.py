"""From a folder of clips to batches of 32 x 10 frames: this library against a PyTorch DataLoader with PyAV.

Both sides enter a file at the key frame before a random window of 10 successive frames, decode from there on, scale the
shorter side to 112 pixels, cut the middle and give uint8 batches. An epoch, 256 windows or more by default, is timed,
after one that warms up workers and the file cache. Both may use all cores of the machine. The processor time of all
processes is taken beside: it tells the same where other work has a part of the machine.

Memory: the peak of a process that reads 200 random windows of one clip, and of one that is 60 times as long.

    pip install --editable .[bench]
    python benchmarks/clip_pipeline.py [--data FOLDER]      FOLDER: clips (.mp4) to measure beside those that it makes
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from clip_windows import Windows, write_clips, write_longer
from machine import Comparison, alternate, ratio, save

KINDS = {"made": "made, 320x240, 25 a second"}
LONGER = 60
READ = 200  # windows that are read to measure memory


def measure(folder, arguments):
    """Seconds of each epoch of both sides, likewise of all their processors, and the number of frames in one."""
    from torch_clips import loader

    from tfssl.data import ParallelSource
    from tfssl.data.clips import clip_source
    from tfssl.data.pipeline import batches

    frames, size = arguments.frames, arguments.size
    windows = {"frames": frames, "size": size, "least": arguments.windows}
    theirs = loader(folder, **windows, batch_size=arguments.batch, workers=arguments.workers)
    clips = clip_source([str(path) for path in theirs.dataset.paths], min_size=size)
    with ParallelSource(clips, arguments.workers) as source:
        ours = batches(source, Windows(frames, size), arguments.batch, training=True, seed=arguments.seed)
        check_equal_work(next(iter(ours))[0].numpy(), next(iter(theirs)).numpy())
        counts, processors = {}, {"torch": [], "tfssl": []}

        def epoch(name, data):
            begun = processor_seconds()
            counts[name] = sum(len(part[0] if name == "tfssl" else part) for part in data)
            processors[name].append(round(processor_seconds() - begun, 3))

        seconds = alternate(
            {"torch": lambda: epoch("torch", theirs), "tfssl": lambda: epoch("tfssl", ours)}, arguments.repeats
        )
    if len(set(counts.values())) > 1:
        raise AssertionError(f"unequal epochs: {counts}")
    return seconds, {name: values[1:] for name, values in processors.items()}, counts["torch"] * frames


def processor_seconds():
    """Processor time of this process and of all that it started and that still run, by /proc."""
    parents, spent = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(") ")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(file.parent.name)] = int(fields[1])
        spent[int(file.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ours(process):
        return process == os.getpid() or (process in parents and ours(parents[process]))

    return sum(seconds for process, seconds in spent.items() if ours(process))


def check_equal_work(ours, theirs):
    """Both sides must give batches of one shape and type, of pictures that are about as bright."""
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        raise AssertionError(f"{ours.shape} {ours.dtype} here, {theirs.shape} {theirs.dtype} there")
    if abs(ours.mean() - theirs.mean()) > 25:
        raise AssertionError(f"mean {ours.mean()} here, {theirs.mean()} there")


def peak_mib(path, arguments):
    """Peak memory of a process that reads windows of a clip, MiB."""
    command = [sys.executable, __file__, "--read", str(path), "--frames", arguments.frames, "--size", arguments.size]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return float(done.stdout)


def read_windows(path, frames, size):
    """Read random windows of a clip, and print the peak memory of this process, in MiB."""
    import numpy as np

    from tfssl.data.clips import Clip

    draw, rng, clip = Windows(frames, size), np.random.default_rng(0), Clip(path, size)
    for _ in range(READ):
        draw({"clip": clip}, rng, True)
    # Not ru_maxrss: it begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(int(status.split()[0]) / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=None, help="folder of .mp4 files, measured beside")
    parser.add_argument("--count", type=int, default=64, help="clips that are made, of 10 seconds")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frames", type=int, default=10, help="of a window")
    parser.add_argument("--size", type=int, default=112, help="pixels of a side of the frames")
    parser.add_argument("--windows", type=int, default=256, help="of an epoch, at least")
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader, and of ours")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    parser.add_argument("--read", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read is not None:
        read_windows(arguments.read, arguments.frames, arguments.size)
        return

    seconds, rates, comparisons = {}, {}, []
    against = f"PyTorch DataLoader, {arguments.workers} workers, PyAV and Pillow"
    batch = f"batches of {arguments.batch} x {arguments.frames} frames"
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        write_clips(made, arguments.count, arguments.seed)
        folders = {"made": made} | ({} if arguments.data is None else {Path(arguments.data).name: arguments.data})
        for name, folder in folders.items():
            found, processors, frames = measure(folder, arguments)
            seconds |= {f"{name} {side}": values for side, values in found.items()}
            seconds |= {f"{name} {side}, processors": values for side, values in processors.items()}
            rates |= {f"{name} {side}": round(frames / statistics.median(v), 1) for side, v in found.items()}
            what = f"Clips ({KINDS.get(name, f'of {name}')}) to {batch}, 2 processes"
            for which, values in (("", found), (", processor time", processors)):
                comparisons.append(Comparison(what + which, against, ratio(values, "torch", "tfssl"), 2.0))
        write_longer(made / "000.mp4", made / "longer.mp4", LONGER)
        memory = {name: peak_mib(made / f"{name}.mp4", arguments) for name in ("000", "longer")}
    comparisons.append(
        Comparison(
            f"Peak memory, windows of {arguments.frames} frames of a clip of 10 minutes",
            "a clip of 10 seconds",
            memory["longer"] / memory["000"],
            1.05,
            at_most=True,
        )
    )
    save(
        "clip_pipeline",
        config={key: value for key, value in vars(arguments).items() if key not in ("read", "data", "out")},
        packages=("tensorflow", "numpy", "av", "pillow", "torch"),
        seconds=seconds,
        comparisons=comparisons,
        out=arguments.out,
        frames_per_second=rates,
        peak_mib={"10 seconds": memory["000"], "10 minutes": memory["longer"]},
    )


if __name__ == "__main__":
    main()
