"""Whether telling a clip backwards helps to tell its future, on moving digits; what the state is worth; real clips.

    python benchmarks/video_lstm.py [--clips CLIPS --test OTHER_CLIPS] [--picture video_lstm.png]

Trains video_lstm/cpu with both decoders and with that of the future alone, conditional and not, on moving digits,
several seeds, and measures them on clips of other digits, beside copying the last frame. Then linear probes tell which
digit it is, and where it went, from the states after a clip, beside those of the same network untrained and pixels.
With --clips patches of real videos are told too. Writes results/video_lstm.json of all that was measured so far.
Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
BLIND = ("condition_reconstruction=false", "condition_future=false")
VARIANTS = {
    "composite": (),
    "future": ("objective=future",),
    "composite, unconditional": BLIND,
    "future, unconditional": ("objective=future", *BLIND),
    "reconstruction": ("objective=reconstruction",),
}
"""Name -> changes of video_lstm/cpu."""

PROBED = ("composite", "future", "reconstruction", "untrained")
SECTORS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
PROBE_CLIPS = {"builtin": 2000, "builtin:test": 1000}
REAL = ("loss=squared_error", "channels=3")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=Path("runs/video_lstm"), help="folder of the run directories")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="train these now")
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
            kept(_file(arguments, f"probe-{variant}", seed), functools.partial(probed, variant, seed, arguments))
        if arguments.clips:
            kept(_file(arguments, "clips", seed), functools.partial(learned, "clips", seed, arguments))
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
    """Train one variant from one seed, on digits or on videos, and measure it on others."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    train, test = (arguments.clips, arguments.test) if variant == "clips" else ("builtin", "builtin:test")
    changes = [f"data={train}", f"seed={seed}", *(REAL if variant == "clips" else VARIANTS[variant])]
    if arguments.steps:
        changes += [f"steps_per_epoch={arguments.steps // 4}", "epochs=4"]
    run = _run(arguments, variant, seed)
    fit(load_config("video_lstm/cpu", changes), run)
    method, model = load_run(run)
    training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {"variant": variant, "seed": seed, "training": training, "measured": slim(method.evaluate(model, test))}


def probed(variant, seed, arguments):
    """Linear probes of the states after clips: the digit, and the direction in which it went at last."""
    import keras

    from tfssl.config import load_config
    from tfssl.evaluation.tasks import linear_probe
    from tfssl.training.runs import load_run

    if variant == "untrained":
        keras.utils.set_random_seed(seed)
        method = load_config("video_lstm/cpu").method
        model = method.model()
    else:
        method, model = load_run(_run(arguments, variant, seed))
    found, encoder = {"variant": variant, "seed": seed}, method.encoder(model)
    for question in ("digit", "direction"):
        sets = [labeled(method, data, question) for data in PROBE_CLIPS]
        record = linear_probe.evaluate(encoder, sets[0], test=sets[1], seeds=1, trained=False)
        found[question] = slim(record)
    return found


def labeled(method, data, question):
    """Moving digits with a class each, by which digit it is, or by where it went between the last two frames read."""
    import dataclasses

    from sklearn.datasets import load_digits

    from tfssl.data import LabeledClips

    source = dataclasses.replace(method.open(data), number=PROBE_CLIPS[data], seed=7 + (data == "builtin:test"))
    targets = load_digits().target
    targets = targets[: len(source.digits)] if data == "builtin" else targets[-len(source.digits) :]
    labels = []
    for index in range(len(source)):
        numbers, places = source.path(index)
        x, y = np.subtract(*places[[method.input_frames - 1, method.input_frames - 2], 0])
        sector = round(np.degrees(np.arctan2(y, x)) / 45) % 8
        labels.append(int(targets[numbers[0]]) if question == "digit" else sector)
    classes = tuple(map(str, range(10))) if question == "digit" else SECTORS
    return LabeledClips(f"moving digits ({data})", source, tuple(labels), classes)


if __name__ == "__main__":
    main()
