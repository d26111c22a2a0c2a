"""Styles told from generic features: rendered photographs, and classes of Caltech-101 by the same protocol.

python benchmarks/style.py --photos FOLDER --keep-out LIST --classes FOLDER [--runs NAME=RUN ...] [--seeds N]

Each seed draws photographs, every second one that is not on the list, and renders them in ten styles; content is the
folder of the photograph. The task style measures there EfficientNet-Lite0 trained on ImageNet's labels (extra
pretrained), the shipped colorizer and further runs, the same networks untrained, raw pixels and a histogram of colors,
and fuses the trained ones and the histogram. Then the same on every fifth of class folders with train/ and test/, with
and without augmentation. Runs should have learned from the other photographs. Goes on from what is done. Writes
results/style.json.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from pathlib import Path

import numpy as np
from machine import WORK, kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scikit-image")
SIZE, POOL = 64, 1
TAPS = ("conv4", "conv5")
FIRST, SHIPPED = "efficientnet_lite0", "colorizer"
EVERY = 5
"""One class in so many of the class folders is measured."""


def photographs(arguments):
    """Paths of the photographs that may be rendered: every second one."""
    from tfssl.data.listing import EXTENSIONS, list_files

    kept_out = set(Path(arguments.keep_out).read_text(encoding="utf-8").split()) if arguments.keep_out else set()
    files = list_files(arguments.photos, EXTENSIONS, "photographs")
    folder = Path(arguments.photos).resolve()
    files = [f for f in files if Path(f).resolve().relative_to(folder.parent).as_posix() not in kept_out]
    return files[1::2]


def rendered(files, arguments, seed):
    """Photographs rendered in styles, in memory: every encoder sees the same ones."""
    from tfssl.data.images import ArraySource
    from tfssl.data.styles import rendered_styles

    chosen = np.random.default_rng(seed).choice(len(files), arguments.sources, replace=False)
    source = rendered_styles([files[i] for i in sorted(chosen)], size=SIZE, seed=seed)
    images = [np.asarray(source.example(i)["image"]) for i in range(len(source))]
    return dataclasses.replace(source, images=ArraySource(images), root="rendered photographs")


def some_classes(folder):
    """Every fifth class of class folders with train/ and test/."""
    from tfssl.data.tagged import tagged_images

    whole = tagged_images(folder)
    chosen = [index for index, row in enumerate(whole.labels) if row.argmax() % EVERY == 0]
    some = whole.take(chosen)
    labels = tuple(row[::EVERY] for row in some.labels)
    return dataclasses.replace(some, labels=labels, classes=whole.classes[::EVERY])


def measured(what, encoders, data, seed, **options):
    """What the benchmark keeps of a record: every encoder, trained and not."""
    from tfssl.evaluation import get_task
    from tfssl.evaluation.baselines import untrained

    begun, others = time.perf_counter(), {name: network for name, network in encoders.items() if name != FIRST}
    random = {f"{name}, untrained": untrained(network, seed) for name, network in others.items()}
    options |= {"fuse": ["encoder", *others], "taps": list(TAPS), "pool": POOL, "image_size": SIZE, "seeds": 1}
    record = get_task("style")(encoders[FIRST], data, compare=others | random, **options)
    seconds, found = time.perf_counter() - begun, record["map"]
    print(
        f"{what}, {seconds:.0f} s: {found.value:.3f}", {k: round(v, 3) for k, v in found.baselines.items()}, flush=True
    )
    return {**slim(record), "protocol": record.protocol | {"data": what}, "seconds": seconds}


def values(record):
    """``{metric: {encoder: number}}`` of a record."""
    return {
        name: {FIRST: metric["value"], **metric["baselines"]}
        for name, metric in record["metrics"].items()
        if metric["baselines"]
    }


def summary(records):
    """``{metric: {encoder: {"mean", "std", "values"}}}`` over the seeds."""
    found = {}
    for metric, own in values(records[0]).items():
        for name in own:
            numbers = [values(record)[metric][name] for record in records]
            std = statistics.stdev(numbers) if len(numbers) > 1 else None
            found.setdefault(metric, {})[name] = {"mean": statistics.mean(numbers), "std": std, "values": numbers}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, help="folder of photographs in folders of themes")
    parser.add_argument("--keep-out", default=None, help="list of photographs that are left out, PHOTOS/THEME/NAME")
    parser.add_argument("--classes", required=True, help="class folders with train/ and test/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sources", type=int, default=60, help="photographs that are rendered for a seed")
    parser.add_argument("--runs", nargs="*", default=[], metavar="NAME=RUN", help="further encoders")
    parser.add_argument("--about", default="", help="how they were trained, for the record")
    parser.add_argument("--work", default=WORK / "style", help="folder of what is done")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()
    from tfssl import load_encoder

    work, files = Path(arguments.work), photographs(arguments)
    sources = {FIRST: FIRST, SHIPPED: SHIPPED} | dict(run.split("=", 1) for run in arguments.runs)
    encoders = {name: load_encoder(source) for name, source in sources.items()}

    def styles(seed):
        return measured(f"rendered styles {seed}", encoders, rendered(files, arguments, seed), seed)

    def classes(**options):
        return measured("some classes", encoders, some_classes(arguments.classes), 0, **options)

    stem = "-".join(sources)
    records = {"styles": [], "classes": []}
    for seed in range(arguments.seeds):
        place = work / f"{stem}-{arguments.sources}-{seed}.json"
        records["styles"].append(kept(place, functools.partial(styles, seed)))
    records["classes"].append(kept(work / f"{stem}-classes.json", classes))
    written(records, arguments, len(files))
    augmented = kept(work / f"{stem}-classes-augmented.json", functools.partial(classes, augment=True))
    written(records | {"classes_augmented": [augmented]}, arguments, len(files))


def written(records, arguments, photographs):
    """Write what is measured so far."""
    config = {name: getattr(arguments, name) for name in ("seeds", "sources", "about")}
    config |= {"taps": TAPS, "pool": POOL, "image_size": SIZE, "every": EVERY, "photographs": photographs}
    counts = {
        part: {name: metric["value"] for name, metric in own[0]["metrics"].items() if name.startswith("images_")}
        for part, own in records.items()
    }
    more = {"results": {part: summary(own) for part, own in records.items()}, "counts": counts}
    more |= {
        "protocol": records["styles"][0]["protocol"],
        "details": {k: own[0]["details"] for k, own in records.items()},
    }
    seconds = {part: [record["seconds"] for record in own] for part, own in records.items()}
    save("style", config=config, packages=PACKAGES, seconds=seconds, comparisons=[], out=arguments.out, **more)


if __name__ == "__main__":
    main()
