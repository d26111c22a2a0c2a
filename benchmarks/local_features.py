"""What the local features of before 2012 are worth in a linear probe, beside raw pixels: rendered shapes, photographs.

    python benchmarks/local_features.py --labeled caltech101_96 [--only sift-bow] [--seeds 0] [--work FOLDER]

Shapes: four classes of tfssl.data.labeled_shapes, 200 training and 200 test images; each seed draws another set.
Photographs: the linear probe of pretraining.py, at 96 pixels, so that the rows stand in one table with what was learned
there. Vocabularies are learned from the training images, anew for each seed. Writes results/local_features.json of
the seeds that are complete; resumable.
"""

import argparse
import itertools
import time
from pathlib import Path

from machine import RESULTS, WORK, kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scikit-image", "opencv-contrib-python-headless")
TAPS = {  # those that others have too are measured once
    "sift-bow": ("descriptors", "bag", "pyramid"),
    "sift-vlad": ("vlad",),
    "sift-fisher": ("fisher",),
    "hog": ("hog",),
    "lbp": ("lbp",),
    "patches-kmeans": ("triangle", "quadrants"),
    "pixels": ("pixels",),
}
KINDS, SEEDS, SIZE = ("shapes", "photographs"), (0, 1, 2), 96


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labeled", type=Path, required=True, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--only", nargs="+", choices=list(TAPS), default=list(TAPS), metavar="NAME", help="of these")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of these alone")
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS, help="of these alone")
    parser.add_argument("--work", type=Path, default=WORK / "local_features", help="what is measured already")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of local_features.json")
    arguments = parser.parse_args()
    for seed, kind, name in itertools.product(arguments.seeds, arguments.kinds, arguments.only):
        row = kept(file_of(arguments, kind, name, seed), lambda: probed(kind, name, seed, arguments))  # noqa: B023
        best = max(run["accuracy"] for run in row["runs"])
        print(f"{kind}, {name}, seed {seed}: {100 * best:.1f} %, {row['seconds']:.0f} s", flush=True)
    complete = {
        kind: [seed for seed in SEEDS if all(file_of(arguments, kind, name, seed).is_file() for name in TAPS)]
        for kind in KINDS
    }
    if all(complete.values()):
        config = {"seeds": complete, "taps": TAPS, "image_size": SIZE, "data": arguments.labeled.name}
        config |= {"shapes": {"train": 200, "test": 200, "classes": 4, "sets": "2 seed and 2 seed + 1"}}
        found = {kind: summed(kind, complete[kind], arguments) for kind in KINDS}
        save("local_features", config=config, packages=PACKAGES, seconds={}, comparisons=[], out=arguments.out, **found)


def file_of(arguments, kind, name, seed):
    return arguments.work / f"{kind}-{name}-{seed}.json"


def probed(kind, name, seed, arguments):
    """Every tap of one encoder, of one seed, as tfssl.evaluation.tasks.linear_probe measures it."""
    import tfssl
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe

    begun = time.perf_counter()
    if kind == "shapes":
        data, test = (tfssl.data.labeled_shapes(seed=2 * seed + part) for part in (0, 1))
    else:
        data, test = arguments.labeled / "train", arguments.labeled / "test"
    sets = labeled_sets(data, test, image_size=SIZE)
    encoder = tfssl.load_encoder(name if name == "pixels" else f"local:{name}")
    encoder.adapt(sets.images(), seed)
    with sets.features(encoder, taps=TAPS[name]) as parts:
        runs = [
            {"tap": run.tap, "held_out": run.held_out, **run.metrics, **run.about}
            for run in linear_probe.probe(name, [seed], *parts)
        ]
    return {"runs": runs, "chance": sets.chance, "seconds": round(time.perf_counter() - begun, 1)}


def summed(kind, seeds, arguments):
    """A record of each encoder, beside the pixels: as the task ``linear_probe`` sums it up."""
    from tfssl.evaluation.runner import Run, finish
    from tfssl.files import read_json

    def runs(name, called):
        rows = {seed: read_json(file_of(arguments, kind, name, seed)) for seed in seeds}
        return [
            Run(called, seed, {"accuracy": run["accuracy"]}, run["tap"], run["held_out"])
            for seed, row in rows.items()
            for run in row["runs"]
        ]

    found = []
    for name in TAPS:
        if name == "pixels":
            continue
        rows = [read_json(file_of(arguments, kind, name, seed)) for seed in seeds]
        both = [*runs(name, "encoder"), *runs("pixels", "pixels")]
        baselines = {"accuracy": {"chance": rows[0]["chance"]}}
        record = finish("linear_probe", both, protocol={}, by_tap="accuracy", baselines=baselines)
        numbers = {run["tap"]: run["numbers"] for run in rows[0]["runs"]}
        seconds = [row["seconds"] for row in rows]
        found.append({"name": name, "numbers": numbers, "seconds": seconds, "probe": slim(record)})
    return found


if __name__ == "__main__":
    main()
