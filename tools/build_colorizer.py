"""Rebuild the shipped colorizer: one command, from photo archives to savedmodels/colorizer.

python tools/build_colorizer.py --shared ARCHIVES --work WORK
python tools/build_colorizer.py --export-again

Unpacks the archives, keeps photographs out, trains configs/colorization/colorizer.yaml (resuming WORK/run if it was
interrupted), chooses share and temperature of the decoding on half of the kept-out photographs, exports, checks the
export, measures it on all kept-out photographs and on the untouched half, and writes MANIFEST.json.

With --export-again nothing is trained or measured: the weights that ship are exported by the present code, and what
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
CONFIG = ROOT / "configs" / "colorization" / "colorizer.yaml"
TARGET = ROOT / "savedmodels" / "colorizer"
MANIFEST = "MANIFEST.json"

HELD_OUT = 500
TRAINING_ARCHIVES = (
    "photos_128_a.tar",
    "photos_128_b.tar",
    "imagenet_sample_256.tar",
    "vocstyle_mini_256.tar",
    "caltech101_96.tar",
    "bsds500_25.tar",
    "indoor_boxes.tar",
)
FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
TEMPERATURES = (0.38, 0.5, 0.6, 0.8, 1.0)
RAW_GAIN = 0.0075  # half a point is asked of the shipped model; the rest is a margin for photographs not tuned on
LICENSE = (
    "Weights under Apache-2.0. They were trained on photographs some of whose licenses are for non-commercial "
    "research (ImageNet, BSDS500, Corel-1k, Weizmann, cats and dogs); none of the photographs is in this package. "
    "Whether that binds a use of the weights is for the user to judge; it can be rebuilt on other photographs."
)


def prepare(shared, work):
    """Unpack the archives into ``work/train`` and ``work/heldout``.

    Kept out are 500 pictures of photos_128, drawn with seed 0 from the sorted file names. The test half of
    caltech101_96 is left out of training because the feature probes are measured on it; masks are no photographs.
    """
    folders = {name: work / name for name in ("train", "heldout")}
    if (work / "prepared").exists():
        return folders
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
    train = folders["train"]
    for name in TRAINING_ARCHIVES:
        with tarfile.open(shared / name) as archive:
            for member in archive:
                if member.name.lower().endswith(".jpg") and not member.name.startswith("caltech101_96/test/"):
                    archive.extract(member, train, filter="data")
    photos = sorted(p.relative_to(train) for p in (train / "photos_128").rglob("*.jpg"))
    for index in np.sort(np.random.default_rng(0).permutation(len(photos))[:HELD_OUT]):
        target = folders["heldout"] / photos[index]
        target.parent.mkdir(parents=True, exist_ok=True)
        (train / photos[index]).rename(target)
    (work / "prepared").touch()
    return folders


def tfssl(*arguments):
    """Run a tfssl command; stop if it fails."""
    subprocess.run([sys.executable, "-m", "tfssl", *map(str, arguments)], check=True, cwd=ROOT)


def fingerprint(folder):
    """sha256 over the relative names and contents of the files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def manifest(config, folders, run, decoding, metrics, untouched):
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
        "data": {
            "train": {"images": count(folders["train"]), "archives": list(TRAINING_ARCHIVES)},
            "heldout": {
                "images": count(folders["heldout"]),
                "archives": list(TRAINING_ARCHIVES[:2]),
                "sha256": fingerprint(folders["heldout"]),
            },
        },
        "training": json.loads((run / "metrics.json").read_text()),
        # Whatever a maintainer did to the run by hand belongs into the record: WORK/run/notes.txt.
        "notes": (run / "notes.txt").read_text().strip() if (run / "notes.txt").exists() else "",
        "metrics": metrics,
        "metrics_untouched_half": untouched,
        "machine": {"platform": platform.platform(), "processor": processor()},
        "versions": versions(),
        "files": fingerprints(TARGET),
    }


def versions():
    import keras
    import tensorflow as tf

    import tfssl as package

    return {
        "tfssl": package.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def write_manifest(content):
    (TARGET / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    total = sum(entry["bytes"] for entry in content["files"].values())
    print(f"{TARGET}: {total / 1e6:.2f} MB")


def count(folder):
    return sum(1 for p in folder.rglob("*.jpg"))


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--shared", type=Path, help="folder with the photo archives (*.tar)")
    way.add_argument("--export-again", action="store_true", help="export the weights that ship; no training")
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder; keeps the run, so it resumes")
    arguments = parser.parse_args()
    if arguments.export_again:
        return export_again()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    folders = prepare(arguments.shared, work)
    for name, folder in folders.items():
        print(f"{name}: {count(folder)} photographs", flush=True)

    # The command line runs in processes of its own; this one imports TensorFlow only afterwards.
    tfssl("prior", folders["train"], "--out", ROOT / "tfssl" / "color" / "prior_photographs.npy", "--sigma", "0")
    run = work / "run"
    tfssl("train", CONFIG, "--data", folders["train"], "--out", run)
    publish(folders, run, work)


def publish(folders, run, work):
    """Measure, export and describe a finished run."""
    from tfssl.api import load
    from tfssl.config import load_config
    from tfssl.methods.colorization.calibrate import choose_decoding, undo_rebalancing
    from tfssl.training.runs import load_run

    config = load_config(run / "config.yaml")
    method, model = load_run(run)
    heldout = sorted(str(p) for p in folders["heldout"].rglob("*.jpg"))
    tuning, untouched = heldout[::2], heldout[1::2]
    (fraction, temperature), table = choose_decoding(
        method, model, tuning, fractions=FRACTIONS, temperatures=TEMPERATURES, raw_gain=RAW_GAIN
    )
    decoding = {
        "undone_share_of_rebalancing": fraction,
        "temperature": temperature,
        "rule": f"highest auc_macro of the pairs with auc_raw_gain >= {RAW_GAIN} on every second kept-out photograph",
        "candidates": table,
    }
    print(json.dumps(decoding, indent=1), flush=True)
    undo_rebalancing(method, model, fraction)
    method = method.model_copy(update={"temperature": temperature})

    export(method, model)

    # Measured on what ships, not on what it was made from.
    method, model = load(str(TARGET))
    metrics = [
        method.evaluate(model, heldout, out=work / "evaluation").flat(),
        method.evaluate(model, untouched, out=work / "evaluation_untouched").flat(),
    ]
    write_manifest(manifest(config, folders, run, decoding, *metrics))
    print(f"sheets in {work / 'evaluation'}")


def export(method, model):
    from tfssl.export import export_savedmodel, export_tflite

    shutil.rmtree(TARGET, ignore_errors=True)
    export_savedmodel(method, model, TARGET, weights="float16")
    export_tflite(method, model, TARGET, quantize="dynamic")
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
