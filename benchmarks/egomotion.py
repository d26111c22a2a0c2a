"""Whether the motion between two images is told, and what the features that tell it are worth: several seeds.

    python benchmarks/egomotion.py --train PHOTOS --data HELD_OUT --labeled caltech101_96 [--picture egomotion.png]

Shifts of textures, blurred noise, by whole pixels of up to 3 along both axes are told by a shallow network, beside
logistic regression on the pixels of both crops. Then egomotion/cpu and its slowness learn from photographs, are
measured on held-out ones, and their taps are probed, beside the same network untrained. Writes results/egomotion.json
of all that was measured so far. Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import kept, save, slim
from probing import probed

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
TOY = {"pairs": "moved", "degrees": 0.0, "backbone": "shallow", "crop_size": 16, "fc": 128, "dropout": 0.0}
TOY["merge"] = (64,)
TOY_STEPS, TEXTURES, TEXTURE_SIZE = 1000, 2000, 32
OBJECTIVES = ("egomotion", "slowness", "untrained")
PARTS = ("toy", *OBJECTIVES)
SIZE, POOL = 64, 4  # pixels of the images that are probed; rows and columns of the maps, about 1500 numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="photographs to learn from")
    parser.add_argument("--data", required=True, help="other photographs, to tell motions of")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/egomotion"), help="folder of the run directories")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now: " + ", ".join(PARTS)
    )
    parser.add_argument("--steps", type=int, help="of each training on photographs, if not those of egomotion/cpu")
    parser.add_argument("--picture", help="PNG to draw pairs and motions of the builtin photographs into")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for part in arguments.only:
            measure = functools.partial(toy if part == "toy" else learned, part, seed, arguments)
            print(kept(arguments.runs / f"{part}-{seed}.json", measure), flush=True)
    found = {}
    for part in PARTS:
        files = sorted(arguments.runs.glob(f"{part}-[0-9]*.json"))
        found[part] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    from tfssl.config import load_config

    save(
        "egomotion",
        config=load_config("egomotion/cpu").to_dict()
        | {"data": "training photographs", "seeds": arguments.seeds, "image_size": SIZE, "pool": POOL}
        | ({"steps": arguments.steps} if arguments.steps else {})
        | {"toy": TOY | {"steps": TOY_STEPS, "textures": TEXTURES, "texture_size": TEXTURE_SIZE}},
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        toy=found["toy"],
        rows=[row for objective in OBJECTIVES for row in found[objective]],
    )
    if arguments.picture:
        from tfssl.training.runs import load_run

        method, model = load_run(arguments.runs / f"egomotion-{arguments.seeds[0]}")
        method.sample_sheet(model, "builtin", arguments.picture)


def toy(part, seed, arguments):
    """Shifts of textures: accuracy of each axis on other textures, beside chance and pixels."""
    import keras
    from scipy.ndimage import gaussian_filter

    from tfssl.evaluation.logistic import Rows, accuracy, fit
    from tfssl.methods import Egomotion

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(2, TEXTURES, TEXTURE_SIZE, TEXTURE_SIZE)), (0, 0, 1.5, 1.5))
    textures, others = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    method, found = Egomotion(**TOY), {"part": part, "seed": seed}
    (pairs, labels), (tests, truth) = (
        [
            np.asarray(part)
            for part in next(iter(method.dataset(data, batch_size=TEXTURES, seed=seed, start=0, count=1)))
        ]
        for data in (textures, others)
    )
    pixels = Rows(pairs.reshape(TEXTURES, -1))
    for number, (axis, classes) in enumerate(method.heads.items()):
        classifier = fit(pixels, labels[:, number], classes, TEXTURES)
        tested = pixels.project(tests.reshape(TEXTURES, -1))
        found[f"pixels_{axis}"] = accuracy(classifier, tested, truth[:, number])
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, TOY_STEPS)))
    model.fit(method.dataset(textures, batch_size=64, seed=seed, start=0, count=TOY_STEPS), verbose=0)
    record = method.evaluate(model, others, seed=seed)
    return found | {axis: record[f"accuracy_{axis}"].value for axis in method.heads} | {"pretext": slim(record)}


def learned(objective, seed, arguments):
    """Train one objective from one seed, measure it, and probe its taps; or only probe what is not trained."""
    import keras

    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    row = {"objective": objective, "seed": seed}
    if objective == "untrained":
        method = load_config("egomotion/cpu").method
        keras.utils.set_random_seed(seed)
        return row | {
            "probe": probed(method.encoder(method.model()), arguments.labeled, seed, image_size=SIZE, pool=POOL)
        }
    run = arguments.runs / f"{objective}-{seed}"
    changes = [f"data={arguments.train}", f"seed={seed}", f"objective={objective}"]
    if arguments.steps:
        changes += [f"steps_per_epoch={arguments.steps // 4}", "epochs=4"]
    fit(load_config("egomotion/cpu", changes), run)
    method, model = load_run(run)
    return row | {
        "training": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "pretext": slim(method.evaluate(model, arguments.data)),
        "probe": probed(method.encoder(model), arguments.labeled, seed, image_size=SIZE, pool=POOL),
    }


if __name__ == "__main__":
    main()
