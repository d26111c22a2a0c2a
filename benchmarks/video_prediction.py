"""Whether futures are predicted, and whether other actions give other futures: several seeds, trivial baselines beside.

    python benchmarks/video_prediction.py [--picture video_prediction.png --masks video_prediction_masks.png]

Learns video_prediction/cpu from clips rendered with six of the builtin photographs, in its three forms and without
actions, and measures it on clips rendered with the other two: beside repeating the last frame, all actions negated, and
no training. Then the same scenes are rendered with the actions negated after the context, and predicted so: whether
the finger goes where it is told is measured in the predicted frames. Writes results/video_prediction.json of all that
was measured so far. Resumable.
"""

import argparse
import functools
import json
import shutil
from pathlib import Path

import numpy as np
from machine import kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-image")
HELD_OUT = ("chelsea.png", "china.jpg")
CLIPS, TESTED, FRAMES = 500, 100, 12
VARIANTS = {
    "cdna": {},
    "stp": {"motion": "stp"},
    "dna": {"motion": "dna", "masks": 1},
    "no actions": {"actions": 0, "states": 0},
    "untrained": {},
}
FAR = 2.0  # pixels that the finger is moved by along the way it is told, so that its direction counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/video_prediction"), help="folder of the run directories"
    )
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="measure these now")
    parser.add_argument("--steps", type=int, help="of each training, if not those of video_prediction/cpu")
    parser.add_argument("--picture", help="PNG to draw futures of held-out clips into")
    parser.add_argument("--masks", help="PNG to draw their masks into")
    arguments = parser.parse_args()
    for variant in arguments.only:
        for seed in arguments.seeds:
            measure = functools.partial(learned, variant, seed, arguments)
            print(kept(arguments.runs / f"{variant}-{seed}.json".replace(" ", "_"), measure), flush=True)
    rows = []
    for variant in VARIANTS:
        files = sorted(arguments.runs.glob(f"{variant}-[0-9]*.json".replace(" ", "_")))
        rows += [json.loads(file.read_text(encoding="utf-8")) for file in files]
    from tfssl.config import load_config

    changed = {"data": "rendered", "held_out": HELD_OUT, "clips": CLIPS, "tested": TESTED, "seeds": arguments.seeds}
    changed |= {"steps": arguments.steps} if arguments.steps else {}
    save(
        "video_prediction",
        config=load_config("video_prediction/cpu").to_dict() | changed | {"far": FAR},
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        rows=rows,
    )
    if arguments.picture:
        from tfssl.training.runs import load_run

        method, model = load_run(arguments.runs / f"cdna-{arguments.seeds[0]}")
        out = arguments.runs / "pictures"
        method.evaluate(model, rendered("test"), out=out, limit=1)
        shutil.copy(out / "sheet.png", arguments.picture)
        if arguments.masks:
            shutil.copy(out / "masks.png", arguments.masks)


def rendered(part):
    """The clips of a part: of other photographs, and from another seed."""
    from tfssl.data.builtin import builtin_photographs
    from tfssl.data.pushed import pushed_source

    images = [str(path) for path in builtin_photographs() if (path.name in HELD_OUT) == (part == "test")]
    return pushed_source(images, count=TESTED if part == "test" else CLIPS, frames=FRAMES, seed=int(part == "test"))


def learned(variant, seed, arguments):
    """Train one variant from one seed and measure it."""
    import keras

    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    row, options = {"variant": variant, "seed": seed}, VARIANTS[variant]
    if variant == "untrained":
        method = load_config("video_prediction/cpu").method
        keras.utils.set_random_seed(seed)
        model = method.model()
    else:
        run = arguments.runs / f"{variant}-{seed}".replace(" ", "_")
        changes = [f"data={training_clips(arguments)}", f"seed={seed}"]
        changes += [f"{name}={value}" for name, value in options.items()]
        if arguments.steps:
            changes += [f"steps_per_epoch={arguments.steps // 4}", "epochs=4"]
        fit(load_config("video_prediction/cpu", changes), run)
        method, model = load_run(run)
        row["training"] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    row["futures"] = slim(method.evaluate(model, rendered("test")))
    return row | ({"flipped": flipped(method, model)} if method.actions else {})


