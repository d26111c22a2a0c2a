"""What jigsaw and context prediction learn: finished runs, measured on held-out photographs and by linear probes.

tfssl train jigsaw/cpu --data TRAIN --out runs/jigsaw0 seed=0             (and seed=1, 2, ... as time allows)
tfssl train context_prediction/cpu --data TRAIN --out runs/context0
python benchmarks/arrangement.py runs/jigsaw0 runs/context0 --data HELD_OUT --labelled caltech101_96

Writes results/arrangement_METHOD.json for each method: configuration and seeds, the accuracy of the pretext task beside
chance, and linear probes of every tap beside the same network untrained, the raw pixels, and the same network
trained from nothing with the labels of the probe's training set.
"""

import argparse
import json
import statistics
from pathlib import Path

from machine import save
from supervised import train_with_labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run directories")
    parser.add_argument("--data", required=True, help="held-out photographs for the pretext task")
    parser.add_argument("--labelled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--seeds", type=int, default=3, help="of the probes and of the training with labels")
    parser.add_argument("--epochs", type=int, default=60, help="of the training with labels; 0 leaves it out")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()

    from tfssl.config import load_config

    configs = [load_config(run / "config.yaml") for run in arguments.runs]
    for name in dict.fromkeys(config.method.name() for config in configs):
        pairs = [pair for pair in zip(arguments.runs, configs, strict=True) if pair[1].method.name() == name]
        measure(name, pairs, arguments)


def measure(name, pairs, arguments):
    """Measure the runs of one method and save what was found."""
    method = pairs[0][1].method
    labelled = _with_labels(method, arguments) if arguments.epochs else []
    runs = [_run(run, config, arguments) for run, config in pairs]
    save(
        f"arrangement_{name}",
        config=pairs[0][1].to_dict() | {"data": "training photographs"},
        packages=("tensorflow", "keras", "numpy", "scikit-learn"),
        seconds={},
        comparisons=[],
        out=arguments.out,
        runs=runs,
        probe_seeds=arguments.seeds,
        with_labels={"epochs": arguments.epochs, "accuracy": labelled},
        summary=_summary(runs, labelled),
    )


def _run(run, config, arguments):
    from tfssl.evaluation import linear_probe
    from tfssl.training.runs import load_run

    method, model = load_run(run)
    pretext = {k: v for k, v in method.evaluate(model, arguments.data).items() if isinstance(v, (int, float))}
    probe = linear_probe.evaluate(
        method.encoder(model), arguments.labelled / "train", test=arguments.labelled / "test", seeds=arguments.seeds
    )
    probe.pop("skipped", None)
    training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    print(f"{run}: pretext {pretext}\n  probe {probe}", flush=True)
    return {"seed": config.settings.seed, "training": training, "pretext": pretext, "probe": probe}


def _with_labels(method, arguments):
    accuracies = []
    for seed in range(arguments.seeds):
        accuracies.append(train_with_labels(method, arguments.labelled, seed=seed, epochs=arguments.epochs))
        print(f"{method.name()} with labels, seed {seed}: {accuracies[-1]:.4f}", flush=True)
    return accuracies


def _summary(runs, labelled):
    """Means over the runs; the tap of each run and of its untrained network is the best one by its test accuracy."""
    mean = statistics.mean
    return {
        "pretext_accuracy": mean(run["pretext"]["accuracy"] for run in runs),
        "probe": mean(run["probe"]["best_on_test"] for run in runs),
        "probe_untrained": mean(run["probe"]["untrained_best_on_test"] for run in runs),
        "probe_gain": mean(run["probe"]["gain_on_test"] for run in runs),
        "probe_chosen_tap": mean(run["probe"]["accuracy"] for run in runs),
        "probe_gain_chosen_tap": mean(run["probe"]["gain"] for run in runs),
        "probe_pixels": mean(run["probe"]["pixels_best_on_test"] for run in runs),
        **({"with_labels": mean(labelled)} if labelled else {}),
    }


if __name__ == "__main__":
    main()
