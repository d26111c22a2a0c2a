"""From a folder of JPEGs to training batches: this library against a PyTorch DataLoader with two workers.

Measured twice: with as many worker processes here (a ``ParallelSource``), and with the threads of one process.

Both sides decode, scale the shorter side to 256 pixels, cut and mirror a random 176-pixel crop, convert it to Lab
and give float32 batches of (L, ab of every fourth pixel). An epoch over the folder is timed, after one that warms
up workers, graphs and the file cache. Both may use all cores of the machine.

    pip install --editable .[bench]
    python benchmarks/input_pipeline.py [--data FOLDER]
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from machine import Comparison, alternate, ratio, save

RESIZE, CROP = 256, 176  # pixels, as the paper


def write_photographs(folder, count, side, seed):
    """Fill ``folder`` with JPEGs: random square crops of the built-in photographs."""
    import numpy as np
    from PIL import Image

    from tfssl.data.builtin import builtin_photographs

    rng = np.random.default_rng(seed)
    photographs = [Image.open(path).convert("RGB") for path in builtin_photographs()]
    for index in range(count):
        picture = photographs[index % len(photographs)]
        span = int(rng.integers(side, min(picture.size) + 1))
        left, top = (int(rng.integers(0, size - span + 1)) for size in picture.size)
        crop = picture.resize((side, side), box=(left, top, left + span, top + span))
        crop.save(Path(folder) / f"{index:05d}.jpg", quality=92)


def check_equal_work(ours, theirs):
    """Both sides must give batches of the same shapes and types, with values in the same range."""
    for name, our_part, their_part, (low, high) in zip(
        ("L", "ab"), ours, theirs, ((0.0, 100.01), (-110.0, 110.0)), strict=True
    ):
        a, b = our_part.numpy(), their_part.numpy()
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise AssertionError(f"{name}: {a.shape} {a.dtype} here, {b.shape} {b.dtype} there")
        if min(a.min(), b.min()) < low or max(a.max(), b.max()) > high:
            raise AssertionError(f"{name} leaves [{low}, {high}]")


def sides_of_table(workers):
    """(key of the timings, words, factor promised) of our two ways to read."""
    return ("processes", f"{workers} processes", 3.0), ("threads", "threads", 1.0)


def measure(folder, arguments):
    """Seconds of each epoch for all three, and the number of images in one."""
    from torch_loader import loader

    from tfssl.data import ParallelSource
    from tfssl.methods import Colorization

    method = Colorization(resize=RESIZE, crop_size=CROP)
    processes, threads = (
        method.dataset(source, batch_size=arguments.batch, seed=arguments.seed)
        for source in (ParallelSource(folder, arguments.workers), folder)
    )
    stride = method.output_stride
    batches = loader(
        folder, resize=RESIZE, crop=CROP, stride=stride, batch_size=arguments.batch, workers=arguments.workers
    )
    check_equal_work(next(iter(processes)), next(iter(batches)))

    counts = {}

    def epoch(name, source):
        counts[name] = sum(len(lightness) for lightness, _ in source)

    sides = {"torch": batches, "processes": processes, "threads": threads}
    seconds = alternate(
        {name: lambda name=name, data=data: epoch(name, data) for name, data in sides.items()}, arguments.repeats
    )
    if len(set(counts.values())) > 1:
        raise AssertionError(f"unequal epochs: {counts}")
    return seconds, counts["torch"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=None, help="folder of .jpg files; default: 512 crops of the built-in ones")
    parser.add_argument("--count", type=int, default=512, help="JPEGs that are made where --data is not given")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader, and of ours")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as made:
        if arguments.data is None:
            write_photographs(made, arguments.count, RESIZE, arguments.seed)
        seconds, images = measure(arguments.data or made, arguments)
    rates = {name: images / statistics.median(values) for name, values in seconds.items()}
    save(
        "input_pipeline",
        config={**vars(arguments), "resize": RESIZE, "crop": CROP, "data": arguments.data or "crops of builtin"},
        packages=("tensorflow", "keras", "numpy", "pillow", "scikit-image", "torch"),
        seconds=seconds,
        comparisons=[
            Comparison(
                f"Input pipeline, {RESIZE}-px JPEGs to (L, target) batches of {arguments.batch}, {side}",
                f"PyTorch DataLoader, {arguments.workers} workers, Pillow and scikit-image",
                ratio(seconds, "torch", name),
                required,
            )
            for name, side, required in sides_of_table(arguments.workers)
        ],
        out=arguments.out,
        images_per_epoch=images,
        images_per_second={name: round(rate, 1) for name, rate in rates.items()},
    )


if __name__ == "__main__":
    main()
