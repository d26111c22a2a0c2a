"""What noise does to the filters of a dense denoising autoencoder: patches.yaml with and without it, several seeds.

    python benchmarks/filters.py --train PHOTOS --data HELD_OUT [--picture filters.png]

Writes results/filters.json: shape of the first layer's filters (tfssl/evaluation/filter_shape.py) and error of
denoising on the held-out photographs, for each seed with noise and without, and for the untrained network. Resumable.
"""

import argparse
from math import isfinite
from pathlib import Path

from machine import save

SHAPE = ("filter_edges", "filter_selectivity", "filter_spread")
VARIANTS = {"noise": (), "no noise": ("corruption=none",)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/filters"), help="folder of the run directories")
    parser.add_argument("--picture", help="PNG to draw the filters of the first seed into, with noise and without")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    rows, drawn = [], []
    for variant, overrides in VARIANTS.items():
        for seed in arguments.seeds:
            run = arguments.runs / f"{variant.replace(' ', '_')}-{seed}"
            config = load_config(
                "denoising_autoencoder/patches", [f"data={arguments.train}", f"seed={seed}", *overrides]
            )
            fit(config, run)
            method, model = load_run(run)
            numbers = method.evaluate(model, arguments.data).flat()
            found = {k: v for k, v in numbers.items() if isinstance(v, float) and isfinite(v)}
            rows.append({"variant": variant, "seed": seed, **found})
            print(rows[-1], flush=True)
            if seed == arguments.seeds[0]:
                drawn.append((method, model))
    untrained = untrained_shapes(drawn[0][0], arguments.seeds)
    if arguments.picture:
        draw(drawn, arguments.picture)
    save(
        "filters",
        config=config.to_dict() | {"data": "training photographs", "corruption": list(VARIANTS)},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        rows=[*rows, *untrained],
    )


def untrained_shapes(method, seeds):
    """Shape of the filters before any training."""
    import keras

    from tfssl.evaluation.filter_shape import filter_shape
    from tfssl.methods.denoising_autoencoder.evaluate import first_filters

    rows = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        rows.append({"variant": "untrained", "seed": seed, **filter_shape(first_filters(method, method.model()))})
    return rows


def draw(drawn, path):
    """The first 100 filters with noise, beside those without."""
    import tempfile

    from tfssl.methods.denoising_autoencoder.evaluate import first_filters
    from tfssl.visualization.filters import filter_sheet
    from tfssl.visualization.sheet import picture_sheet

    with tempfile.TemporaryDirectory() as folder:
        sheets = [filter_sheet(first_filters(*pair)[:100], Path(folder) / "filters.png") for pair in drawn]
    picture_sheet([sheets], path, titles=["with noise", "without"], cell=400)


if __name__ == "__main__":
    main()
