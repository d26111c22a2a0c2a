"""Golden hashes: what the pipelines, the training, the exports and the evaluations of every method give, bit for bit.

``python tools/golden.py write`` records them, ``python tools/golden.py check [PART ...]`` compares, PART being the
beginning of a name such as ``batches/jigsaw``, ``weights``, ``exports`` or ``tasks/knn``. Floats depend on the
processor, so hashes are compared on the machine that wrote them; a change of the code that changes one has to say why.
Values of evaluations are compared as a set, since the names they are recorded under may change. Needs the shared data
(``TFSSL_SHARED_DATA``, or ``shared/data`` beside the checkout).
"""

import argparse
import hashlib
import io
import json
import math
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FILE = ROOT / "tools" / "golden.json"
SHARED = Path(os.environ.get("TFSSL_SHARED_DATA") or ROOT.parent / "shared" / "data")
WORK = Path(os.environ.get("TFSSL_GOLDEN_WORK") or Path(tempfile.gettempdir()) / f"tfssl-golden-{os.getpid()}")

METHODS = (
    "colorization", "context_encoder", "context_prediction", "denoising_autoencoder", "hypercolumn_colorization",
    "jigsaw", "split_brain", "spot_artifacts",
)  # fmt: skip
CONFIGS = {name: f"{name}/cpu" for name in METHODS} | {
    "denoising_autoencoder_patches": "denoising_autoencoder/patches",
    "context_encoder_features": "context_encoder/features",
}
SMALL = {"batch_size": 4, "steps_per_epoch": 10, "epochs": 2, "checkpoint_steps": 5}
DEFAULTS = (
    "jigsaw", "split_brain", "spot_artifacts", "context_encoder", "colorization", "context_prediction",
    "hypercolumn_colorization",
)  # fmt: skip
"""Methods whose batches are also taken with the paper's own fields."""


def digest(values):
    """A hash of arrays in a nest, with their types and shapes."""
    import numpy as np
    import tensorflow as tf

    found = hashlib.sha256()
    for value in tf.nest.flatten(values):
        array = np.asarray(value)
        found.update(f"{array.dtype.str}{array.shape}".encode())
        data = array.tobytes() if array.dtype.kind != "O" else b"".join(bytes(item) for item in array.ravel())
        found.update(data)
    return found.hexdigest()[:16]


def photographs():
    """A folder of small JPEGs, one of them damaged."""
    folder = WORK / "photographs"
    if not folder.exists():
        folder.mkdir(parents=True)
        with tarfile.open(SHARED / "imagenet_sample_256.tar") as archive:
            members = [m for m in archive.getmembers() if m.isfile()][:24]
            for member in members:
                (folder / Path(member.name).name).write_bytes(archive.extractfile(member).read())
        damaged = sorted(folder.iterdir())[7]
        damaged.write_bytes(damaged.read_bytes()[:3000])
    return str(folder)


def method_of(name):
    from tfssl.config import load_config

    return load_config(CONFIGS[name]).method


def batches(name, paper=False):
    method = type(method_of(name))() if paper else method_of(name)
    data = photographs()
    size = 2 if paper else 4
    found = {
        "training": list(method.dataset(data, batch_size=size, seed=3, start=0, count=2)),
        "resumed": list(method.dataset(data, batch_size=size, seed=3, start=9, count=1 if paper else 3)),
    }
    if not paper:
        epochs = method.dataset(data, batch_size=4, seed=5)
        found["epochs"] = [list(epochs), list(epochs)]
        found["evaluation"] = list(method.dataset(data, batch_size=5, training=False, seed=2))
    return {key: digest(value) for key, value in found.items()}


