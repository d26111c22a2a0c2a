"""What unlabeled clips add to two labels a class: UNREG, SFA-1, SFA-2 and SSFA from five seeds.

    python benchmarks/slow_steady.py --videos videos_b [--picture slow_steady.png]

Each trains as slow_steady/cpu, and is measured on other images and clips. Three sets of data, all drawn anew from each
seed, with the same draw for all four:

- rendered: ten objects that turn; labeled are two views of each, measured are other views. As the paper's NORB.
- scenes: the 24 silent clips of people and things of `videos_b/misc`; the class is the clip. Unlabeled are the first
  70 % of each, labeled two frames of them, measured frames of the last 20 %.
- actions: UT-Interaction, six actions; unlabeled are the clips of the training recordings, labeled one frame from the
  middle of two of them for each action, measured frames from the middle half of the clips of the test recordings. As
  the paper's HMDB to PASCAL-10.

Writes results/slow_steady.json of all that was measured so far. Resumable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import kept, save, slim

PACKAGES = ("tensorflow", "keras", "numpy")
VARIANTS = {
    "UNREG": ["slowness=0"],
    "SFA-1": ["steadiness=0", "contrast=false"],
    "SFA-2": ["steadiness=0"],
    "SSFA": [],
}
DATA = ("rendered", "scenes", "actions")
LABELS = 2
VIEWS = 40  # of each rendered object, to measure
ACTIONS = ("handshake", "hug", "kick", "point", "punch", "push")
SIZE = 48  # shorter side of what is written of real clips, in pixels
FRAMES = {"scenes": 12, "actions": 5}  # of a clip, to measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--videos", type=Path, help="folder with meta.tsv, actions/ and misc/; without it only rendered"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of data and runs")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/slow_steady"), help="folder of data and run directories"
    )
    parser.add_argument("--only", nargs="+", choices=DATA, default=DATA, help="measure these now")
    parser.add_argument("--changes", nargs="*", default=[], help="key=value of the configuration, for a try: not saved")
    parser.add_argument("--picture", help="PNG to draw completed sequences of rendered objects into")
    arguments = parser.parse_args()
    for data in arguments.only:
        for seed in arguments.seeds:
            for variant in VARIANTS if data == "rendered" or arguments.videos else ():
                measure = functools.partial(learned, data, variant, seed, arguments)
                print(kept(arguments.runs / f"{data}-{variant}-{seed}.json", measure), flush=True)
    if arguments.changes:
        return
    from tfssl.config import load_config

    files = [sorted(arguments.runs.glob(f"{data}-{variant}-[0-9]*.json")) for data in DATA for variant in VARIANTS]
    save(
        "slow_steady",
        config=load_config("slow_steady/cpu").to_dict()
        | {"data": "see the benchmark", "seeds": arguments.seeds, "labels": LABELS, "variants": VARIANTS},
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        rows=[json.loads(file.read_text(encoding="utf-8")) for some in files for file in some],
    )
    if arguments.picture:
        from tfssl.training.runs import load_run

        method, model = load_run(arguments.runs / f"rendered-SSFA-{arguments.seeds[0]}")
        method.sample_sheet(model, str(arguments.runs / f"data/rendered-{arguments.seeds[0]}/test"), arguments.picture)


def learned(data, variant, seed, arguments):
    """Train one variant on one draw of the data, and measure it."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    folder = arguments.runs / "data" / f"{data}-{seed}"
    for half in ("train", "test"):
        if not (folder / half / "labeled").is_dir():
            MAKERS[data](half, seed, folder / half, arguments.videos)
    run = arguments.runs / f"{data}-{variant}-{seed}"
    fit(
        load_config(
            "slow_steady/cpu", [f"data={folder}/train", f"seed={seed}", *VARIANTS[variant], *arguments.changes]
        ),
        run,
    )
    method, model = load_run(run)
    row = {"data": data, "variant": variant, "seed": seed}
    return row | {
        "training": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "pretext": slim(method.evaluate(model, folder / "test")),
    }


def rendered(half, seed, out, videos):
    """Objects that turn: 12 clips of each to learn from and 3 to measure, none of them with a labeled view in it."""
    from tfssl.data.part_labeled import PartLabeledClips, write_part_labeled
    from tfssl.data.turntables import turned_views, turning_clips

    clips, views, first = {"train": (12, LABELS, 1000), "test": (3, VIEWS, 2000)}[half]
    source = PartLabeledClips(
        turning_clips(count=clips, seed=first + seed), turned_views(count=views, seed=first + seed)
    )
    write_part_labeled(source, out)


def scenes(half, seed, out, videos):
    """Clips of people and things, each a class of its own, divided in time."""
    rng = np.random.default_rng(seed)
    clips, images, labels = [], [], []
    paths = sorted((videos / "misc").glob("*.mp4"))
    for label, path in enumerate(paths):
        frames, times = decoded(path)
        part = slice(0, round(0.7 * len(frames))) if half == "train" else slice(round(0.8 * len(frames)), None)
        frames, times = frames[part], times[part]
        clips.append((frames, times - times[0]))
        if half == "train":
            chosen = rng.choice(len(frames), LABELS, replace=False)
        else:
            chosen = np.linspace(0, len(frames) - 1, FRAMES["scenes"]).round().astype(int)
        images += list(frames[chosen])
        labels += [label] * len(chosen)
    write(clips, images, labels, [path.stem for path in paths], out)


def actions(half, seed, out, videos):
    """Actions of two people; training and test recordings are of other pairs of people."""
    import csv

    rng = np.random.default_rng(seed)
    with open(videos / "meta.tsv", encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["label"] in ACTIONS and r["split"] == half]
    clips, images, labels = [], [], []
    for label, action in enumerate(ACTIONS):
        own = [decoded(videos / row["file"]) for row in rows if row["label"] == action]
        clips += own
        chosen = rng.choice(len(own), LABELS, replace=False) if half == "train" else range(len(own))
        for frames, _ in (own[number] for number in chosen):
            count, places = (1, (0.5,)) if half == "train" else (5, np.linspace(0.25, 0.75, FRAMES["actions"]))
            images += [frames[round(place * (len(frames) - 1))] for place in places]
            labels += [label] * count
    write(clips, images, labels, ACTIONS, out)


def decoded(path):
    from tfssl.data.clips import Clip

    clip = Clip(str(path), SIZE)
    return clip.frames(np.arange(len(clip))), clip.times


def write(clips, images, labels, classes, out):
    from tfssl.data.images import ArraySource
    from tfssl.data.labeled import LabeledImages
    from tfssl.data.part_labeled import PartLabeledClips, write_part_labeled

    write_part_labeled(
        PartLabeledClips(Frames(clips), LabeledImages("", ArraySource(images), tuple(labels), tuple(classes))), out
    )


class Frames(list):
    """Clips in memory, to be written."""

    def example(self, index):
        from tfssl.data.rendered import FrameClip

        return {"clip": FrameClip(*self[index])}


MAKERS = {"rendered": rendered, "scenes": scenes, "actions": actions}


if __name__ == "__main__":
    main()
