"""What an evaluation takes: minutes of probe and neighbors on one encoder, and memory against the number of images.

python benchmarks/evaluation_cost.py --encoder runs/jigsaw --labeled caltech101_96 --many cifar10 --few cifar10_tenth

Writes results/evaluation_cost.json. ``--labeled``, ``--many`` and ``--few`` hold train/<class>/ and test/<class>/;
``--few`` has a tenth of the images of ``--many``. Each measurement has a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from machine import save

SIZE = 32
"""Pixels of the images whose number is varied: their own."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="as tfssl evaluate takes it")
    parser.add_argument("--labeled", required=True, type=Path)
    parser.add_argument("--many", required=True, type=Path)
    parser.add_argument("--few", required=True, type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(JOBS[arguments.one](arguments)))
        return
    found = {name: _in_a_process(name) for name in JOBS}
    growth = found["features_many"]["anonymous_megabytes"] - found["features_few"]["anonymous_megabytes"]
    for name, measured in found.items():
        print(name, measured)
    print(f"growth {growth:.0f} MB")
    save(
        "evaluation_cost",
        config={"encoder": "jigsaw/cpu", "image_size": 96, "image_size_of_many": SIZE},
        packages=("tensorflow", "keras", "numpy"),
        seconds={name: [measured["seconds"]] for name, measured in found.items()},
        comparisons=[],
        found=found,
        growth_megabytes=round(growth, 1),
    )


def _in_a_process(name):
    command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def probe(arguments):
    """Linear probes of all taps, of the encoder, three untrained networks and the pixels."""
    from tfssl.api import evaluate

    start = time.perf_counter()
    evaluate(arguments.encoder, arguments.labeled, task="linear_probe")
    return _cost(start)


def neighbors(arguments):
    """Nearest neighbors by all taps, of the same."""
    from tfssl.api import evaluate

    start = time.perf_counter()
    evaluate(arguments.encoder, arguments.labeled, task="knn")
    return _cost(start)


def features_many(arguments):
    """Features of all taps of the large set, streamed to files."""
    return _features(arguments.encoder, arguments.many)


def features_few(arguments):
    """Those of a tenth of it."""
    return _features(arguments.encoder, arguments.few)


def _features(encoder, data):
    from tfssl.api import load_encoder
    from tfssl.evaluation.features import labeled_sets

    start = time.perf_counter()
    sets = labeled_sets(data, image_size=SIZE)
    with sets.features(load_encoder(encoder)) as (train, test):
        numbers = sum(rows.size for part in (train, test) for rows in part.rows.values())
        return {
            **_cost(start),
            "images": len(train.labels) + len(test.labels),
            "feature_megabytes": numbers * 4 / 1e6,
        }


def _cost(start):
    """Seconds, and memory now held that is not a file's, which the system could take back at any time."""
    import resource

    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "anonymous_megabytes": int(status["RssAnon"].split()[0]) * 1024 / 1e6,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


JOBS = {"probe": probe, "neighbors": neighbors, "features_few": features_few, "features_many": features_many}


if __name__ == "__main__":
    main()
