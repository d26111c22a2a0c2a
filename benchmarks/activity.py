"""Activities in rendered stereo clips: told by depth, by motion, by both, and by depth and motion put together.

python benchmarks/activity.py [--seeds N] [--clips N] [--steps N]

For each seed the three forms of synchrony learn from unlabeled stereograms and clips, rendered from one half of the
builtin photographs; then the task activity, on labeled stereo clips of eight motions: those for training rendered from
the same half, those for the test from the other one. Beside them the same networks untrained. Means and deviations are
over the seeds, of everything: clips, learning, words. Goes on from what is done. Writes results/activity.json.
"""

import argparse
import statistics
import time
from pathlib import Path

from machine import WORK, kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
FRAMES = 4  # of a block
SIZE = (40, 40)  # of the labeled clips
WORDS, SAMPLES = 200, 10_000
FORMS = {
    "depth": {"form": "depth", "components": 80},
    "motion": {"form": "motion", "frames": FRAMES, "components": 100},
    "both": {"form": "both", "frames": FRAMES, "components": 100},
}
BOTH = "both"  # what the task calls the encoder; it measures the same network untrained by itself
NAMES = ("depth", "motion", "average", "concatenate", "untrained", "untrained depth", "untrained motion", "chance")


def learned(form, photographs, steps, seed, path):
    """The encoder of a form, and the loss as a fraction of that of answering zero; kept in files."""
    import keras

    from tfssl.data.rendered import moving_source, stereogram_source
    from tfssl.files import read_json, write_json
    from tfssl.methods import Synchrony

    if path.with_suffix(".json").is_file():
        return keras.saving.load_model(path), read_json(path.with_suffix(".json"))["loss"]

    if form == "depth":
        source = stereogram_source(photographs, noise=2.0, seed=seed)
    else:
        disparities = (-4, 4) if form == "both" else None
        source = moving_source(photographs, frames=FRAMES, disparities=disparities, seed=seed)
    method = Synchrony(units=128, patches=64, **FORMS[form])
    method = method.adapted(method.adapt(source))
    keras.utils.set_random_seed(seed)
    model = method.model(keras.optimizers.Adam(0.001))  # SGD at 0.005 became NaN on clips
    batches = method.dataset(source, batch_size=128, seed=seed).take(steps)
    model.fit(batches, verbose=0)
    encoder = method.encoder(model)
    loss = model.evaluate(method.dataset(source, batch_size=128, seed=seed + 1000).take(20), verbose=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder.save(path)
    write_json(path.with_suffix(".json"), {"loss": loss / method.baseline})
    return encoder, loss / method.baseline


def one_seed(arguments, seed):
    """Record of the task of one seed, the losses, and the seconds that it took."""
    from tfssl.data.acted import acted_clips
    from tfssl.data.builtin import builtin_photographs
    from tfssl.evaluation import get_task
    from tfssl.evaluation.baselines import untrained

    begun = time.perf_counter()
    photographs = builtin_photographs()
    train, test = (
        acted_clips(photographs[part::2], count=arguments.clips, size=SIZE, seed=2 * seed + part) for part in (0, 1)
    )  # fmt: skip
    encoders, losses = {}, {}
    for form in FORMS:
        path = Path(arguments.work) / f"{form}-{arguments.steps}-{seed}.keras"
        encoders[form], losses[form] = learned(form, photographs[::2], arguments.steps, seed, path)
        if form != BOTH:
            encoders[f"untrained {form}"] = untrained(encoders[form], seed)
        print(f"seed {seed}, {form}: loss {losses[form]:.3f} of that of zero", flush=True)
    taught = time.perf_counter()
    out = None if arguments.pictures is None else Path(arguments.pictures) / str(seed)
    record = get_task("activity")(
        encoders.pop(BOTH), train, test=test, compare=encoders, fuse=("depth", "motion"), seeds=1,
        words=WORDS, samples=SAMPLES, out=out,
    )  # fmt: skip
    seconds = {"learning": taught - begun, "task": time.perf_counter() - taught}
    return {**slim(record), "protocol": record.protocol, "losses": losses, "seconds": seconds}


def summary(records):
    """``{metric: {encoder: {"mean", "std", "values"}}}`` over the seeds."""
    found = {}
    for metric in records[0]["metrics"]:
        if metric != "map" and metric != "accuracy" and not metric.startswith("ap_"):
            continue
        for name in (BOTH, *NAMES):
            own = [record["metrics"][metric] for record in records]
            values = [one["value"] if name == BOTH else one["baselines"].get(name) for one in own]
            if None not in values:
                std = statistics.stdev(values) if len(values) > 1 else None
                found.setdefault(metric, {})[name] = {"mean": statistics.mean(values), "std": std, "values": values}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=15, help="of each motion, for training, and for the test")
    parser.add_argument("--steps", type=int, default=1000, help="of learning without labels, batches of 128")
    parser.add_argument("--pictures", default=None, help="folder for confusion matrices")
    parser.add_argument("--work", default=WORK / "activity", help="folder of what is done")
    parser.add_argument("--out", default=None, help="folder of the results")
    arguments = parser.parse_args()
    records = []
    for seed in range(arguments.seeds):
        path = Path(arguments.work) / f"{arguments.clips}-{arguments.steps}-{seed}.json"
        records.append(kept(path, lambda seed=seed: one_seed(arguments, seed)))
    results = summary(records)
    for name, values in results["map"].items():
        print(f"{name:20s} mean average precision {values['mean']:.3f}")
    seconds = {part: [record["seconds"][part] for record in records] for part in ("learning", "task")}
    config = {"seeds": arguments.seeds, "clips": arguments.clips, "steps": arguments.steps, "frames": FRAMES}
    config |= {"size": SIZE, "forms": FORMS}
    more = {"results": results, "protocol": records[0]["protocol"], "losses": [record["losses"] for record in records]}
    save(
        "activity", config=config, packages=PACKAGES, seconds=seconds, comparisons=[],
        out=arguments.out, **more,
    )  # fmt: skip


if __name__ == "__main__":
    main()
