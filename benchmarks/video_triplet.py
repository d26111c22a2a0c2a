"""Tracks mined from clips and from rendered scenes, what is learned from them, and what its features are worth.

    python benchmarks/video_triplet.py --clips CLIPS ... --photos PHOTOS --held-out-photos OTHERS \
        --labeled caltech101_96

Boxes that the miner finds in rendered scenes are compared with where the moving thing is. Then video_triplet/cpu
learns from tracks of real clips and of scenes rendered from photographs together, tells triplets of held-out ones of
either, and its taps are probed, beside the same network untrained. Writes results/video_triplet.json of all that was
measured so far. Resumable.
"""

import argparse
import csv
import functools
import json
import os
import zlib
from pathlib import Path

import numpy as np
from machine import WORK, kept, save, slim
from probing import probed

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "av")
SCENES, LENGTH, EVERY = 100, 15, 5  # scenes of each seed to compare boxes in; frames of a track, and between starts
SIZE = (112, 144)  # of the scenes to learn from, pixels
TRAIN_SCENES, HELD_OUT_SCENES, HELD_OUT = (
    3000,
    300,
    5,
)  # of clips without a split of their own, every so many-th is held out
IMAGE_SIZE, POOL = 64, 4  # of images that are probed, pixels; rows and columns of the maps
PARTS = ("scenes", "tracks", "trained", "untrained")
SOURCES = ("real", "rendered")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", required=True, type=Path, help="folders of real clips")
    parser.add_argument("--photos", nargs="+", required=True, help="photographs that scenes are rendered from")
    parser.add_argument("--held-out-photos", nargs="+", required=True, help="others, for scenes that are held out")
    parser.add_argument("--labeled", required=True, type=Path, help="folder with train/<class>/ and test/<class>/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the runs")
    parser.add_argument("--runs", type=Path, default=WORK / "video_triplet", help="folder of tracks and runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these now")
    arguments = parser.parse_args()
    measures = {"scenes": boxes_of_scenes, "trained": trained, "untrained": untrained}
    if "tracks" in arguments.only:
        mine(arguments)
    for seed in arguments.seeds:
        for part in arguments.only:
            if part in measures:
                file = arguments.runs / f"{part}-{seed}.json"
                print(kept(file, functools.partial(measures[part], seed, arguments)), flush=True)
    found = {}
    for part in (*measures, "tracks"):
        files = sorted(arguments.runs.glob(f"{part}-*.json"))
        found[part] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    from tfssl.config import load_config

    save(
        "video_triplet",
        config=load_config("video_triplet/cpu").to_dict()
        | {"data": "tracks of real clips and of rendered scenes", "seeds": arguments.seeds}
        | {"image_size": IMAGE_SIZE, "pool": POOL, "scenes": SCENES, "length": LENGTH, "every": EVERY},
        packages=PACKAGES,
        seconds={},
        comparisons=[],
        **found,
    )


def boxes_of_scenes(seed, arguments):
    """How well the boxes of the paper's miner cover the thing that moves, in the first frame and in the last."""
    from tfssl.data.moving import REASONS, Miner, NoTrack
    from tfssl.data.scenes import scene_clips
    from tfssl.ops.boxes import iou

    scenes, miner = scene_clips(photographs(arguments.held_out_photos), count=SCENES, seed=seed), Miner()
    rejected, overlaps = dict.fromkeys(REASONS, 0), {"first": [], "last": []}
    for number in range(len(scenes)):
        clip = scenes.example(number)["clip"]
        try:
            track = miner.track(clip, 0)
        except NoTrack as reason:
            rejected[str(reason)] += 1
            continue
        for end, frame in (("first", 0), ("last", miner.length)):
            overlaps[end].append(float(iou(getattr(track, end)[None], clip.boxes[frame][None])[0, 0]))
    covered = {end: float(np.mean(np.array(values) > 0.5)) for end, values in overlaps.items()}
    means = {f"mean_{end}": float(np.mean(values)) for end, values in overlaps.items()}
    return {"seed": seed, "scenes": SCENES, "tracks": len(overlaps["first"]), **covered, **means, "rejected": rejected}


def mine(arguments):
    """Tracks of real clips and of rendered scenes, to learn from and held out: TRACKS/{train,test}/{real,rendered}."""
    from tfssl.data.moving import Miner
    from tfssl.data.scenes import scene_clips
    from tfssl.data.track_mining import mine_tracks

    link_clips(arguments)
    photos = {"train": arguments.photos, "test": arguments.held_out_photos}
    for part, count in (("train", TRAIN_SCENES), ("test", HELD_OUT_SCENES)):
        options = {"count": count, "frames": LENGTH + 1, "size": SIZE, "seed": 100}
        sources = {
            "real": arguments.runs / "clips" / part,
            "rendered": scene_clips(photographs(photos[part]), **options),
        }
        for name in SOURCES:
            out, file = arguments.runs / "tracks" / part / name, arguments.runs / f"tracks-{part}-{name}.json"

            def found(name=name, out=out, part=part, sources=sources):
                every = EVERY if name == "real" else LENGTH + 1  # a scene has room for one track
                mined = mine_tracks(sources[name], out, miner=Miner(length=LENGTH), every=every, min_size=288)
                counts = {"tracks": mined.tracks, "clips": mined.clips, "rejected": mined.rejected}
                return {"part": part, "source": name, **counts, "skipped": len(mined.skipped)}

            print(kept(file, found), flush=True)


def link_clips(arguments):
    """Links to clips in clips/train/ and clips/test/: by the column ``split`` of meta.tsv where it says something."""
    from tfssl.data.clips import EXTENSIONS
    from tfssl.data.listing import expand

    for folder in arguments.clips:
        table, splits = folder / "meta.tsv", {}
        if table.is_file():
            rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines(), delimiter="\t")
            splits = {row["file"]: row["split"] for row in rows}
        for path in map(Path, expand(os.fspath(folder))):
            name = path.relative_to(folder).as_posix()
            if not name.lower().endswith(EXTENSIONS):
                continue
            part = splits.get(name) or ("train", "test")[zlib.crc32(name.encode()) % HELD_OUT == 0]
            link = arguments.runs / "clips" / part / folder.name / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(path.resolve())


def photographs(folders):
    """The images of several folders as one list."""
    from tfssl.data.listing import EXTENSIONS, expand

    return [path for folder in folders for path in expand(folder) if path.lower().endswith(EXTENSIONS)]


def trained(seed, arguments):
    """Learn from all tracks, tell triplets of held-out ones, probe the taps."""
    from tfssl.config import load_config
    from tfssl.training.fit import fit
    from tfssl.training.runs import load_run

    run, tracks = arguments.runs / f"run-{seed}", arguments.runs / "tracks"
    fit(load_config("video_triplet/cpu", [f"data={tracks / 'train'}", f"seed={seed}"]), run)
    method, model = load_run(run)
    return {
        "seed": seed,
        "training": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "pretext": {
            name: slim(method.evaluate(model, str(tracks / "test" / name), seed=seed, out=run / name))
            for name in SOURCES
        },
        "probe": probed(method.encoder(model), arguments.labeled, seed, image_size=IMAGE_SIZE, pool=POOL),
    }


def untrained(seed, arguments):
    """Probe the taps of the same network with fresh weights."""
    import keras

    from tfssl.config import load_config

    method = load_config("video_triplet/cpu").method
    keras.utils.set_random_seed(seed)
    return {
        "seed": seed,
        "probe": probed(method.encoder(method.model()), arguments.labeled, seed, image_size=IMAGE_SIZE, pool=POOL),
    }


if __name__ == "__main__":
    main()
