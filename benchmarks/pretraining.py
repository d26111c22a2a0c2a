"""What each method learns without labels: its CPU configuration trained, measured, and probed, beside its baselines.

python benchmarks/pretraining.py --train PHOTOS --data HELD_OUT --labeled caltech101_96 --voc VOC --camvid CAMVID
python benchmarks/pretraining.py ... --only jigsaw "context_encoder, L2 alone" --seeds 0 1 --tasks knn      some of it

Trains configs/METHOD/cpu.yaml, and the variants of it below, on photographs without labels, and writes
results/pretraining/NAME-SEED.json for each run: configuration, training, the pretext task on held-out photographs, and
linear probes of every tap beside the same network untrained and the raw pixels. "labels" instead trains the network
of jigsaw from nothing with the labels of the probe's training set; "data-dependent" only initializes it, by k-means
and rescaling. Every encoder then goes through the tasks of transfer.py whose data are given. At the end the tables of
README.md and docs/ are written anew.

Resumable: an interrupted run goes on where it was, a finished one is not trained again, a measured one not measured
again.
"""

import argparse
import dataclasses
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import transfer
from machine import RESULTS, save, slim
from transfer import MEASUREMENTS

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A method's CPU configuration, or a variant of it with some other values."""

    method: str
    variant: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def name(self):
        """As ``--only`` takes it."""
        return f"{self.method}, {self.variant}" if self.variant else self.method

    @property
    def slug(self):
        """Name of files and folders."""
        return self.name.replace(", ", "-").replace(" ", "_")


# A weaker opponent and more of the second phase: the discriminator and the autoencoder learn as fast as in cpu.yaml.
SLOW_REPAIR = (
    "learning_rate=0.00005",
    "discriminator_learning_rate_scale=30",
    "autoencoder_learning_rate_scale=120",
    "mask_weight=1",
    "epochs=20",
    "autoencoder_fraction=0.3",
)
ENTRIES = (
    Entry("jigsaw"),
    Entry("context_prediction"),
    Entry("context_prediction", "projection", ("color=projection",)),
    Entry("context_encoder"),
    Entry("context_encoder", "L2 alone", ("reconstruction_weight=1",)),
    Entry("context_encoder", "central masks", ("mask=center",)),
    Entry("split_brain"),
    Entry("split_brain", "L to ab", ("task=l_to_ab",)),
    Entry("split_brain", "ab to L", ("task=ab_to_l",)),
    Entry("split_brain", "autoencoder", ("task=autoencoder",)),
    Entry("spot_artifacts"),
    Entry("spot_artifacts", "no repair", ("repair=false",)),
    Entry("spot_artifacts", "slow repair", SLOW_REPAIR),
    Entry("spot_artifacts", "no repair, longer", (*SLOW_REPAIR, "repair=false")),
    Entry("denoising_autoencoder"),
    Entry("denoising_autoencoder", "no noise", ("corruption=none", "noise=[0]")),
    Entry("colorization"),
    Entry("hypercolumn_colorization"),
)
LABELS = Entry("labels")
DATA_DEPENDENT = Entry("data-dependent")
BASELINES = (LABELS, DATA_DEPENDENT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [entry.name for entry in (*ENTRIES, *BASELINES)]
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs, for the pretext task")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--voc", help="VOC directory with splits train and val")
    parser.add_argument("--camvid", help="folder with train/, trainannot/, val/ and valannot/")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--tasks", nargs="*", choices=MEASUREMENTS, default=list(MEASUREMENTS), metavar="TASK")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--probe-seeds", type=int, default=3, help="of the probes")
    parser.add_argument("--epochs", type=int, default=60, help="of the training with labels")
    parser.add_argument("--runs", type=Path, default=Path("runs/pretraining"), help="folder of the run directories")
    arguments = parser.parse_args()
    if arguments.voc and "selective_search" in arguments.tasks and importlib.util.find_spec("cv2") is None:
        parser.error("--tasks selective_search needs OpenCV: pip install --editable .[detection], or name other tasks")
    for seed in arguments.seeds:
        for entry in (*ENTRIES, *BASELINES):
            if entry.name in arguments.only:
                print(f"{entry.name}, seed {seed}", flush=True)
                run = arguments.runs / f"{entry.slug}-{seed}"
                learn_and_probe(entry, seed, run, arguments)
                transfer.measure(entry.name, f"{entry.slug}-{seed}", lambda run=run: load_encoder(run), arguments)
    subprocess.run([sys.executable, Path(__file__).parent.parent / "tools" / "make_tables.py"], check=True)


