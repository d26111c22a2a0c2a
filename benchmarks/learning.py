"""What a configuration learns: finished runs of it, measured on photographs that none of them has seen.

tfssl train colorization/cpu --data TRAIN --out runs/seed0 seed=0        (and seed=1, 2, ... as time allows)
python benchmarks/learning.py runs/seed0 runs/seed1 --data HELD_OUT

Writes results/learning.json: configuration, seeds, training figures and metrics of each run beside the gray picture.
"""

import argparse
import json
from pathlib import Path

from machine import save, slim


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run directories of one configuration")
    parser.add_argument("--data", required=True, help="held-out photographs")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    from tfssl.config import load_config
    from tfssl.training.runs import load_run

    results = []
    for run in arguments.runs:
        config = load_config(run / "config.yaml")
        method, model = load_run(run)
        metrics = slim(method.evaluate(model, arguments.data))
        training = json.loads((run / "metrics.json").read_text())
        results.append({"seed": config.settings.seed, "training": training, "metrics": metrics})
    save(
        "learning",
        config=config.to_dict() | {"data": "training photographs"},
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        runs=results,
    )


if __name__ == "__main__":
    main()
