"""What `tfssl discover` finds with a trained network, beside the same network untrained, pixels and random sets.

python benchmarks/discovery.py runs/pretraining/context_prediction-0 --data caltech101_96/test [--picture FILE]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from machine import save


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a finished run of context_prediction")
    parser.add_argument("--data", required=True, help="labeled folder; labels only measure")
    parser.add_argument("--constellations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", help="PNG to keep the purity-coverage curve in")
    arguments = parser.parse_args()

    from tfssl.api import load
    from tfssl.discovery.discover import discover
    from tfssl.discovery.mining import Mining

    method, model = load(arguments.run)
    mining = Mining(constellations=arguments.constellations, seed=arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        found = discover(method, model, arguments.data, folder, mining=mining, baselines=["untrained", "pixels"])
        if arguments.picture:
            shutil.copy(Path(folder) / "purity_coverage.png", arguments.picture)
    found.pop("skipped", None)
    config = {"constellations": arguments.constellations, "seed": arguments.seed, "run": method.model_dump(mode="json")}
    save(
        "discovery",
        config=config,
        packages=("tensorflow", "keras", "numpy"),
        seconds={},
        comparisons=[],
        found=found,
    )


if __name__ == "__main__":
    main()