def learn_and_probe(entry, seed, run, arguments):
    """Train or initialize one encoder and probe it, unless that was done before."""
    result = f"pretraining/{entry.slug}-{seed}"
    if (RESULTS / f"{result}.json").exists():
        return
    make = {LABELS: with_labels, DATA_DEPENDENT: initialized}.get(entry, pretrained)
    measured = make(entry, seed, run, arguments)
    config = measured.pop("config")
    save(result, config=config, packages=PACKAGES, seconds={}, comparisons=[], entry=entry.name, seed=seed, **measured)


def load_encoder(run):
    """The encoder of a run, or of a baseline, which is a file."""
    import tfssl

    file = run / "encoder.keras"
    return tfssl.load_encoder(file if file.exists() else run)


def pretrained(entry, seed, run, arguments):
    """Train one configuration from one seed, and measure it."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.progress import Reporter
    from tfssl.training.runs import load_run

    config = load_config(f"{entry.method}/cpu", [f"data={arguments.train}", f"seed={seed}", *entry.overrides])
    reporter = Reporter()
    try:
        fit(config, run, reporter=reporter)
    finally:
        reporter.stop()
    method, model = load_run(run)
    measured = method.evaluate(model, arguments.data)
    print(*measured.lines(), sep="\n  ", flush=True)
    return {
        "config": config.to_dict() | {"data": "training photographs"},
        "training": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "pretext": slim(measured),
        **probed(method.encoder(model), arguments),
    }


def with_labels(entry, seed, run, arguments):
    """The trunk that jigsaw pretrains, trained from one seed with the labels alone."""
    from supervised import train_with_labels

    from tfssl.config import load_config

    method = load_config("jigsaw/cpu").method
    start = time.perf_counter()
    encoder, accuracy = train_with_labels(method, arguments.labeled, seed=seed, epochs=arguments.epochs)
    seconds = round(time.perf_counter() - start, 1)
    print(f"  accuracy {accuracy:.4f}", flush=True)
    run.mkdir(parents=True, exist_ok=True)
    encoder.save(run / "encoder.keras")
    measured = {"config": {"epochs": arguments.epochs}, "accuracy": accuracy, "training_seconds": seconds}
    return measured | probed(encoder, arguments)


def initialized(entry, seed, run, arguments):
    """The trunk that jigsaw pretrains, untrained but for a data-dependent initialization."""
    import keras

    from tfssl.config import load_config
    from tfssl.data import Crop, batches, image_source
    from tfssl.transfer.data_dependent import data_dependent_init

    method = load_config("jigsaw/cpu").method
    keras.utils.set_random_seed(seed)
    encoder = method.encoder(method.model())
    source = image_source(arguments.train, min_size=96)
    (crops,) = next(iter(batches(source, Crop(96, resize=96).sample, 160, training=True, seed=seed)))
    images = crops.numpy().astype(np.float32) / 255.0
    encoder = data_dependent_init(encoder, images, seed=seed)
    run.mkdir(parents=True, exist_ok=True)
    encoder.save(run / "encoder.keras")
    return {"config": {"kind": "kmeans", "images": len(images), "side": 96}, **probed(encoder, arguments)}


def probed(encoder, arguments):
    """Linear probes of every tap."""
    from tfssl.evaluation.tasks import linear_probe

    probe = linear_probe.evaluate(
        encoder, arguments.labeled / "train", test=arguments.labeled / "test", seeds=arguments.probe_seeds
    )
    print(*probe.lines(), sep="\n  ", flush=True)
    return {"probe": slim(probe), "probe_seeds": arguments.probe_seeds}


if __name__ == "__main__":
    main()
