"""From a folder of JPEGs to batches of patches and pairs, and what it saves to embed each patch once.

1. The pipeline against a PyTorch DataLoader with two workers that does the same for each picture (decode, random area,
   jittered grids, down-up sampling, color dropping, RMS, all pairs of neighbors), and against the naive dataset of
   single pairs. An epoch over the folder is timed, after one that warms up workers, graphs and the file cache; once
   with the sizes of configs/context_prediction/cpu.yaml, once with the paper's. Ours with as many worker processes (a
   ``ParallelSource``), and with the threads of one process.
2. A training step of cpu.yaml's network, in which each patch goes through the tower once, against the two-tower
   network of the paper's figure, which embeds both patches of each pair.
3. What share of a step training waits for data.

    pip install --editable .[bench]
    python benchmarks/context_prediction.py [--data FOLDER]
"""

import argparse
import statistics
import tempfile
import time

import numpy as np
from input_pipeline import sides_of_table, write_photographs
from machine import Comparison, alternate, ratio, save

_WARMUP = 3  # steps that are not counted
_SIDES = {"cpu": 128, "paper": 300}  # of the square JPEGs that are made; the built-in photographs have not more
_COUNTS = {"cpu": 1, "paper": 8}  # so many times fewer of the paper's, which take longer


def check_equal_work(ours, theirs):
    """Both sides must give patches of the same shape and RMS, one channel kept, and about as many pairs."""
    (inputs, labels), (patches, pairs, their_labels) = ours, theirs
    a, b = inputs["patches"].numpy(), patches.numpy()
    if (a.shape, a.dtype) != (b.shape, b.dtype) or inputs["pairs"].shape != tuple(pairs.shape):
        raise AssertionError(f"{a.shape} {a.dtype} here, {b.shape} {b.dtype} there")
    for x in (a, b):
        np.testing.assert_allclose(np.sqrt(np.mean(x**2, axis=(2, 3, 4))), 50, atol=1e-2)
        deviations = np.sort(x.std(axis=(2, 3)), axis=-1)
        if not np.median(deviations[..., 1]) < 0.2 * np.median(deviations[..., 2]):
            raise AssertionError("more than one channel is kept")
    counts = [int((labels.numpy() >= 0).sum()), int((their_labels >= 0).sum())]
    if not 0.8 < counts[0] / counts[1] < 1.25:
        raise AssertionError(f"{counts[0]} pairs here, {counts[1]} there")


def measure_pipelines(method, folder, arguments):
    """Seconds of each epoch and pairs in one, for our pipeline and both DataLoaders."""
    from torch_patches import PairDataset, PictureDataset, loader

    from tfssl.data import ParallelSource

    fields = method.model_dump()
    processes, threads = (
        method.dataset(source, batch_size=arguments.batch, seed=arguments.seed)
        for source in (ParallelSource(folder, arguments.workers), folder)
    )
    theirs, naive = (
        loader(dataset(folder, fields), batch_size=arguments.batch, workers=arguments.workers)
        for dataset in (PictureDataset, PairDataset)
    )
    check_equal_work(next(iter(processes)), next(iter(theirs)))
    pairs = {}

    def epoch(name, batches):
        pairs[name] = sum(int(np.sum(np.asarray(batch[-1]) >= 0)) for batch in batches)

    functions = {"processes": processes, "threads": threads, "torch": theirs, "torch_pairs": naive}
    seconds = alternate(
        {name: lambda name=name, data=data: epoch(name, data) for name, data in functions.items()}, arguments.repeats
    )
    return seconds, pairs


def two_towers(model):
    """The same network with the same layers on pairs of patches, both of them embedded for each pair."""
    import keras

    from tfssl.methods.context_prediction.loss import NeighborCrossEntropy

    tower, side = model.get_layer("tower"), model.input["patches"].shape[2]
    patches = [keras.Input((side, side, 3)) for _ in range(2)]
    both = keras.ops.concatenate([keras.layers.Flatten()(tower(p)["fc6"]) for p in patches], axis=-1)
    fc7 = keras.layers.Dense(model.get_layer("fc7_dense").units)
    x = keras.ops.reshape(fc7(both), (1, -1, fc7.units))
    for name in ("fc7_bn", "fc7", "fc8", "fc9"):
        x = model.get_layer(name)(x)
    fc7.set_weights(model.get_layer("fc7_dense").get_weights())
    network = keras.Model(patches, x)
    network.compile(keras.optimizers.AdamW(1e-3), NeighborCrossEntropy("mean"), jit_compile=False)
    return network


