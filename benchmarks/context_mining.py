"""What `tfssl discover --how context` finds: a planted object with a known answer, and labeled photographs.

python benchmarks/context_mining.py --photographs voc=vocstyle_mini caltech=caltech101_96/train [--picture FILE.png]

Of a VOC directory and of class folders the first images of each class are taken. Parts that are done are kept in work/;
--only NAME does one part. The record holds the parts that are done.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from machine import WORK, kept, save

SEEDS = (0, 1, 2)
PLANTED = {"images": 20, "size": 160, "kinds": ["object", "noise", "texture", "noise"]}
PLANTED_MINING = {
    "seeds": 24,
    "neighbors": 5,
    "predictors": 4,
    "components": 32,
    "levels": 2,
    "rounds": (1, 2),
    "clusters": 12,
    "set_size": 3,
}
LOCATIONS = {"chosen": (1.0, 0.1), "wide": (2.0, 0.5)}
PHOTOGRAPHS = {"voc": {"classes": 4, "each": 8}, "caltech": {"classes": 10, "each": 8}}
MINING = {"seeds": 40, "neighbors": 12, "components": 32, "levels": 2, "clusters": 10}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", nargs="+", required=True, metavar="NAME=FOLDER", help="voc=, caltech=")
    parser.add_argument("--only", help="do one part: planted-LOCATION-SEED, or NAME-SEED of the photographs")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of the photographs")
    parser.add_argument("--picture", help="PNG to keep the sheet of the planted scenes in")
    arguments = parser.parse_args()
    from tfssl.files import read_json

    folders = dict(text.split("=", 1) for text in arguments.photographs)
    unknown = set(folders) - set(PHOTOGRAPHS)
    if unknown:
        parser.error(f"photographs are {', '.join(PHOTOGRAPHS)}. Received: {sorted(unknown)[0]}")

    parts = {
        f"planted-{name}-{seed}": lambda seed=seed, name=name: planted(seed, LOCATIONS[name])
        for name in LOCATIONS
        for seed in SEEDS
    }
    for name, folder in folders.items():
        for seed in range(arguments.seeds):
            parts[f"{name}-{seed}"] = lambda seed=seed, name=name, folder=folder: photographs(name, folder, seed)
    for name, compute in parts.items():
        if arguments.only in (None, name):
            print(name, kept(_file(name), compute), flush=True)
    if arguments.picture:
        picture(arguments.picture)
    config = {
        "seeds": SEEDS,
        "planted": PLANTED,
        "planted_mining": PLANTED_MINING,
        "locations": LOCATIONS,
        "photographs": PHOTOGRAPHS,
        "mining": MINING,
    }
    found = {name: read_json(_file(name)) for name in parts if _file(name).is_file()}
    packages = ("numpy", "scipy", "scikit-learn", "pillow")
    save("context_mining", config=config, packages=packages, seconds={}, comparisons=[], found=found)


def _file(name):
    return WORK / "context_mining" / f"{name}.json"


def planted(seed, location):
    """Ranks and scores of clusters by what their seed shows, and how well masks and boxes fit the object."""
    import numpy as np

    from tfssl.data.planted import planted_source
    from tfssl.discovery.context.mining import ContextMining, mine_context

    source = planted_source(PLANTED["images"], PLANTED["size"], PLANTED["kinds"], seed)
    mining = ContextMining(**PLANTED_MINING, seed=seed, location=location)
    start = time.perf_counter()
    mined = mine_context(source, mining)
    seconds = time.perf_counter() - start
    kinds = [source.kind(cluster.seed.image) for cluster in mined.clusters]
    overlaps = {"mask": [], "box": []}
    scores = {kind: [] for kind in PLANTED["kinds"]}
    for cluster, kind in zip(mined.clusters, kinds, strict=True):
        for member in cluster.members:
            scores[kind].append(member.score)
            truth = source.example(member.image)["mask"]
            if kind == "object" and truth.any():
                left, top, right, bottom = (max(0, round(edge)) for edge in member.box)
                box = np.zeros_like(truth)
                box[top:bottom, left:right] = True
                for name, mask in (("mask", member.mask > 127), ("box", box)):
                    overlaps[name].append(float((mask & truth).sum() / (mask | truth).sum()))
    return {
        "kinds_in_order": kinds,
        "worth_in_order": [cluster.score for cluster in mined.clusters],
        "first_object_rank": kinds.index("object") + 1 if "object" in kinds else None,
        "mean_score": {kind: statistics.fmean(values) if values else None for kind, values in scores.items()},
        "iou": {name: statistics.fmean(values) if values else None for name, values in overlaps.items()},
        "seconds": round(seconds, 1),
    }


def picture(path):
    """The sheet of the first planted scenes."""
    from tfssl.data.planted import planted_source
    from tfssl.discovery.context.discover import discover_context
    from tfssl.discovery.context.mining import ContextMining

    with tempfile.TemporaryDirectory() as folder:
        source = planted_source(PLANTED["images"], PLANTED["size"], PLANTED["kinds"])
        discover_context(source, folder, mining=ContextMining(**PLANTED_MINING))
        shutil.copy(Path(folder) / "sheet.png", path)


def photographs(name, folder, seed):
    """The summary of a discovery in photographs, labels only measure."""
    from tfssl.discovery.context.discover import discover_context
    from tfssl.discovery.context.mining import ContextMining

    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        for label, paths in classes(Path(folder), **PHOTOGRAPHS[name]).items():
            (images / label).mkdir(parents=True)
            for path in paths:
                (images / label / path.name).symlink_to(path.resolve())
        start = time.perf_counter()
        summary = discover_context(images, Path(scratch) / "out", mining=ContextMining(**MINING, seed=seed))
        summary.pop("skipped")
        return {**summary, "seconds": round(time.perf_counter() - start, 1)}


def classes(folder, classes, each):
    """``{class: its first images}`` of class folders or of a VOC directory, by the first object of an annotation."""
    if not (folder / "Annotations").is_dir():
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())[:: max(1, 100 // classes)][:classes]
        return {name: sorted((folder / name).iterdir())[:each] for name in names}
    found = {}
    for path in sorted((folder / "Annotations").glob("*.xml")):
        tree = ElementTree.parse(path)
        label, image = tree.findtext("object/name"), folder / "JPEGImages" / f"{path.stem}.jpg"
        if label and image.is_file():
            found.setdefault(label, []).append(image)
    return {label: found[label][:each] for label in sorted(found)[:classes]}


if __name__ == "__main__":
    main()
