"""How sparse rectified units become by themselves: zeros in each layer of supervised networks, epoch after epoch.

    python benchmarks/sparsity.py CLASSES [--picture sparsity.png]

CLASSES holds train/<class>/ and test/<class>/, such as CIFAR-10. Networks of three layers of rectified units,
1000-2000-3000 and 2000-2000-2000, learn the classes with dropout of hidden units, with corrupted images, with both and
with neither. After each epoch the fraction of activations that are 0 is measured over all test images, without dropout
and without corruption, and the fraction of units that are 0 for every one of them. Writes results/sparsity.json and
draws it. Networks that are done are kept in work/, the rest is trained when the script is started again.
"""

import argparse
from pathlib import Path

from machine import WORK, kept, save

NETWORKS = {"N1": (1000, 2000, 3000), "N2": (2000, 2000, 2000)}
VARIANTS = {
    "neither": (0.0, 0.0),
    "dropout": (0.5, 0.0),
    "corruption": (0.0, 0.3),
    "dropout and corruption": (0.5, 0.3),
}
"""Fractions of hidden units that are dropped, and of numbers of the images that are set to the mean, in training."""
SIZE = 32
TRAINING = {"batch_size": 100, "learning_rate": 0.01, "momentum": 0.9}


def build_network(units, classes, dropout, corruption):
    """``images (B, 3072) -> logits``; the layers ``relu1`` ... ``relu3`` are what is measured."""
    import keras

    from tfssl.layers.corruption import Corrupt

    images = x = keras.Input((SIZE * SIZE * 3,), name="images")
    if corruption:
        x, _ = Corrupt("masking", corruption, exact=False, name="corrupt")(x)
    for number, count in enumerate(units, start=1):
        x = keras.layers.Dense(count, kernel_initializer="he_normal", name=f"dense{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
    return keras.Model(images, keras.layers.Dense(classes, name="classes")(x))


def measured(model, layers, images, labels, batch_size=500):
    """Of each layer the fraction of zero activations and of units that are 0 throughout; and the accuracy."""
    import keras
    import numpy as np

    names = [f"relu{number}" for number in range(1, layers + 1)]
    taps = keras.Model(model.input, [*(model.get_layer(name).output for name in names), model.output])
    active, right = [0] * layers, 0
    for first in range(0, len(images), batch_size):
        *codes, logits = map(np.asarray, taps(images[first : first + batch_size], training=False))
        active = [count + np.count_nonzero(code, axis=0) for count, code in zip(active, codes, strict=True)]
        right += np.count_nonzero(logits.argmax(axis=1) == labels[first : first + batch_size])
    zeros = [float(1 - np.mean(count) / len(images)) for count in active]
    return {"zeros": zeros, "dead": [float(np.mean(count == 0)) for count in active], "accuracy": right / len(images)}


def train(data, units, variant, epochs, seed):
    """Train one network; a row for the start and for each epoch."""
    import keras

    (images, labels), held_out = data
    keras.utils.set_random_seed(seed)
    model = build_network(units, int(labels.max()) + 1, *VARIANTS[variant])
    model.compile(
        keras.optimizers.SGD(TRAINING["learning_rate"], momentum=TRAINING["momentum"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    rows = [{"epoch": 0, **measured(model, len(units), *held_out)}]

    def measure(epoch, logs):
        row = {"epoch": epoch + 1, **measured(model, len(units), *held_out)}
        rows.append(row | {"training_accuracy": float(logs["accuracy"])})
        print(variant, units, seed, rows[-1], flush=True)

    watch = keras.callbacks.LambdaCallback(on_epoch_end=measure)
    model.fit(images, labels, batch_size=TRAINING["batch_size"], epochs=epochs, callbacks=[watch], verbose=0)
    return rows


def load(root, limit):
    """Images as rows, each number standardized over the training images, and labels, of both halves."""
    import numpy as np

    from tfssl.evaluation.features import labeled_sets

    sets = labeled_sets(root / "train", root / "test", image_size=SIZE, limit=limit)
    halves = [[np.concatenate(part) for part in zip(*b.as_numpy_iterator(), strict=True)] for b in sets.batches]
    rows = [images.reshape(len(images), -1).astype(np.float32) for images, _ in halves]
    mean, deviation = rows[0].mean(axis=0), rows[0].std(axis=0)
    return [((x - mean) / deviation, labels) for x, (_, labels) in zip(rows, halves, strict=True)]


def draw(results, path):
    """One plot a network and layer, a curve a variant: the mean of its runs."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    from tfssl.visualization.line_plot import draw_lines

    plots = []
    for name, units in NETWORKS.items():
        row = []
        for layer, count in enumerate(units):
            curves = {}
            for variant in VARIANTS:
                runs = [run["rows"] for run in results if (run["network"], run["variant"]) == (name, variant)]
                if runs:
                    values = np.mean([[100 * epoch["zeros"][layer] for epoch in rows] for rows in runs], axis=0)
                    curves[variant] = ([epoch["epoch"] for epoch in runs[0]], values.tolist())
            figure = draw_lines(
                curves, x_label="epoch", y_label=f"zeros in layer {layer + 1} of {name}, {count} units (%)",
                y_range=(40.0, 100.0), size=(400, 340),
            )  # fmt: skip
            file = BytesIO()
            figure.savefig(file, format="png")
            row.append(Image.open(file).convert("RGB"))
        plots.append(row)
    width, height = plots[0][0].size
    sheet = Image.new("RGB", (width * len(plots[0]), height * len(plots)), "white")
    for y, row in enumerate(plots):
        for x, plot in enumerate(row):
            sheet.paste(plot, (x * width, y * height))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--limit", type=int, default=None, help="use at most so many images of each half")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--work", type=Path, default=WORK / "sparsity", help="folder of what is done")
    parser.add_argument("--picture", help="PNG to draw the curves into")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    data, results = None, []
    for seed in arguments.seeds:
        for name, units in NETWORKS.items():
            for variant in VARIANTS:

                def run(units=units, variant=variant, seed=seed):
                    nonlocal data
                    data = data or load(arguments.data, arguments.limit)
                    return {
                        "images": [len(labels) for _, labels in data],
                        "rows": train(data, units, variant, arguments.epochs, seed),
                    }

                file = f"{name}-{variant.replace(' ', '_')}-{arguments.limit}-{arguments.epochs}-{seed}.json"
                found = kept(arguments.work / file, run)
                results.append({"network": name, "variant": variant, "seed": seed, **found})
    if arguments.picture:
        draw(results, arguments.picture)
    save(
        "sparsity",
        config={
            "networks": NETWORKS, "variants": VARIANTS, "image_size": SIZE, **TRAINING,
            "epochs": arguments.epochs, "seeds": arguments.seeds, "limit": arguments.limit,
        },
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        runs=results,
    )  # fmt: skip


if __name__ == "__main__":
    main()
