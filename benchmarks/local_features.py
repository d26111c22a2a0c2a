"""What the local features of before 2012 are worth in a linear probe, beside raw pixels: rendered shapes, photographs.

    python benchmarks/local_features.py --labeled caltech101_96 [--only shapes] [--work FOLDER]

Shapes: four classes of tfssl.data.labeled_shapes, 200 training and 200 test images, three sets. Photographs: the linear
probe of pretraining.py, at 96 pixels, so that the rows stand in one table with what was learned there. Vocabularies are
learned from the training images anew for each of three seeds. Writes results/local_features.json; resumable.
"""

import argparse
import time
from pathlib import Path

from machine import RESULTS, WORK, kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scikit-image", "opencv-contrib-python-headless")
TAPS = {  # those that others have too are measured once
    "sift-bow": ("descriptors", "words", "bag", "pyramid"),
    "sift-vlad": ("vlad",),
    "sift-fisher": ("fisher",),
    "hog": ("hog",),
    "lbp": ("lbp",),
    "patches-kmeans": ("triangle", "quadrants"),
}
SETS = (0, 1, 2)  # of shapes; seeds 2 n and 2 n + 1 are drawn for training and test


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labeled", type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--only", choices=("shapes", "photographs"), help="one of the two halves")
    parser.add_argument("--seeds", type=int, default=3, help="of vocabularies and held-out images")
    parser.add_argument("--work", type=Path, default=WORK / "local_features", help="what is measured already")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of local_features.json")
    arguments = parser.parse_args()
    if arguments.only != "shapes" and arguments.labeled is None:
        parser.error("the photographs need --labeled; or give --only shapes")
    found = {"shapes": [], "photographs": []}
    if arguments.only != "photographs":
        for number in SETS:
            for name in TAPS:
                path = arguments.work / f"shapes-{number}-{name}.json"
                found["shapes"].append(kept(path, lambda name=name, number=number: shapes(name, number, arguments)))
                show(found["shapes"][-1])
    if arguments.only != "shapes":
        for name in TAPS:
            path = arguments.work / f"photographs-{name}.json"
            found["photographs"].append(kept(path, lambda name=name: photographs(name, arguments)))
            show(found["photographs"][-1])
    if arguments.only is None:
        config = {"seeds": arguments.seeds, "taps": TAPS, "image_size": 96, "data": str(arguments.labeled.name)}
        config |= {"shapes": {"sets": SETS, "train": 200, "test": 200, "classes": 4}}
        extra = {"out": arguments.out, **found}
        save("local_features", config=config, packages=PACKAGES, seconds={}, comparisons=[], **extra)


def shapes(name, number, arguments):
    from tfssl.data.labeled_shapes import labeled_shapes

    data, test = labeled_shapes(seed=2 * number), labeled_shapes(seed=2 * number + 1)
    return {"set": number, **probed(name, data, test, arguments)}


def photographs(name, arguments):
    return probed(name, arguments.labeled / "train", arguments.labeled / "test", arguments)


def probed(name, data, test, arguments):
    import tfssl
    from tfssl.evaluation.tasks import linear_probe

    begun = time.perf_counter()
    encoder = tfssl.load_encoder(f"local:{name}")
    record = linear_probe.evaluate(encoder, data, test=test, taps=TAPS[name], seeds=arguments.seeds)
    numbers = {tap: encoder.compute_output_shape((1, 96, 96, 3))[tap] for tap in TAPS[name]}
    lengths = {tap: shape[-1] for tap, shape in numbers.items() if len(shape) == 2}
    return {"name": name, "numbers": lengths, "seconds": round(time.perf_counter() - begun, 1), "probe": slim(record)}


def show(row):
    found = row["probe"]["metrics"]["accuracy"]
    beside = ", ".join(f"{name} {100 * value:.1f}" for name, value in found["baselines"].items())
    print(f"{row['name']}: {100 * found['value']:.1f} % ({beside}), {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
