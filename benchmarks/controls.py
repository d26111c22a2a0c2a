"""Split-brain autoencoders beside the paper's controls, all trained alike and short, from several seeds, and probed.

    python benchmarks/controls.py --train PHOTOS --data HELD_OUT --labeled caltech101_96 [--only split --seeds 0]

Trains configs/split_brain/cpu.yaml, on smaller crops, in smaller batches and for fewer steps, with each task, measures
the predictions on held-out photographs, and fits linear probes to every tap (tfssl/evaluation/tasks/linear_probe.py).
Beside them stand the same networks untrained, and the pixels. Writes results/controls/NAME-SEED.json for each.
Resumable.
"""

import argparse
import json
from pathlib import Path

from machine import RESULTS, save, slim

TASKS = ("split", "l_to_ab", "ab_to_l", "ensemble", "shared", "mixture", "autoencoder")
UNTRAINED = {"untrained split": "split", "untrained l_to_ab": "l_to_ab"}  # both halves, and one network of full width
PIXELS = "pixels"
SIZE = 48  # pixels of the photographs' shorter side, and of the images that are probed
SMALLER = (f"resize={SIZE}", "crop_size=32", "batch_size=16", "epochs=4")
POOL = 3  # rows and columns of the maps that are probed: about a thousand numbers
NAMES = (*TASKS, *UNTRAINED, PIXELS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs, to predict")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    parser.add_argument("--runs", type=Path, default=Path("runs/controls"), help="folder of the run directories")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name in arguments.only:
            result = f"controls/{name.replace(' ', '_')}-{seed}"
            if not (RESULTS / f"{result}.json").exists():
                print(f"{name}, seed {seed}", flush=True)
                save(
                    result,
                    packages=("tensorflow", "keras", "numpy", "scikit-learn"),
                    seconds={},
                    comparisons=[],
                    control=name,
                    seed=seed,
                    **measured(name, seed, arguments),
                )


def measured(name, seed, arguments):
    """Train one task from one seed, predict, and probe; or only probe what is not trained."""
    import keras

    from tfssl.config import load_config
    from tfssl.evaluation.runner import pixel_encoder
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    config = load_config(
        "split_brain/cpu",
        [
            f"task={UNTRAINED.get(name, name if name in TASKS else 'split')}",
            f"data={arguments.train}",
            f"seed={seed}",
            *SMALLER,
            f"steps_per_epoch={arguments.steps // 4}",
        ],
    )
    about = {"config": config.to_dict() | {"data": "training photographs"}}
    if name in TASKS:
        run = arguments.runs / f"{name}-{seed}"
        fit(config, run)
        method, model = load_run(run)
        about["training"] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        about["pretext"] = slim(method.evaluate(model, arguments.data))
        return about | probed(method.encoder(model), seed, arguments)
    keras.utils.set_random_seed(seed)
    encoder = pixel_encoder() if name == PIXELS else config.method.encoder(config.method.model())
    return about | probed(encoder, seed, arguments)


def probed(encoder, seed, arguments):
    """Linear probes of every tap; the tap that counts is chosen on held-out images of the training set."""
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe

    sets = labeled_sets(arguments.labeled / "train", arguments.labeled / "test", image_size=SIZE)
    with sets.features(encoder, pool=POOL if PIXELS not in encoder.output else None) as parts:
        runs = list(linear_probe.probe("encoder", [seed], *parts))
    chosen = max(runs, key=lambda run: run.held_out)
    taps = {run.tap: {"accuracy": run.metrics["accuracy"], "held_out": run.held_out, **run.about} for run in runs}
    probe = {"tap": chosen.tap, "accuracy": chosen.metrics["accuracy"], "chance": sets.chance, **sets.counts}
    print(
        f"  {chosen.tap} {probe['accuracy']:.4f}", {tap: round(v["accuracy"], 3) for tap, v in taps.items()}, flush=True
    )
    return {"probe": probe, "taps": taps}


if __name__ == "__main__":
    main()