def training_clips(arguments):
    """Folder of the training clips, as a user has them; written once."""
    from tfssl.data.action_clips import write_clip

    folder, source = arguments.runs / "clips", rendered("train")
    for number in range(len(source)):
        if not (folder / f"push{number:03}" / "states.csv").is_file():
            write_clip(source.example(number), str(folder / f"push{number:03}"))
    return folder


def flipped(method, model):
    """Futures of the same scenes with the true actions, and with those after the context negated.

    ``mse`` and ``copying``, of the future in which they are negated; ``own_nearer``: fraction of predictions, of either
    future, that are nearer to it than to the other one. In the ``clips`` in which the finger truly goes ``FAR`` it is
    looked for in the last frame along its way, see :func:`gone`: ``way``, the mean of that; ``right`` and ``unmoved``,
    fractions of clips in which it is above 0 and 0; and the same in true frames, ``true_way`` and so on. Of the other
    future they end in ``_negated``.
    """
    from tfssl.evaluation.futures import repeated
    from tfssl.methods.video_prediction.data import to_batch
    from tfssl.methods.video_prediction.evaluate import predicted

    source, last = rendered("test"), method.frames
    truth, guessed, found = {}, {}, {}
    for sign, ending in ((1, ""), (-1, "_negated")):
        acted = []
        for number in range(len(source)):
            actions = source.actions(number)
            actions[method.context - 1 :] *= sign
            acted.append(source.acted(number, actions))
        frames = np.stack([example["clip"].pixels[:last] for example in acted])
        rows = [np.stack([example[name][:last] for example in acted]) for name in ("actions", "states")]
        inputs, targets = to_batch(method, frames, *rows)
        parts = [{name: v[i : i + 25] for name, v in inputs.items()} for i in range(0, len(frames), 25)]
        truth[sign] = targets["frames"]
        guessed[sign] = np.concatenate([predicted(method, model, part)["frames"] for part in parts])
        copied = repeated(inputs["frames"][:, : method.context], method.steps)
        places = (rows[1][:, [method.context - 1, last - 1]] + 0.5) * source.size
        far = np.hypot(*(places[:, 1] - places[:, 0]).T) > FAR
        found[f"clips{ending}"] = int(far.sum())
        for name, shown in (("", guessed[sign]), ("true_", truth[sign])):
            parts = [gone(f, *ends) for f, ends in zip(shown[far, -1], places[far], strict=True)]
            found[f"{name}way{ending}"] = float(np.mean(parts))
            found[f"{name}right{ending}"] = float(np.mean(np.array(parts) > 0))
            found[f"{name}unmoved{ending}"] = float(np.mean(np.array(parts) == 0))

    def distance(first, second):
        return np.square(first - second).mean(axis=(1, 2, 3, 4))

    nearer = [distance(guessed[s], truth[s]) < distance(guessed[s], truth[-s]) for s in (1, -1)]
    errors = {"mse": distance(guessed[-1], truth[-1]), "copying": distance(copied, truth[-1]), "own_nearer": nearer}
    return {name: float(np.mean(values)) for name, values in errors.items()} | found


def gone(frame, start, end):
    """Which part of its way from ``start`` to ``end`` the finger has gone, from -1 to 1: where its tip fits best."""
    parts = np.round(np.linspace(-1, 1, 21), 1)
    errors = []
    for part in parts:
        tip, opacity = drawn_tip(start + part * (end - start), len(frame))
        errors.append((np.square(opacity * frame - tip).sum()) / opacity.sum())
    return float(parts[int(np.argmin(errors))])


def drawn_tip(place, size):
    """The finger's tip at a place, times its opacity, on black, and that opacity: float (size, size, 3) each."""
    from PIL import Image

    from tfssl.data.pushed import FINGER, draw_finger, put

    finger, radius = draw_finger(size), FINGER * size
    height = 2 * (int(np.ceil(radius)) + 1)
    tip = finger.crop((0, finger.height - height, *finger.size))
    shown = []
    for level in (0, 255):
        image = Image.new("RGB", (size, size), (level,) * 3)
        put(image, tip, place - [tip.width / 2, height - radius - 1])
        shown.append(np.asarray(image, np.float64) / 255)
    return shown[0], 1 - (shown[1] - shown[0])


if __name__ == "__main__":
    main()
