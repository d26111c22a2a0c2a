"""Forms and decoders of hypercolumn_colorization: finished runs, measured on photographs that none of them has seen.

tfssl train hypercolumn_colorization/cpu --data TRAIN --out runs/hue
tfssl train hypercolumn_colorization/cpu --data TRAIN --out runs/lab target=lab_histogram decoder=expectation
tfssl train hypercolumn_colorization/cpu --data TRAIN --out runs/ab target=lab_regression decoder=null
python benchmarks/hypercolumns.py runs/hue runs/lab runs/ab --data varied=FOLDER --data nature=FOLDER

Writes results/hypercolumns.json: each form and decoder beside the gray image, on each set of photographs.
"""

import argparse
import json
from pathlib import Path

from machine import save, slim

DECODINGS = {
    "hue_chroma": ({}, {"fading": 0.0}, {"decoder": "expectation"}, {"decoder": "mode"}),
    "lab_histogram": ({},),
    "lab_regression": ({},),
}
"""Options of ``Method.evaluate`` for each target, besides the run's own fields."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run directories, one of each target")
    parser.add_argument("--data", required=True, action="append", metavar="NAME=FOLDER", help="held-out photographs")
    parser.add_argument("--limit", type=int, default=None, help="measure the first so many of each set")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.training.runs import load_run

    sets = dict(text.split("=", 1) for text in arguments.data)
    results = []
    for run in arguments.runs:
        config = load_config(run / "config.yaml")
        method, model = load_run(run)
        training = json.loads((run / "metrics.json").read_text())
        for options in DECODINGS[method.target]:
            own = {"decoder": method.decoder, "fading": method.fading} if method.target == "hue_chroma" else {}
            row = {"target": method.target, "decoding": own | options, "training": training}
            row["metrics"] = {
                name: slim(method.evaluate(model, folder, limit=arguments.limit, **options))["metrics"]
                for name, folder in sets.items()
            }
            results.append(row)
            found = {name: metrics["rmse_ab"]["value"] for name, metrics in row["metrics"].items()}
            print(row["target"], row["decoding"], found, flush=True)
    save(
        "hypercolumns",
        config=config.to_dict() | {"data": "training photographs", "target": "of each run", "decoder": "of each run"},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        runs=results,
    )


if __name__ == "__main__":
    main()
