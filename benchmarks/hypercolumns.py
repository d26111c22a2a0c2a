"""Forms and decoders of hypercolumn_colorization: finished runs, measured on photographs that none of them has seen.

tfssl train hypercolumn_colorization/cpu --data TRAIN --out runs/hue-0 seed=0
tfssl train ... --out runs/lab-0 seed=0 target=lab_histogram decoder=expectation
tfssl train ... --out runs/joint-0 seed=0 target=lab_histogram decoder=expectation joint=true
tfssl train ... --out runs/ab-0 seed=0 target=lab_regression decoder=null
python benchmarks/hypercolumns.py runs/* --data varied=FOLDER --data nature=FOLDER

Writes results/hypercolumns.json: each form and decoder beside the gray image, on each set of photographs; runs that
differ in their seed alone are one row, the mean and deviation of them.
"""

import argparse
import json
import statistics
from pathlib import Path

from machine import save, slim

DECODINGS = {
    "hue_chroma": ({}, {"fading": 0.0}, {"decoder": "expectation"}, {"decoder": "mode"}),
    "lab_histogram": ({},),
    "lab_regression": ({},),
}
"""Options of ``Method.evaluate`` for each target, besides the run's own fields."""

KEPT = ("rmse_ab", "psnr", "auc_raw", "auc_macro", "colorfulness_ratio", "images")
"""Metrics that go into the results."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run directories")
    parser.add_argument("--data", required=True, action="append", metavar="NAME=FOLDER", help="held-out photographs")
    parser.add_argument("--limit", type=int, default=None, help="photographs of each set, evenly spread")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.training.runs import load_run

    sets = dict(text.split("=", 1) for text in arguments.data)
    found = {}
    for run in arguments.runs:
        config = load_config(run / "config.yaml")
        method, model = load_run(run)
        training = json.loads((run / "metrics.json").read_text()) | {"seed": config.settings.seed}
        for options in DECODINGS[method.target]:
            own = {"decoder": method.decoder, "fading": method.fading} if method.target == "hue_chroma" else {}
            row = {"target": method.target, "joint": method.joint, "decoding": own | options}
            measured = {
                name: evaluated(method, model, folder, arguments.limit, options) for name, folder in sets.items()
            }
            print(run, row["decoding"], {k: v["rmse_ab"]["value"] for k, v in measured.items()}, flush=True)
            found.setdefault(json.dumps(row), []).append((training, measured))
    results = [
        json.loads(row)
        | {"training": [training for training, _ in runs]}
        | {"metrics": {name: over_seeds([measured[name] for _, measured in runs]) for name in sets}}
        for row, runs in found.items()
    ]
    varied = dict.fromkeys(("target", "joint", "decoder", "seed"), "of each run")
    save(
        "hypercolumns",
        config=config.to_dict() | {"data": "training photographs"} | varied,
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        runs=results,
    )


def evaluated(method, model, folder, limit, options):
    """The kept metrics of one run on one set; ``limit`` images of it, evenly spread."""
    files = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    count = min(len(files), limit or len(files))
    spread = [files[i * len(files) // count] for i in range(count)]
    metrics = slim(method.evaluate(model, spread, **options))["metrics"]
    return {name: metrics[name] for name in KEPT}


def over_seeds(runs):
    """Metrics of several runs as one: mean, deviation, their number."""
    found = {}
    for name, first in runs[0].items():
        values = [run[name]["value"] for run in runs]
        std = statistics.stdev(values) if len(values) > 1 else None
        found[name] = first | {"value": statistics.mean(values), "std": std, "n": len(values)}
    return found


if __name__ == "__main__":
    main()