def run_of(name):
    """A run of 20 steps."""
    from tfssl.config import load_config, parse_config
    from tfssl.training.fit import fit

    out = WORK / "runs" / name
    if not (out / "metrics.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        fit(parse_config(load_config(CONFIGS[name]).to_dict() | SMALL | {"data": photographs()}), out)
    return out


def weights(name):
    import keras

    model = keras.saving.load_model(run_of(name) / "model.keras", compile=False)
    values = sorted(digest(v) for v in model.variables if "seed" not in v.path)
    return {"variables": len(values), "all": hashlib.sha256("".join(values).encode()).hexdigest()[:16]}


def sample(spec):
    """A value for an input of a signature, by its name and type."""
    import numpy as np
    from PIL import Image

    from tfssl.data.builtin import builtin_photographs

    with Image.open(builtin_photographs()[0]) as image:
        picture = image.convert("RGB").resize((64, 64))
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255

    def png(image):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    rgb = np.asarray(picture)
    if "mask" in spec.name:
        hole = mask[None, ..., None].astype(np.float32) / 255
        return np.array([png(Image.fromarray(mask))], object) if spec.dtype.name == "string" else hole
    if spec.dtype.name == "string":
        return np.array([png(picture)], object)
    if spec.dtype.name == "uint8":
        return rgb[None]
    if spec.shape[-1] == 1:
        return np.asarray(picture.convert("L"), np.float32)[None, ..., None] / 2.55
    return rgb[None].astype(np.float32) / 255


def exports(name):
    import tensorflow as tf

    from tfssl.export import export_run

    out = WORK / "exports" / name
    shutil.rmtree(out, ignore_errors=True)
    export_run(run_of(name), out)
    model = tf.saved_model.load(str(out / "1"))
    found = {}
    for key, function in sorted(model.signatures.items()):
        inputs = {spec.name: sample(spec) for spec in function.structured_input_signature[1].values()}
        answers = function(**{name: tf.constant(value) for name, value in inputs.items()})
        found[key] = digest([answers[output] for output in sorted(answers)])
    return found


def numbers(record):
    """Every number of a record, as sorted text of five digits, and how much it gains over the untrained network."""
    found = []
    record = record.to_dict()
    for metric in record["metrics"].values():
        sign = -1 if metric["higher_is_better"] is False else 1
        metric["gain"] = sign * (metric["value"] - metric["baselines"].get("untrained", math.nan))

    def walk(value, key=""):
        if isinstance(value, dict):
            for inner, below in value.items():
                if inner not in ("versions", "protocol", "config", "seconds", "options", "settings"):
                    walk(below, inner)
        elif isinstance(value, (list, tuple)):
            for below in value:
                walk(below)
        elif isinstance(value, float) and not isinstance(value, bool) and math.isfinite(value):
            found.append(f"{value:.5g}")

    walk(record)
    return sorted(set(found))


def metrics(name):
    import tfssl

    return {"values": numbers(tfssl.evaluate(run_of(name), photographs()))}


def classes_folder():
    folder = WORK / "classes"
    if not folder.exists():
        with tarfile.open(SHARED / "caltech101_96.tar") as archive:
            names = [m for m in archive.getmembers() if m.isfile()]
            chosen = sorted({m.name.split("/")[2] for m in names})[:6]
            for member in names:
                _, part, label, file = member.name.split("/")
                if label in chosen:
                    target = folder / part / label / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.extractfile(member).read())
    return str(folder)


