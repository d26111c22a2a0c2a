"""Synchrony on shifted noise, on random-dot stereograms and on real pairs, and how fast it is.

python benchmarks/synchrony.py shifts
python benchmarks/synchrony.py stereo RUN [RUN ...] [--pairs NAME=FOLDER:WIDTH:LOWEST:HIGHEST ...]
python benchmarks/synchrony.py speed RUN

``shifts``: shifts of white noise by -3 to 3 places are learned by k-means and by the autoencoder and read out, beside
raw rows and random filters. ``stereo``: the task of that name with the encoders of runs of synchrony/cpu, one for each
seed, on random dots and on pairs with known disparities, with a read-out that has seen rendered pairs only, and with
none. ``speed``: an epoch of synchrony k-means beside the same rule in NumPy, in batches and example by example, and the
time for the depth map of a pair of 741x500 pixels. Writes results/synchrony_PART.json.
"""

import argparse
import functools
import time

import numpy as np
from machine import WORK, Comparison, alternate, kept, ratio, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scipy")
COUNT = 20_000
"""Rows that shifts are learned from."""


def read_out(codes, labels, count):
    """Accuracy of a logistic regression on the rest, fitted to the first ``count`` rows."""
    from tfssl.evaluation.logistic import Rows, accuracy, fit

    rows = Rows(np.asarray(codes[:count], np.float32))
    classifier = fit(rows, labels[:count], labels.max() + 1, 1e4)
    return accuracy(classifier, rows.project(np.asarray(codes[count:], np.float32)), labels[count:])


def spectra(kernel):
    """Largest fraction of a filter's energy at one frequency, and that frequency, of each column."""
    power = np.abs(np.fft.rfft(kernel, axis=0)) ** 2
    power[1:-1] *= 2  # both signs of a frequency
    power /= power.sum(axis=0)
    return power.max(axis=0), power.argmax(axis=0)


def shifts(arguments):
    """Winners, read-outs of the shift, and spectra of filters, for each seed. Resumable."""
    files = [WORK / f"synchrony_shifts_{seed}.json" for seed in range(arguments.seeds)]
    rows = [kept(file, functools.partial(_shifts_of, seed)) for seed, file in enumerate(files)]
    # The least that the equations should reach on such data.
    wanted = {"sae_energy_at_one_frequency": 0.55, "sae_same_frequency": 0.85, "sae_codes": 0.97}
    for name, least in wanted.items():
        print(f"{name}: {min(row[name] for row in rows):.3f} (at least {least})")
    config = {"rows": COUNT, "size": 16, "kmeans_units": 40, "sae_units": 60, "seeds": arguments.seeds}
    save("synchrony_shifts", config=config, packages=PACKAGES, seconds={}, comparisons=[], rows=rows, out=arguments.out)


def _shifts_of(seed):
    import keras

    from tfssl.backbones.synchrony import build_autoencoder
    from tfssl.data.rendered import shifted_pairs
    from tfssl.methods.synchrony.loss import SumOfSquares
    from tfssl.methods.synchrony.network import build_kmeans

    count = COUNT
    x, y, shift = shifted_pairs(count + 4000, 16, range(-3, 4), seed=seed)
    labels, train = shift + 3, slice(0, count)
    keras.utils.set_random_seed(seed)

    kmeans = build_kmeans(16, 40)
    kmeans.compile(optimizer=None, jit_compile=False)
    kmeans.fit((x[train], y[train]), None, batch_size=100, epochs=15, verbose=0)
    products = np.asarray(kmeans.get_layer("product")([x, y]))
    winner = products.argmax(axis=1)
    majority = np.array([np.bincount(labels[train][winner[train] == k], minlength=7).argmax() for k in range(40)])

    auto = build_autoencoder(16, 60)
    layer = auto.get_layer("product")
    start = [np.asarray(kernel) for kernel in (layer.kernel_x, layer.kernel_y)]
    auto.compile(keras.optimizers.SGD(0.005, momentum=0.9), SumOfSquares(), jit_compile=False)
    both = np.hstack([x, y])
    losses = auto.fit((x[train], y[train]), both[train], batch_size=100, epochs=30, verbose=0).history["loss"]

    def codes(kernels):
        return 1 / (1 + np.exp(-(x @ kernels[0]) * (y @ kernels[1])))

    learned = [np.asarray(kernel) for kernel in (layer.kernel_x, layer.kernel_y)]
    (energy, peak), (_, other) = map(spectra, learned)
    return {
        "seed": seed,
        "kmeans_winner": float(np.mean(majority[winner[count:]] == labels[count:])),
        "kmeans_products": read_out(products, labels, count),
        "raw": read_out(both, labels, count),
        "sae_first_loss": losses[0],
        "sae_last_loss": losses[-1],
        "sae_energy_at_one_frequency": float(np.median(energy)),
        "random_energy_at_one_frequency": float(np.median(spectra(start[0])[0])),
        "sae_same_frequency": float(np.mean(peak == other)),
        "sae_codes": read_out(codes(learned), labels, count),
        "random_codes": read_out(codes(start), labels, count),
        "chance": 1 / 7,
    }


