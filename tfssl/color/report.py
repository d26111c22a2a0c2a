"""What an evaluation leaves behind beside its record: ``per_image.csv`` and ``sheet.png``."""

import contextlib
import csv
import os
from pathlib import Path

import numpy as np

from tfssl.color.metrics import join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photograph
from tfssl.color.tally import IMAGE_METRICS, MIN_PIXELS, SAMPLING
from tfssl.data.images import image_source
from tfssl.files import cell, writing
from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.visualization.sheet import picture_sheet

_SHOWN = {"best": 2, "median": 2, "worst": 2, "random": 6}
_SEED = 0

PROTOCOL = {
    "longest_side": LONGEST_SIDE,
    "sampling": SAMPLING,
    "min_pixels_macro": MIN_PIXELS,
    "gray_threshold": GRAY_THRESHOLD,
    "auc_and_rmse": "ab before clipping to the sRGB gamut",
    "psnr_ssim_ciede2000_colorfulness": "8-bit sRGB with the true L, clipped to the gamut",
}
"""Constants of the evaluation."""


@contextlib.contextmanager
def image_table(out, prefixes):
    """Open ``out/per_image.csv``, which appears whole, at the end; ``out`` None writes nothing.

    Yields a function of a :class:`~tfssl.color.photographs.Photograph` and of its metrics, empty if it was left out.
    """
    if out is None:
        yield lambda photograph, row: None
        return
    metrics = [prefix + name for prefix in prefixes for name in IMAGE_METRICS]
    with writing(Path(out) / "per_image.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["name", "status", "width", "height", "pixels", "colorfulness_true", *metrics])
        table.writeheader()

        def add(photograph, row):
            line = {"name": photograph.name, "status": f"unreadable: {photograph.reason}"}
            if photograph.reason is None:
                height, width = photograph.rgb.shape[:2]
                line |= {"status": "measured" if row else "gray", "width": width, "height": height}
            table.writerow({key: cell(value) for key, value in (line | row).items()})

        yield add


def write_comparison(colorizers, data, gains, path, title):
    """Draw gray, compared models, ours and truth, a row for each of the images of ``data`` that :func:`choose` names.

    ``colorizers``: ``{name: predictor}``; ``""`` is the evaluated model, called ``title``, ``"gray"`` the baseline.
    """
    source = image_source(data)
    names = ["gray", *(name for name in colorizers if name not in ("", "gray")), ""]
    rows, labels = [], []
    for kind, gain, index in choose(gains):
        photograph = read_photograph(source, index)
        fields = [ab for name in names for ab in colorizers[name](photograph).values()]
        rows.append([*(join_lab(photograph.lab[..., 0], ab) for ab in fields), photograph.rgb])
        labels.append(f"{kind}\n{100 * gain:+.1f} AuC\n{Path(photograph.name).name}")
    picture_sheet(rows, path, titles=[*names[:-1], title, "truth"], labels=labels)


def name_of(data):
    """What a record calls the images that were measured."""
    return str(data) if isinstance(data, (str, os.PathLike)) else f"{len(image_source(data))} given images"


def choose(gains):
    """Which images a sheet shows: those that colors helped most and least, the middle, and a random choice.

    Of ``(gain in raw AuC over gray, index)`` of each image it gives (kind, gain, index): best, median, worst, random;
    no image twice, the same for the same gains.
    """
    ordered = sorted(gains, reverse=True)
    middle = max(0, (len(ordered) - _SHOWN["median"]) // 2)
    order = np.random.default_rng(_SEED).permutation(len(ordered))
    candidates = {
        "best": ordered[: _SHOWN["best"]],
        "worst": ordered[::-1][: _SHOWN["worst"]],
        "median": ordered[middle : middle + _SHOWN["median"]],
        "random": [sorted(gains, key=lambda pair: pair[1])[i] for i in order],
    }
    chosen, taken = {}, set()
    for kind, pairs in candidates.items():
        chosen[kind] = [pair for pair in pairs if pair[1] not in taken][: _SHOWN[kind]]
        taken |= {index for _, index in chosen[kind]}
    return [(kind, *pair) for kind in _SHOWN for pair in chosen[kind]]
