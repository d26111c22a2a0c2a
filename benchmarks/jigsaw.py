"""From a folder of JPEGs to batches of puzzles: this library against a PyTorch DataLoader with two workers.

Both sides decode, scale the shorter side, cut a random square, nine tiles from its cells with shifted channels, make
30 % of the puzzles gray, standardize each channel of each tile and shuffle the tiles: float32 (B, 9, t, t, 3) and
labels; here once by as many worker processes (a ``ParallelSource``), and once by the threads of one. An epoch over the
folder is timed, after one that warms up workers, graphs and the file cache. Measured twice: with the sizes of
configs/jigsaw/cpu.yaml, and with the paper's. Then a network of cpu.yaml is trained for some steps on the same folder,
to see what share of a step it waits for data.

    pip install --editable .[bench]
    python benchmarks/jigsaw.py [--data FOLDER]
"""

import argparse
import statistics
import tempfile
import time

import numpy as np
from input_pipeline import sides_of_table, write_photographs
from machine import Comparison, alternate, ratio, save

_WARMUP = 5  # training steps before the measured ones

# TensorFlow and PyTorch are imported where they are used: the loader's workers import this file too.


def check_equal_work(ours, theirs):
    """Both sides must give standardized tiles of the same shapes and types."""
    tiles = [np.asarray(batch[0]) for batch in (ours, theirs)]
    if tiles[0].shape != tiles[1].shape or tiles[0].dtype != tiles[1].dtype:
        raise AssertionError(f"{tiles[0].shape} {tiles[0].dtype} here, {tiles[1].shape} {tiles[1].dtype} there")
    for side in tiles:
        standard = (np.abs(side.std(axis=(2, 3)) - 1) < 1e-3) & (np.abs(side.mean(axis=(2, 3))) < 1e-3)
        if standard.mean() < 0.95:  # flat tiles have no deviation to bring to 1
            raise AssertionError(f"only {standard.mean():.0%} of the channels are standardized")
    if ours[1].shape != tuple(theirs[1].shape):
        raise AssertionError(f"labels {ours[1].shape} here, {tuple(theirs[1].shape)} there")


def measure(method, folder, arguments):
    """Seconds of each epoch for all three, and the number of puzzles in one."""
    from torch_puzzles import PuzzleFolder, loader

    from tfssl.data import ParallelSource

    processes, threads = (
        method.dataset(source, batch_size=arguments.batch, seed=arguments.seed)
        for source in (ParallelSource(folder, arguments.workers), folder)
    )
    theirs = loader(
        PuzzleFolder(
            folder,
            method.permutation_table,
            resize=method.resize,
            crop=method.crop_size,
            tile=method.tile,
            jitter=method.channel_jitter,
            gray_fraction=method.gray_fraction,
        ),
        batch_size=arguments.batch,
        workers=arguments.workers,
    )
    check_equal_work(next(iter(processes)), next(iter(theirs)))
    counts = {}

    def epoch(name, source):
        counts[name] = sum(len(labels) for _, labels in source)

    sides = {"torch": theirs, "processes": processes, "threads": threads}
    seconds = alternate(
        {name: lambda name=name, data=data: epoch(name, data) for name, data in sides.items()}, arguments.repeats
    )
    if len(set(counts.values())) > 1:
        raise AssertionError(f"unequal epochs: {counts}")
    return seconds, counts["torch"]


def measure_training(method, folder, arguments):
    """Seconds of the steps of a method's network, and the seconds of them that training waits for data."""
    import keras

    from tfssl.training.callbacks import measure_wait

    keras.utils.set_random_seed(arguments.seed)
    model = method.model(keras.optimizers.AdamW(1e-3))
    data = method.dataset(
        folder, batch_size=arguments.batch, seed=arguments.seed, start=0, count=arguments.steps + _WARMUP
    )
    batches, clock = measure_wait(data)
    steps, waits = [], []
    iterator = iter(batches)
    for number in range(arguments.steps + _WARMUP):
        waited, start = clock.seconds, time.perf_counter()
        clock.asking()
        tiles, labels = next(iterator)
        clock.arrived()
        model.train_on_batch(tiles, labels)
        if number >= _WARMUP:
            steps.append(time.perf_counter() - start)
            waits.append(clock.seconds - waited)
    return steps, waits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=None, help="folder of .jpg files; default: crops of the built-in ones")
    parser.add_argument("--count", type=int, default=1024, help="JPEGs that are made where --data is not given")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader, and of ours")
    parser.add_argument("--threads", type=int, default=2, help="of TensorFlow's operators")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60, help="training steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    import tensorflow as tf

    from tfssl.config import load_config
    from tfssl.methods import Jigsaw

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    methods = {"cpu": load_config("jigsaw/cpu").method, "paper": Jigsaw()}
    seconds, puzzles, comparisons = {}, {}, []
    for name, method in methods.items():
        with tempfile.TemporaryDirectory() as made:
            if arguments.data is None:
                write_photographs(made, arguments.count, method.resize, arguments.seed)
            found, puzzles[name] = measure(method, arguments.data or made, arguments)
            if name == "cpu":
                steps, waits = measure_training(method, arguments.data or made, arguments)
        seconds |= {f"{side}/{name}": values for side, values in found.items()}
        batches = f"batches of {arguments.batch} x 9 tiles of {method.tile} px"
        comparisons += [
            Comparison(
                f"Puzzles, {method.resize}-px JPEGs to {batches}, {words}",
                f"PyTorch DataLoader, {arguments.workers} workers, Pillow and NumPy",
                ratio(seconds, f"torch/{name}", f"{side}/{name}"),
                required,
            )
            for side, words, required in sides_of_table(arguments.workers)
        ]
    share = 100 * sum(waits) / sum(steps)
    comparisons.append(
        Comparison(
            f"Waiting for data, jigsaw/cpu, steps of {arguments.batch} puzzles",
            "the whole step",
            share,
            10.0,
            True,
            " %",
        )
    )
    rates = {key: puzzles[key.split("/")[1]] / statistics.median(values) for key, values in seconds.items()}
    save(
        "jigsaw_pipeline",
        config={
            **vars(arguments),
            "data": arguments.data or "crops of builtin",
            **{name: method.model_dump(mode="json") for name, method in methods.items()},
        },
        packages=("tensorflow", "keras", "numpy", "pillow", "torch"),
        seconds={**seconds, "step": [round(s, 6) for s in steps], "wait": [round(s, 6) for s in waits]},
        comparisons=comparisons,
        out=arguments.out,
        puzzles_per_epoch=puzzles,
        puzzles_per_second={name: round(rate, 1) for name, rate in rates.items()},
        training_puzzles_per_second=round(arguments.batch / statistics.median(steps), 1),
    )


if __name__ == "__main__":
    main()