def voc_folder():
    """The first pictures of each split, so that a task takes seconds."""
    folder = WORK / "voc"
    if not folder.exists():
        with tarfile.open(SHARED / "vocstyle_mini_256.tar") as archive:
            archive.extractall(WORK / "unpacked", filter="data")
        shutil.move(WORK / "unpacked" / "vocstyle_mini", folder)
        for file in folder.glob("ImageSets/*/*.txt"):
            names = file.read_text().splitlines()
            file.write_text("\n".join(names[:: max(1, len(names) // 20)]) + "\n")
    return str(folder)


def normals_folder():
    import numpy as np
    from PIL import Image

    from tfssl.data.normals import write_normals

    folder = WORK / "normals"
    if not folder.exists():
        random = np.random.default_rng(0)
        walls = np.float32([[0.6, 0, -0.8], [-0.6, 0, -0.8], [0, -1, 0], [0, 0, -1]])
        shades = np.uint8([[200, 40, 40], [40, 40, 200], [40, 200, 40], [120, 120, 120]])
        for part, count in (("train", 8), ("test", 4)):
            for end in ("", "normals"):
                (folder / f"{part}{end}").mkdir(parents=True, exist_ok=True)
            for i in range(count):
                kinds = np.repeat(random.integers(0, 4, (3, 4)), 12, axis=0).repeat(10, axis=1)
                Image.fromarray(shades[kinds]).save(folder / part / f"{i}.png")
                write_normals(folder / f"{part}normals" / f"{i}.png", walls[kinds])
    return str(folder)


def task_of(name):
    short = {"seeds": 1}
    trained = {"steps": 6, "batch_size": 4, **short}
    return {
        "linear_probe": (classes_folder, {"image_size": 48, "pool": 2, **short, "taps": ["conv2", "conv5"]}),
        "linear_probe_ten": (classes_folder, {"image_size": 48, "pool": 1, "crops": 10, **short, "taps": ["conv5"]}),
        "knn": (classes_folder, {"image_size": 48, "pool": 2, **short}),
        "few_shot": (classes_folder, {"image_size": 48, "pool": 1, "draws": 2, "taps": ["conv3", "conv5"]}),
        "classification": (classes_folder, {"image_size": 48, **trained}),
        "voc_classification": (voc_folder, {"image_size": 48, "pool": 1, "taps": ["conv5"], **short}),
        "voc_classification_network": (
            voc_folder, {"image_size": 48, "classifier": "network", "taps": ["conv5"], "hidden": (16,), **trained},
        ),
        "detection": (
            voc_folder,
            {"steps": 6, "proposals": "sliding_windows", "short_size": 64, "long_size": 96, "units": 16, **short},
        ),
        "segmentation": (voc_folder, {"crop_size": 64, "head": "32s", **trained}),
        "segmentation_fine_tune": (voc_folder, {"crop_size": 64, "strategy": "fine_tune", **trained}),
        "surface_normals": (normals_folder, {"crop_size": 24, "codewords": 4, **trained}),
        "surface_normals_regression": (normals_folder, {"crop_size": 24, "predict": "regression", **trained}),
    }[name]  # fmt: skip


TASKS = (
    "linear_probe", "linear_probe_ten", "knn", "few_shot", "classification", "voc_classification",
    "voc_classification_network", "detection", "segmentation", "segmentation_fine_tune", "surface_normals",
    "surface_normals_regression",
)  # fmt: skip


def task(name):
    import tfssl

    data, options = task_of(name)
    known = ("surface_normals", "voc_classification", "linear_probe", "segmentation", "classification")
    kind = next((k for k in known if name.startswith(k)), name)
    return {"values": numbers(tfssl.evaluate(run_of("jigsaw"), data(), task=kind, **options))}


def parts():
    """``{name: function that measures it}``."""
    found = {}
    for name in CONFIGS:
        found[f"batches/{name}"] = lambda name=name: batches(name)
    for name in DEFAULTS:
        found[f"batches/{name}-paper"] = lambda name=name: batches(name, paper=True)
    for kind, function in (("weights", weights), ("exports", exports), ("metrics", metrics)):
        for name in CONFIGS:
            found[f"{kind}/{name}"] = lambda name=name, function=function: function(name)
    for name in TASKS:
        found[f"tasks/{name}"] = lambda name=name: task(name)
    return found


def compare(old, new):
    """What of ``old`` is not in ``new``, as text; None if nothing."""
    if "values" in old:
        # The deviation of a single run, once 0, is null.
        missing = sorted(set(old["values"]) - set(new["values"]) - {"0"})
        return f"values gone: {', '.join(missing[:12])}" if missing else None
    wrong = [f"{key} {value} -> {new.get(key)}" for key, value in old.items() if new.get(key) != value]
    return "; ".join(wrong) or None


def main():
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", default="check", choices=("check", "write"))
    parser.add_argument("wanted", nargs="*", metavar="PART", help="beginnings of names; all if there is none")
    options = parser.parse_args()
    action, wanted = options.action, options.wanted
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    failed = 0
    for name, measure in parts().items():
        if wanted and not name.startswith(tuple(wanted)):
            continue
        try:
            found = measure()
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            failed += 1
            continue
        if action == "write":
            known[name] = found
            FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            print(f"{name}: {len(found.get('values', found))} written", flush=True)
        else:
            wrong = compare(known.get(name, {"all": "absent"}), found)
            failed += wrong is not None
            print(f"{name}: {wrong or 'same'}", flush=True)
    if "TFSSL_GOLDEN_WORK" not in os.environ:
        shutil.rmtree(WORK, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
