"""Rebuild the shipped colorizer from the photo archives: one command, from tar files to savedmodels/colorizer."""

import argparse
import shutil
import tarfile
from pathlib import Path

import numpy as np

HELD_OUT = 500
TRAINING_ARCHIVES = (
    "photos_128_a.tar",
    "photos_128_b.tar",
    "imagenet_sample_256.tar",
    "vocstyle_mini_256.tar",
    "caltech101_96.tar",
    "bsds500_25.tar",
    "indoor_boxes.tar",
)


def prepare(shared, work):
    """Unpack the archives into ``work/train`` and ``work/heldout``.

    Kept out are 500 pictures of photos_128, drawn with seed 0 from the sorted file names. The test half of
    caltech101_96 is left out of training because the feature probes are measured on it; masks are no photographs.
    """
    train, heldout = work / "train", work / "heldout"
    if (work / "prepared").exists():
        return train, heldout
    shutil.rmtree(train, ignore_errors=True)
    shutil.rmtree(heldout, ignore_errors=True)
    for name in TRAINING_ARCHIVES:
        with tarfile.open(shared / name) as archive:
            for member in archive:
                path = member.name
                if path.lower().endswith(".jpg") and not path.startswith("caltech101_96/test/"):
                    archive.extract(member, train, filter="data")
    photos = sorted(p.relative_to(train) for p in (train / "photos_128").rglob("*.jpg"))
    for index in np.sort(np.random.default_rng(0).permutation(len(photos))[:HELD_OUT]):
        target = heldout / photos[index]
        target.parent.mkdir(parents=True, exist_ok=True)
        (train / photos[index]).rename(target)
    (work / "prepared").touch()
    return train, heldout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="folder with the photo archives (*.tar)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="scratch folder; keeps the run, so it resumes")
    arguments = parser.parse_args()
    train, heldout = prepare(arguments.shared, arguments.work)
    for folder in (train, heldout):
        print(folder, sum(1 for p in folder.rglob("*.jpg")))


if __name__ == "__main__":
    main()
