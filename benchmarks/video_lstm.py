"""Whether telling a clip backwards helps to tell its future, on moving digits; what the state is worth; real clips.

    python benchmarks/video_lstm.py [--clips CLIPS --test OTHER_CLIPS] [--picture video_lstm.png]

Trains video_lstm/cpu with both decoders and with that of the future alone, conditional and not, on moving digits,
several seeds, and measures them on clips of other digits, beside copying the last frame. Then linear probes tell which
digit it is, and where it went, from the states after a clip, beside those of the same network untrained and pixels.
With --clips real videos are told too. Writes results/video_lstm.json of all that was measured so far.
Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import kept, save, slim

from tfssl.data import FrameClip, Source
from tfssl.data.windows import square_frames

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
CONDITIONAL = ("condition_reconstruction=true", "condition_future=true")
VARIANTS = {
    "composite": (),
    "future": ("objective=future",),
    "composite, conditional": CONDITIONAL,
    "future, conditional": ("objective=future", *CONDITIONAL),
}
"""Name -> changes of video_lstm/cpu."""

PROBED = ("composite", "future", "untrained", "pixels")
SECTORS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
PROBE_CLIPS = {"builtin": 2000, "builtin:test": 1000}
REAL = ("loss=squared_error", "channels=3", *CONDITIONAL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/video_lstm"), help="folder of the run directories")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS), help="train these now")
    parser.add_argument("--probe", action="store_true", help="probe the states of what was trained")
    parser.add_argument("--clips", help="videos to learn from")
    parser.add_argument("--test", help="other videos")
    parser.add_argument("--steps", type=int, help="of each training, if not those of video_lstm/cpu")
    parser.add_argument("--picture", help="PNG to draw clips and what is told of them into")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for variant in arguments.only:
            kept(_file(arguments, variant, seed), functools.partial(learned, variant, seed, arguments))
        for variant in PROBED if arguments.probe else ():
            if variant == "pixels" and seed:  # they are the same for all
                continue
            kept(_file(arguments, f"probe-{variant}", seed), functools.partial(probed, variant, seed, arguments))
        if arguments.clips:
            kept(_file(arguments, "clips", seed), functools.partial(real, seed, arguments))
    from tfssl.config import load_config

    save(
        "video_lstm",
        config=load_config("video_lstm/cpu").to_dict() | ({"steps": arguments.steps} if arguments.steps else {}),
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        rows=_found(arguments, VARIANTS),
        probes=_found(arguments, [f"probe-{variant}" for variant in PROBED]),
        clips=_found(arguments, ["clips"]),
    )
    if arguments.picture:
        from tfssl.training.runs import load_run

        method, model = load_run(_run(arguments, "composite", arguments.seeds[0]))
        method.sample_sheet(model, "builtin:test", arguments.picture)


def _run(arguments, variant, seed):
    return arguments.runs / f"{variant.replace(', ', '_')}-{seed}"


def _file(arguments, variant, seed):
    return _run(arguments, variant, seed).with_suffix(".json")


def _found(arguments, variants):
    """What was measured of variants, seed after seed."""
    files = (file for one in variants for file in sorted(arguments.runs.glob(_file(arguments, one, "[0-9]*").name)))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def learned(variant, seed, arguments):
    """Train one variant from one seed, and measure it on other digits."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    changes = ["data=builtin", f"seed={seed}", *VARIANTS[variant]]
    if arguments.steps:
        changes += [f"steps_per_epoch={arguments.steps // 4}", "epochs=4"]
    run = _run(arguments, variant, seed)
    fit(load_config("video_lstm/cpu", changes), run)
    method, model = load_run(run)
    training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {
        "variant": variant,
        "seed": seed,
        "training": training,
        "measured": slim(method.evaluate(model, "builtin:test")),
    }


def real(seed, arguments):
    """Train on real videos, and measure on others; all are decoded once, at the size of the frames."""
    import keras

    from tfssl.config import load_config

    config = load_config("video_lstm/cpu", REAL)
    method, steps = config.method, arguments.steps or config.settings.steps_per_epoch * config.settings.epochs
    train, test = (Decoded(method.open(data), method.crop_size) for data in (arguments.clips, arguments.test))
    keras.utils.set_random_seed(seed)
    rate = keras.optimizers.schedules.CosineDecay(config.settings.learning_rate, steps)
    model = method.model(keras.optimizers.Adam(rate))
    model.fit(method.dataset(train, batch_size=config.settings.batch_size, seed=seed, start=0, count=steps), verbose=0)
    method.sample_sheet(model, test, arguments.runs / f"clips-{seed}.png")
    return {"seed": seed, "videos": len(train), "measured": slim(method.evaluate(model, test))}


class Decoded(Source):
    """The clips of a source in memory, their frames' central squares."""

    noun = "clips"

    def __init__(self, source, size):
        clips = (source.example(index)["clip"] for index in range(len(source)))
        self._clips = [FrameClip(square_frames(clip, np.arange(len(clip)), size)) for clip in clips]

    def __len__(self):
        return len(self._clips)

    def example(self, index):
        return {"clip": self._clips[index]}

    def check(self, index):
        """Nothing to find out: all are decoded."""


def probed(variant, seed, arguments):
    """Linear probes of the states after clips: the digit, and the direction in which it went at last."""
    import keras

    from tfssl.config import load_config
    from tfssl.evaluation.baselines import pixel_encoder
    from tfssl.evaluation.features import labeled_sets
    from tfssl.evaluation.tasks import linear_probe
    from tfssl.training.runs import load_run

    if variant in ("untrained", "pixels"):
        keras.utils.set_random_seed(seed)
        method = load_config("video_lstm/cpu").method
        model = method.model()
    else:
        method, model = load_run(_run(arguments, variant, seed))
    found, encoder = {"variant": variant, "seed": seed}, method.encoder(model)
    for question in ("digit", "direction"):
        sets = labeled_sets(*(labeled(method, data, question) for data in PROBE_CLIPS), encoder=encoder)
        with sets.features(pixel_encoder(method.input_frames) if variant == "pixels" else encoder) as parts:
            runs = list(linear_probe.probe("encoder", [seed], *parts))
        chosen = max(runs, key=lambda run: run.held_out)
        taps = {run.tap: run.metrics["accuracy"] for run in runs}
        found[question] = {
            "tap": chosen.tap,
            "accuracy": chosen.metrics["accuracy"],
            "taps": taps,
            "chance": sets.chance,
        }
    return found


def labeled(method, data, question):
    """Moving digits with a class each, by which digit it is, or by where it went between the last two frames read."""
    import dataclasses

    from sklearn.datasets import load_digits

    from tfssl.data import LabeledClips

    # Probes take frames from the middle of a clip: here it has no others.
    changes = {"frames": method.input_frames, "number": PROBE_CLIPS[data], "seed": 7 + (data == "builtin:test")}
    source = dataclasses.replace(method.open(data), **changes)
    targets = load_digits().target
    targets = targets[: len(source.digits)] if data == "builtin" else targets[-len(source.digits) :]
    labels = []
    for index in range(len(source)):
        numbers, places = source.path(index)
        x, y = np.subtract(*places[[-1, -2], 0])
        sector = round(np.degrees(np.arctan2(y, x)) / 45) % 8
        labels.append(int(targets[numbers[0]]) if question == "digit" else sector)
    classes = tuple(map(str, range(10))) if question == "digit" else SECTORS
    return LabeledClips(f"moving digits ({data})", source, tuple(labels), classes)


if __name__ == "__main__":
    main()
