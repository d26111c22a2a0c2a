"""Colors over time: how much a film flickers that is colorized frame by frame, and with steady colors; and how fast.

Color clips are made gray (the network sees their L alone), colorized at the network's grid, and compared with the truth
at every second pixel of every second row. Flicker of a clip is the mean of max(0, |change of ab between two successive
frames| - |change of the truth's ab there|), in ab units: movement that the truth has too is none. What is averaged in
tfssl/color/steady.py was chosen on `misc/` of videos_b.tar; the clips below are others: `sound/` of videos_b.tar (12
frames a second) and videos.tar (20 to 30). Frames per second are those of `tfssl colorize`, file to file.

    python benchmarks/film.py SHARED [--model RUN]      SHARED: folder with the archives videos.tar, videos_b.tar

Stopped, the same command goes on after the last clip that it had measured with this model.
"""

import argparse
import functools
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import WORK, Comparison, kept, save
from PIL import Image

from tfssl.api import load
from tfssl.color.colorize import colorize_paths, network_lightness
from tfssl.color.predict import compiled_predictor
from tfssl.color.steady import RADIUS, cell_lightness, steady
from tfssl.data.clips import Clip, clip_source
from tfssl.ops.bytes_lab import ab
from tfssl.resources import model_digest

FRAMES = 60  # of each clip, at most
SIZE = 144  # pixels of the shorter side at which colors are compared
GRAY = 3.0  # clips of less mean chroma are left out: black and white ones
SETS = {"videos_b.tar": "videos_b/sound", "videos.tar": "videos"}
SPEED = "videos/chaplin.mp4"  # 640x360, black and white, with sound


def truth(frames):
    """ab of frames uint8 (n, H, W, 3) at every second pixel: float32 (n, H / 2, W / 2, 2)."""
    return np.stack([ab(frame[::2, ::2]) for frame in frames])


def at_pixels(cells, network, shape, stride):
    """Cells (n, h, w, 2) interpolated at every second pixel of images of ``shape``, see :mod:`tfssl.color.join`."""
    weights = []
    for count, seen, pixels in zip(cells.shape[1:3], network, shape, strict=True):
        position = ((np.arange(0, pixels, 2) + 0.5) * seen / pixels - 0.5) / stride
        position = np.clip(position, 0, count - 1)
        weights.append(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(count))).astype(np.float32))
    return np.einsum("yi,nijc,xj->nyxc", weights[0], cells, weights[1], optimize=True)


def change(colors):
    """Distance in ab between successive frames: (n, H, W, 2) -> (n - 1, H, W)."""
    return np.linalg.norm(np.diff(colors, axis=0), axis=-1)


def measure(colors, true):
    """Measures of one clip, in ab units; AuC as a fraction."""
    error = np.linalg.norm(colors - true, axis=-1)
    moved, moved_truth = change(colors), change(true)
    return {
        "flicker": float(np.maximum(moved - moved_truth, 0).mean()),
        "change": float(moved.mean()),
        "change_of_truth": float(moved_truth.mean()),
        "rmse_ab": float(np.sqrt((error**2).mean())),
        "auc": float(np.maximum(0, 1 - error / 150).mean()),
        "chroma": float(np.linalg.norm(colors, axis=-1).mean()),
    }


def measure_clip(path, method, predict):
    """``{"gray" | "frame by frame" | "steady": measures}`` of one clip; None for one without colors."""
    clip = Clip(path, SIZE)
    frames = clip.frames(np.arange(min(len(clip), FRAMES)))
    true = truth(frames)
    if np.linalg.norm(true, axis=-1).mean() < GRAY:
        return None
    seen = np.stack([network_lightness(Image.fromarray(frame), method.image_size) for frame in frames])
    cells = np.concatenate([predict(seen[at : at + RADIUS, ..., None]) for at in range(0, len(seen), RADIUS)])
    smooth = steady(cells, cell_lightness(seen, method.output_stride))
    results = {"gray": measure(np.zeros_like(true), true)}
    for name, colors in (("frame by frame", cells), ("steady", smooth)):
        results[name] = measure(at_pixels(colors, seen.shape[1:], frames.shape[1:3], method.output_stride), true)
    return results


def mean(clips):
    """Mean of each measure over clips, each of which counts once."""
    kinds = next(iter(clips.values()))
    return {k: {m: float(np.mean([c[k][m] for c in clips.values()])) for m in kinds[k]} for k in kinds}


def speed(path, method, predict, out):
    """Frames per second of a film, file to file: the better of two, after one to warm up."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        report = colorize_paths(
            [path], out, predict, image_size=method.image_size, stride=method.output_stride, overwrite=True
        )
        if report.failed:
            raise AssertionError(report.failed)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared")
    parser.add_argument("--model", default="colorizer")
    parser.add_argument("--out", help="folder of the results; default benchmarks/results")
    parser.add_argument("--work", type=Path, default=WORK / "film", help="folder of what it can go on from")
    args = parser.parse_args()

    method, model = load(args.model)
    predict = compiled_predictor(method, model)
    sets, comparisons, digest = {}, [], model_digest(args.model)
    with tempfile.TemporaryDirectory() as folder:
        for archive, part in SETS.items():
            with tarfile.open(Path(args.shared, archive)) as tar:
                tar.extractall(folder, filter="data")
            clips = {}
            for path in clip_source(f"{folder}/{part}").paths:
                measured = args.work / digest[:16] / part / f"{Path(path).name}.json"
                found = kept(measured, functools.partial(measure_clip, path, method, predict))
                print(Path(path).name, "black and white" if found is None else found["steady"], flush=True)
                if found is not None:
                    clips[Path(path).name] = found
            sets[part] = {"clips": len(clips), "mean": mean(clips), "each": clips}
            means = sets[part]["mean"]
            comparisons.append(
                Comparison(
                    f"Flicker of {len(clips)} clips of {part}",
                    "frame by frame",
                    means["steady"]["flicker"] / means["frame by frame"]["flicker"],
                    0.5,
                    at_most=True,
                )
            )
        film = f"{folder}/{SPEED}"
        seconds = speed(film, method, predict, f"{folder}/out.mp4")
        rate = len(Clip(film)) / min(seconds)
    save(
        "film",
        config={
            "model": args.model,
            "digest": digest,
            "backbone": method.backbone,
            "image_size": method.image_size,
            "frames": FRAMES,
        },
        packages=("tensorflow", "keras", "numpy", "pillow", "av"),
        seconds={"film": seconds},
        comparisons=comparisons,
        out=args.out,
        sets=sets,
        speed={"film": SPEED, "frames_per_second": rate},
    )
    shutil.rmtree(args.work / digest[:16])


if __name__ == "__main__":
    main()