def measure_steps(method, folder, arguments):
    """Seconds of steps on the same pairs: each patch embedded once, and both patches of each pair; pairs in a step."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(arguments.seed)
    model = method.model(keras.optimizers.AdamW(1e-3))
    inputs, labels = next(iter(method.dataset(folder, batch_size=arguments.batch, seed=arguments.seed)))
    valid = labels.numpy() >= 0
    number = np.nonzero(valid)[0]
    pairs = inputs["pairs"].numpy()[valid]
    first, second = (tf.constant(inputs["patches"].numpy()[number, pairs[:, i]]) for i in (0, 1))
    naive, answers = two_towers(model), labels.numpy()[valid]
    once = np.asarray(model(inputs, training=False))[valid]
    np.testing.assert_allclose(np.asarray(naive([first, second], training=False))[0], once, atol=1e-3)
    # The naive step has a batch of pairs; its output is one row of them.
    step = tf.function(lambda: _step(naive, [first, second], answers[None]))
    functions = {"once": lambda: model.train_on_batch(inputs, labels), "two_towers": lambda: float(step())}
    return alternate(functions, arguments.step_repeats), len(pairs)


def _step(network, inputs, labels):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = network.loss(labels, network(inputs, training=True))
    variables = network.trainable_variables
    network.optimizer.apply(tape.gradient(loss, variables), variables)
    return loss


def measure_waiting(method, folder, arguments):
    """Seconds of training steps, and the seconds of them that training waits for data."""
    import keras

    from tfssl.training.callbacks import measure_wait

    keras.utils.set_random_seed(arguments.seed)
    model = method.model(keras.optimizers.AdamW(1e-3))
    count = arguments.steps + _WARMUP
    batches, clock = measure_wait(
        method.dataset(folder, batch_size=arguments.batch, seed=arguments.seed, start=0, count=count)
    )
    steps, waits, iterator = [], [], iter(batches)
    for number in range(count):
        waited, start = clock.seconds, time.perf_counter()
        clock.asking()
        inputs, labels = next(iterator)
        clock.arrived()
        model.train_on_batch(inputs, labels)
        if number >= _WARMUP:
            steps.append(round(time.perf_counter() - start, 6))
            waits.append(round(clock.seconds - waited, 6))
    return steps, waits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=None, help="folder of .jpg files; default: crops of the built-in ones")
    parser.add_argument("--count", type=int, default=512, help="JPEGs that are made where --data is not given")
    parser.add_argument("--batch", type=int, default=16, help="pictures")
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader, and of ours")
    parser.add_argument("--threads", type=int, default=2, help="of TensorFlow's operators")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each pipeline")
    parser.add_argument("--step-repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40, help="training steps in which waiting is measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    import tensorflow as tf

    from tfssl.config import load_config
    from tfssl.methods import ContextPrediction

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    methods = {"cpu": load_config("context_prediction/cpu").method, "paper": ContextPrediction()}
    seconds, pairs = {}, {}
    for name, method in methods.items():
        with tempfile.TemporaryDirectory() as made:
            if arguments.data is None:
                write_photographs(made, arguments.count // _COUNTS[name], _SIDES[name], arguments.seed)
            folder = arguments.data or made
            found, counted = measure_pipelines(method, folder, arguments)
            seconds |= {f"{side}/{name}": values for side, values in found.items()}
            pairs |= {f"{side}/{name}": count for side, count in counted.items()}
            if name == "cpu":
                of_steps, pairs_in_step = measure_steps(method, folder, arguments)
                steps, waits = measure_waiting(method, folder, arguments)
    rates = {key: pairs[key] / statistics.median(values) for key, values in seconds.items()}
    save(
        "context_prediction_pipeline",
        config={
            **vars(arguments),
            "data": arguments.data or "crops of builtin",
            **{name: method.model_dump(mode="json") for name, method in methods.items()},
        },
        packages=("tensorflow", "keras", "numpy", "pillow", "torch"),
        seconds={**seconds, **of_steps, "step": steps, "wait": waits},
        comparisons=comparisons(methods, rates, of_steps, 100 * sum(waits) / sum(steps), arguments),
        out=arguments.out,
        pairs_per_epoch=pairs,
        pairs_per_second={name: round(rate, 1) for name, rate in rates.items()},
        pairs_per_step=pairs_in_step,
        training_pairs_per_second=round(pairs_in_step / statistics.median(of_steps["once"]), 1),
    )


def comparisons(methods, rates, of_steps, waiting, arguments):
    """The rows of the speed table; rates are pairs a second."""
    rows = []
    for name, method in methods.items():
        batches = f"batches of {arguments.batch} pictures"
        loader = f"PyTorch DataLoader, {arguments.workers} workers, Pillow and NumPy"
        for side, words, required in sides_of_table(arguments.workers):
            what = f"Pairs of neighbors, JPEGs to patches of {method.patch_size} px, {batches}, {words}"
            rows.append(Comparison(what, loader, rates[f"{side}/{name}"] / rates[f"torch/{name}"], required))
        naive = f"{loader}, a dataset of single pairs"
        factor = rates[f"threads/{name}"] / rates[f"torch_pairs/{name}"]
        rows.append(Comparison(what, naive, factor, 3.0))
    once = ratio(of_steps, "two_towers", "once")
    rows.append(Comparison("Training step, context_prediction/cpu, each patch embedded once", "two towers", once, 3.0))
    what = f"Waiting for data, context_prediction/cpu, steps of {arguments.batch} pictures"
    rows.append(Comparison(what, "the whole step", waiting, 10.0, True, " %"))
    return rows


if __name__ == "__main__":
    main()