def stereo(arguments):
    """The task, on random dots and on real pairs, with both read-outs."""
    import tfssl

    sets = {"random dots": ("builtin", {})}
    for text in arguments.pairs:
        name, _, rest = text.partition("=")
        folder, width, low, high = rest.rsplit(":", 3)
        sets[name] = (folder, {"width": int(width), "lowest": int(low), "highest": int(high)})
    results, seconds = {}, {}
    for name, (data, options) in sets.items():
        begun = time.perf_counter()
        results[name] = {"options": options}
        for read_out in ("regression", "filters"):
            results[name][read_out] = []
            for number, run in enumerate(arguments.runs):
                sheets = None if arguments.sheets is None or number else f"{arguments.sheets}/{name}_{read_out}"
                out = None if sheets is None else sheets.replace(" ", "_")
                task = {"task": "stereo", "seeds": 1, "read_out": read_out, "out": out}
                results[name][read_out].append(slim(tfssl.evaluate(run, data, **task, **options)))
            values = [record["metrics"]["bad"]["value"] for record in results[name][read_out]]
            print(name, read_out, [f"{value:.4f}" for value in values], flush=True)
        seconds[name] = [time.perf_counter() - begun]
    save(
        "synchrony_stereo", config={"runs": len(arguments.runs)}, packages=PACKAGES, seconds=seconds,
        comparisons=[], results=results, out=arguments.out,
    )  # fmt: skip


def numpy_epoch(x, y, units, batch, eta, seed):
    """A function that makes one epoch of synchrony k-means in NumPy, in batches of ``batch``."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, x.shape[1], units)).astype(np.float32)
    u, v = u / np.linalg.norm(u, axis=0), v / np.linalg.norm(v, axis=0)

    def epoch():
        for first in range(0, len(x) - batch + 1, batch):
            a, b = x[first : first + batch], y[first : first + batch]
            of_x, of_y = a @ u, b @ v
            won = np.zeros_like(of_x)
            won[np.arange(batch), (of_x * of_y).argmax(axis=1)] = 1
            of_x, of_y, count = of_x * won, of_y * won, np.maximum(won.sum(axis=0), 1)
            u[...] += eta * (a.T @ of_y - u * np.square(of_y).sum(axis=0)) / count
            v[...] += eta * (b.T @ of_x - v * np.square(of_x).sum(axis=0)) / count

    return epoch


def single_epoch(x, y, units, eta, seed):
    """The same, example by example."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, units, x.shape[1])).astype(np.float32)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v /= np.linalg.norm(v, axis=1, keepdims=True)

    def epoch():
        for a, b in zip(x, y, strict=True):
            of_x, of_y = u @ a, v @ b
            k = (of_x * of_y).argmax()
            u[k], v[k] = u[k] + eta * (a - u[k] * of_y[k]) * of_y[k], v[k] + eta * (b - v[k] * of_x[k]) * of_x[k]

    return epoch


