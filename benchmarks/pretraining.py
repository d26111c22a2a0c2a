"""What each method learns without labels: its CPU configuration trained, measured, and probed, beside its baselines.

python benchmarks/pretraining.py --train PHOTOS --data HELD_OUT --labelled caltech101_96            everything
python benchmarks/pretraining.py ... --only jigsaw "context_encoder, L2 alone" --seeds 0 1          some of it

Trains configs/METHOD/cpu.yaml, and the variants of it below, on photographs without labels, and writes
results/pretraining/NAME-SEED.json for each run: configuration, training, the pretext task on held-out photographs, and
linear probes of every tap beside the same network untrained and the raw pixels. "labels" instead trains the network
of jigsaw from nothing with the labels of the probe's training set.

Resumable: an interrupted run goes on where it was, a finished one is not trained again, a measured one not measured
again.
"""

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

from machine import RESULTS, save

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


ENTRIES = (
    Entry("jigsaw"),
    Entry("context_prediction"),
    Entry("context_prediction", "projection", ("color=projection",)),
    Entry("context_encoder"),
    Entry("context_encoder", "L2 alone", ("reconstruction_weight=1",)),
    Entry("context_encoder", "central masks", ("mask=center",)),
    Entry("spot_artifacts"),
    Entry("spot_artifacts", "no repair", ("repair=false",)),
    Entry("denoising_autoencoder"),
    Entry("denoising_autoencoder", "no noise", ("corruption=none", "noise=[0]")),
    Entry("colorization"),
)
LABELS = Entry("labels")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [entry.name for entry in (*ENTRIES, LABELS)]
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs, for the pretext task")
    parser.add_argument("--labelled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--probe-seeds", type=int, default=3, help="of the probes")
    parser.add_argument("--epochs", type=int, default=60, help="of the training with labels")
    parser.add_argument("--runs", type=Path, default=Path("runs/pretraining"), help="folder of the run directories")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for entry in (*ENTRIES, LABELS):
            result = f"pretraining/{entry.slug}-{seed}"
            if entry.name not in arguments.only or (RESULTS / f"{result}.json").exists():
                continue
            print(f"{entry.name}, seed {seed}", flush=True)
            measured = with_labels(seed, arguments) if entry is LABELS else pretrained(entry, seed, arguments)
            config = measured.pop("config")
            save(result, config=config, packages=PACKAGES, seconds={}, comparisons=[], entry=entry.name, **measured)


def pretrained(entry, seed, arguments):
    """Train one configuration from one seed, and measure it."""
    from tfssl.config import load_config
    from tfssl.evaluation import linear_probe
    from tfssl.training.fit import fit
    from tfssl.training.progress import Reporter
    from tfssl.training.runs import load_run

    run = arguments.runs / f"{entry.slug}-{seed}"
    config = load_config(f"{entry.method}/cpu", [f"data={arguments.train}", f"seed={seed}", *entry.overrides])
    reporter = Reporter()
    try:
        fit(config, run, reporter=reporter)
    finally:
        reporter.stop()
    method, model = load_run(run)
    measured = method.evaluate(model, arguments.data)
    pretext = {k: v for k, v in measured.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    probe = linear_probe.evaluate(
        method.encoder(model),
        arguments.labelled / "train",
        test=arguments.labelled / "test",
        seeds=arguments.probe_seeds,
    )
    probe.pop("skipped", None)
    print(f"  pretext {pretext}\n  probe {probe}", flush=True)
    return {
        "config": config.to_dict() | {"data": "training photographs"},
        "seed": seed,
        "training": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "pretext": pretext,
        "probe": probe,
        "probe_seeds": arguments.probe_seeds,
    }


def with_labels(seed, arguments):
    """The trunk that jigsaw pretrains, trained from one seed with the labels alone."""
    from supervised import train_with_labels

    from tfssl.config import load_config

    method = load_config("jigsaw/cpu").method
    start = time.perf_counter()
    encoder, accuracy = train_with_labels(method, arguments.labelled, seed=seed, epochs=arguments.epochs)
    seconds = round(time.perf_counter() - start, 1)
    (arguments.runs / f"labels-{seed}").mkdir(parents=True, exist_ok=True)
    encoder.save(arguments.runs / f"labels-{seed}" / "encoder.keras")
    print(f"  accuracy {accuracy:.4f}", flush=True)
    return {"config": {"epochs": arguments.epochs}, "seed": seed, "accuracy": accuracy, "training_seconds": seconds}


if __name__ == "__main__":
    main()
