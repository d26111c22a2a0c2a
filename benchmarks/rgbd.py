"""Split-brain autoencoders of color and depth (HHA): what they predict, and what late fusion of their features gains.

    python benchmarks/rgbd.py --work WORK [--seeds 0 1 2]

Renders rooms (rooms.py) into WORK, encodes their depth, trains configs/split_brain/rgbd.yaml on smaller crops and for
fewer steps from each seed, measures the predictions on other rooms, and fits linear probes of the things in labeled
rooms to color, to depth, and to both (tfssl/evaluation/fusion.py), beside the same networks untrained. Also how large
the gradients of both branches of the depth network are at conv5, with the weight of ab and without. Writes
results/rgbd/SEED.json. Resumable.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import rooms
from machine import RESULTS, save, slim

TRAIN, HELD_OUT, LABELED = 600, 120, 320  # rooms; so many labeled ones to fit, and to test
CONFIG = "split_brain/rgbd"
SMALLER = ("resize=56", "crop_size=40", "epochs=2", "steps_per_epoch=200", "warmup_steps=50")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, type=Path, help="folder of the rooms and of the run directories")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    arguments = parser.parse_args()
    prepare(arguments.work)
    for seed in arguments.seeds:
        if not (RESULTS / f"rgbd/{seed}.json").exists():
            measure(arguments.work, seed)


def prepare(work):
    """Rooms to learn from, to predict, to fit probes to and to test them, as color and HHA."""
    from tfssl.data import write_hha

    for seed, (name, count) in enumerate({"learn": TRAIN, "held_out": HELD_OUT}.items()):
        rooms.write(work / "rooms" / name, count, seed)
        write_hha(work / "rooms" / name, work / name, **rooms.CAMERA)
    for seed, name in enumerate(("train", "test"), start=2):
        rooms.write(work / "rooms" / name, LABELED, seed, labels=True)
        for kind in rooms.KINDS:
            write_hha(work / "rooms" / name / kind, work / name / kind, **rooms.CAMERA)


def measure(work, seed):
    import keras

    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    config, run = load_config(CONFIG, [f"data={work / 'learn'}", f"seed={seed}", *SMALLER]), work / "runs" / str(seed)
    keras.utils.set_random_seed(seed)
    untrained = config.method.model()
    before = gradients(config.method, untrained, work)
    fit(config, run)
    method, model = load_run(run)
    pretext = method.evaluate(model, work / "held_out")
    print(*pretext.lines(), sep="\n  ", flush=True)
    fused = {"trained": probes(method, model, work), "untrained": probes(method, untrained, work)}
    save(
        f"rgbd/{seed}",
        config=config.to_dict() | {"data": "rendered rooms"},
        packages=("tensorflow", "keras", "numpy", "scikit-learn"),
        seconds={},
        comparisons=[],
        seed=seed,
        rooms={"learned_from": TRAIN, "held_out": HELD_OUT, "labeled": LABELED, "tested": LABELED},
        training=json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        pretext=slim(pretext),
        probe=fused,
        gradients_at_conv5={"untrained": before, "trained": gradients(method, model, work)},
    )


def probes(method, model, work):
    """Accuracy of the probes of color, of depth, and of the mean of their probabilities."""
    from tfssl.evaluation.fusion import late_fusion
    from tfssl.methods.split_brain.network import build_depth_encoder

    encoders = {"color": method.encoder(model), "hha": build_depth_encoder(model)}
    found = late_fusion(encoders, work / "train", work / "test", pool=4, seeds=1)
    accuracy = found["accuracy"]
    values = {"color": accuracy.baselines["color"], "hha": accuracy.baselines["hha"], "both": accuracy.value}
    print(values, flush=True)
    return values | {"chance": accuracy.baselines["chance"], "taps": found.details["taps"]}


def gradients(method, model, work):
    """Norm of the gradient of each loss with respect to conv5 of the depth network, without its weight and with it."""
    import keras
    import tensorflow as tf

    from tfssl.methods.split_brain.network import streams

    stream, loss = streams(model)["hha"], method.loss()
    outputs = {name: model.get_layer(f"{name}_scores")(stream.output[f"{name}_fc7"]) for name in ("ab", "lightness")}
    top = keras.Model(stream.output["conv5"], outputs)
    maps, truth = next(iter(method.dataset(work / "held_out", batch_size=32, training=False)))
    conv5 = stream((maps - tf.constant([0.0] * 3 + [127.5] * 3))[..., 3:], training=False)["conv5"]
    found = {}
    for name in outputs:
        with tf.GradientTape() as tape:
            tape.watch(conv5)
            scores = top(conv5, training=False)
            hha = tf.zeros((*scores["ab"].shape[:-1], 3))
            parts = loss.parts(truth, tf.concat([scores["ab"], scores["lightness"], hha], axis=-1))
            value = tf.reduce_mean(parts[name])
        norm = float(np.linalg.norm(tape.gradient(value, conv5)))
        # The loss of L is in units of 50: in those of L itself, as the paper weighs it, it is 2500 times as large.
        in_units = 1.0 if name == "ab" else loss.weights["lightness"]
        found[name] = {"unweighted": norm * in_units, "weighted": norm * loss.weights[name]}
    return found


if __name__ == "__main__":
    main()