def speed(arguments):
    """An epoch of k-means, and a depth map."""
    import tensorflow as tf

    import tfssl
    from tfssl.data.rendered import shifted_pairs, stereogram_source
    from tfssl.evaluation.disparity import PairMaps, ReadOut, Views, disparity_maps, labeled_positions
    from tfssl.methods.synchrony.network import build_kmeans

    rng = np.random.default_rng(arguments.seed)
    count, size, units, batch, eta = 50_000, 100, 256, 500, 0.005  # 0.05 diverges in so many components
    x, y, _ = shifted_pairs(count, size, range(-3, 4), seed=arguments.seed)
    models = {"tfssl": 1, "tfssl, 10 steps a call": 10}
    for name, steps in models.items():
        models[name] = build_kmeans(size, units, eta=eta)
        models[name].compile(optimizer=None, jit_compile=True, steps_per_execution=steps)
    data = tf.data.Dataset.from_tensors(((x.reshape(-1, batch, size), y.reshape(-1, batch, size)),)).unbatch()
    data = data.map(lambda pair: (pair,)).cache().prefetch(2)
    candidates = {
        **{name: functools.partial(model.fit, data, verbose=0) for name, model in models.items()},
        "numpy": numpy_epoch(x, y, units, batch, eta, arguments.seed),
        "example by example": single_epoch(x, y, units, eta, arguments.seed),
    }
    seconds = alternate(candidates, arguments.repeats)
    encoder = tfssl.load_encoder(arguments.runs[0])
    maps, disparities = PairMaps(encoder), (-4, 4)
    source = stereogram_source("builtin", count=40, seed=3)
    tap = list(encoder.taps)[-1]
    codes, residuals = labeled_positions(maps, source, 4000, 4, rng)
    read_outs = {tap: ReadOut.fit(codes[tap], residuals, 4)}
    views = Views.of(stereogram_source("builtin", count=1, size=(500, 741), seed=4).example(0))
    processor = []

    def depth_map():
        begun = time.process_time()
        disparity_maps(maps, views, read_outs, disparities)
        processor.append(time.process_time() - begun)

    seconds |= alternate({"depth map": depth_map}, arguments.repeats, warmup=1)
    seconds["depth map, processor"] = processor[1:]  # what it takes alone on one core: others may use the machine too
    depth, alone = (float(np.median(seconds[name])) for name in ("depth map", "depth map, processor"))
    comparisons = [
        *(
            Comparison(f"An epoch of synchrony k-means{name[5:]}", against, ratio(seconds, other, name), least)
            for name in models
            for other, against, least in (
                ("numpy", "the same rule in NumPy", 1.0),
                ("example by example", "the same, example by example, in NumPy", 3.0),
            )
        ),
        Comparison("Depth map of 741x500 pixels, 9 disparities", "a limit", depth, 5.0, at_most=True, unit=" s"),
        Comparison(
            "Depth map of 741x500 pixels, 9 disparities, processor time", "a limit", alone, 5.0, at_most=True, unit=" s"
        ),
    ]
    config = {"pairs": count, "components": size, "units": units, "batch_size": batch, "seed": arguments.seed}
    save(
        "synchrony_speed", config=config, packages=PACKAGES, seconds=seconds, comparisons=comparisons,
        out=arguments.out,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("shifts", "stereo", "speed"))
    parser.add_argument("runs", nargs="*", help="of synchrony/cpu, of other seeds, for stereo; one for speed")
    parser.add_argument("--pairs", nargs="*", default=[], help="NAME=FOLDER:WIDTH:LOWEST:HIGHEST")
    parser.add_argument("--sheets", default=None, help="folder for the pictures of stereo")
    parser.add_argument("--seed", type=int, default=0, help="of speed")
    parser.add_argument("--seeds", type=int, default=3, help="of shifts")
    parser.add_argument("--repeats", type=int, default=3, help="of timings")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()
    if arguments.part != "shifts" and not arguments.runs:
        parser.error(f"{arguments.part} needs a RUN")
    {"shifts": shifts, "stereo": stereo, "speed": speed}[arguments.part](arguments)


if __name__ == "__main__":
    main()
