"""What an evaluation leaves behind: ``metrics.json``, ``per_image.csv`` and ``sheet.png``."""

import csv
import os
from pathlib import Path

import numpy as np

from tfssl.color.metrics import join_lab
from tfssl.color.photographs import LONGEST_SIDE, read_photograph
from tfssl.color.tally import IMAGE_METRICS, MIN_PIXELS, SAMPLING
from tfssl.data.images import image_source
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


class Report:
    """Writes the files of an evaluation as it goes; each file appears whole, at the end.

    Args:
        out: folder, created if missing; None writes nothing.
        colorizers: ``{name: predictor}``: ``""`` is the evaluated model, ``"gray"`` the baseline.
    """

    def __init__(self, out, colorizers):
        self.out = None if out is None else Path(out)
        self.colorizers = colorizers
        self._gains = []
        self._table = None

    def __enter__(self):
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            self._table = open(self._unfinished("per_image.csv"), "w", newline="", encoding="utf-8")
            prefixes = [prefix for colorizer in self.colorizers.values() for prefix in colorizer.prefixes]
            metrics = [prefix + name for prefix in prefixes for name in IMAGE_METRICS]
            fields = ["name", "status", "width", "height", "pixels", "colorfulness_true", *metrics]
            self._rows = csv.DictWriter(self._table, fieldnames=fields)
            self._rows.writeheader()
        return self

    def __exit__(self, *error):
        if self._table is not None:
            self._table.close()
            self._unfinished("per_image.csv").unlink(missing_ok=True)

    def add(self, photograph, row):
        """Write the line of one photograph; ``row`` holds its metrics, nothing if it was left out."""
        if self.out is None:
            return
        line = {"name": photograph.name, "status": f"unreadable: {photograph.reason}"}
        if photograph.reason is None:
            height, width = photograph.rgb.shape[:2]
            line = {"name": photograph.name, "status": "measured" if row else "gray", "width": width, "height": height}
        self._rows.writerow({**line, **row})
        if row:
            self._gains.append((row["auc_raw"] - row["gray_auc_raw"], photograph.index))

    def finish(self, record, source):
        """Write the numbers and the sheet.

        Args:
            record: result of :func:`tfssl.methods.colorization.evaluate.evaluate`.
            source: what was measured on.
        """
        if self.out is None:
            return
        self._table.close()
        os.replace(self._unfinished("per_image.csv"), self.out / "per_image.csv")
        temperature = record.metrics.get("temperature")
        self._write_sheet(image_source(source), None if temperature is None else float(temperature))
        record.write(self.out)

    def _write_sheet(self, source, temperature):
        """Rows of gray, compared models, ours and truth, of the images that :func:`choose` names."""
        ours = "ours" if temperature is None else f"ours, T = {temperature:g}"
        others = [name for name in self.colorizers if name not in ("", "gray")]
        rows, labels = [], []
        for label, gain, index in choose(self._gains):
            photograph = read_photograph(source, index)
            fields = [self.colorizers[name](photograph) for name in ("gray", *others, "")]
            pictures = [join_lab(photograph.lab[..., 0], ab) for field in fields for ab in field.values()]
            rows.append([*pictures, photograph.rgb])
            labels.append(f"{label}\n{100 * gain:+.1f} AuC\n{Path(photograph.name).name}")
        picture_sheet(rows, self.out / "sheet.png", titles=["gray", *others, ours, "truth"], labels=labels)

    def _unfinished(self, name):
        return self.out / f"{name}.tmp"


def name_of(source):
    """What a record calls the images that were measured."""
    text = isinstance(source, (str, os.PathLike))
    return str(source) if text else f"{len(image_source(source))} given images"


def choose(gains):
    """Which images a sheet shows: those that colors helped most and least, the middle, and a random choice.

    Args:
        gains: list of (gain in raw AuC over gray, index), one for each image.

    Returns:
        List of (kind, gain, index): best, median, worst, random; no image twice, the same for the same gains.
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
    chosen, taken = {kind: [] for kind in _SHOWN}, set()
    for kind, pairs in candidates.items():
        for gain, index in pairs:
            if index not in taken and len(chosen[kind]) < _SHOWN[kind]:
                taken.add(index)
                chosen[kind].append((kind, gain, index))
    return [choice for kind in _SHOWN for choice in chosen[kind]]
