"""Every colorizer on the same kept-out photographs: accuracy, vividness, size, speed and minutes of training.

python benchmarks/colorizers.py --heldout WORK/heldout [--limit 200] NAME=MODEL ...

MODEL is a run directory or an export of colorization or hypercolumn_colorization; NAME=MODEL:EXTRA=VALUE changes a
setting of its decoding (hue_chroma=runs/h:fading=false). WORK is that of tools/build_colorizer.py. Goes on where it
was stopped, a file for each model in results/colorizers/.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from machine import RESULTS, save, slim

SETS = ("varied", "nature", "imagenet")
SPEED_SIZE = 256, 256  # pixels that the network sees for the milliseconds an image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--heldout", type=Path, required=True, help=f"a folder with {', '.join(SETS)}")
    parser.add_argument("--limit", type=int, help="photographs of each set, evenly spread")
    arguments = parser.parse_args()
    for text in arguments.models:
        name, _, rest = text.partition("=")
        model, *changes = rest.split(":")
        if (RESULTS / "colorizers" / f"{name}.json").exists():
            print(f"{name}: already there")
        else:
            measure(name, model, dict(change.split("=", 1) for change in changes), arguments)


def measure(name, source, changes, arguments):
    from tfssl.api import load

    method, model = load(source)
    method = type(method).model_validate({**method.model_dump(), **changes})
    found = {}
    for one in SETS:
        # On every second one of `varied`: the other half chose the decoding of the shipped model.
        photographs = sorted(str(path) for path in (arguments.heldout / one).rglob("*.jpg"))
        photographs = photographs[1::2] if one == "varied" else photographs
        count = min(len(photographs), arguments.limit or len(photographs))
        spread = [photographs[i * len(photographs) // count] for i in range(count)]
        record = method.evaluate(model, spread)
        found[one] = slim(record)
        print(name, one, {k: round(v, 4) for k, v in record.flat().items() if k.endswith("gain")}, flush=True)
    seconds = {"image": _seconds(method, model)}
    save(
        name,
        config={"method": method.name(), **method.model_dump(mode="json"), "limit": arguments.limit},
        packages=("tensorflow", "keras", "numpy"),
        seconds=seconds,
        comparisons=[],
        out=RESULTS / "colorizers",
        found=found,
        parameters=model.count_params(),
        milliseconds_an_image=round(1000 * statistics.median(seconds["image"]), 1),
        training=_training(source),
    )


def _seconds(method, model, rounds=15):
    """Seconds of the compiled network and its decoding for one image, after three that are dropped."""
    from tfssl.color.predict import compiled_predictor

    predict, times = compiled_predictor(method, method.served(model)), []
    lightness = np.random.default_rng(0).uniform(0, 100, (1, *SPEED_SIZE, 1)).astype(np.float32)
    for _ in range(rounds + 3):
        start = time.perf_counter()
        predict(lightness)
        times.append(time.perf_counter() - start)
    return times[3:]


def _training(source):
    """What is on record of a run's or an export's training: steps, seconds, loss."""
    for file, key in ((Path(source) / "metrics.json", None), (Path(source) / "MANIFEST.json", "training")):
        if file.is_file():
            record = json.loads(file.read_text(encoding="utf-8"))
            return record[key] if key else record
    return {}


if __name__ == "__main__":
    main()
