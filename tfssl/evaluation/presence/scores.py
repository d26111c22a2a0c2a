"""What is told of an evaluation on pictures with several classes: its numbers, a table of classes, a plot over taps."""

import csv
import dataclasses
import os
from collections import Counter

import numpy as np

from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.presence.data import known
from tfssl.visualization.line_plot import line_plot

RULES = ("area", "11point")
"""Average precisions that are computed, see :mod:`tfssl.evaluation.average_precision`."""


@dataclasses.dataclass(frozen=True, eq=False)
class PresenceScore:
    """One tap, measured once.

    Args:
        encoder: ``"encoder"``, ``"untrained"``, ``"pixels"`` or the name of a compared one.
        tap: its name.
        seed: of the split or training, and of the weights of an untrained network.
        setting: C of the classifiers; None for a network.
        held_out: mean average precision on the held-out training pictures; None for a network.
        precisions: ``{"area": float64 (classes,), "11point": ..., "area_10crop": ..., ...}``, NaN for classes that no
            test picture shows.
    """

    encoder: str
    tap: str
    seed: int
    setting: float | None
    held_out: float | None
    precisions: dict

    def mean(self, rule):
        """Mean over the classes that occur."""
        return float(np.nanmean(self.precisions[rule]))


def precisions(scores, presence):
    """Average precisions of each class by each rule.

    Args:
        scores: list of float (M, classes): of one crop, and perhaps of ten together.
        presence: int (M, classes), 255 ignored.

    Returns:
        As :class:`PresenceScore` has them.
    """
    ignore = ~known(presence)
    return {
        rule + end: average_precision(values, presence, interpolation=rule, ignore=ignore)
        for values, end in zip(scores, ("", "_10crop"), strict=False)
        for rule in RULES
    }


def summary(scores, classes):
    """The numbers of an evaluation.

    Args:
        scores: list of :class:`PresenceScore`.
        classes: their names.

    Returns:
        For the encoder, and prefixed by its name and ``_`` for each other one: ``map_area``, ``map_11point`` (and with
        ``_10crop``), of the tap with the highest ``held_out``, mean over the seeds, and ``..._std``; ``tap``, the one
        chosen most often; ``best_on_test`` and ``best_on_test_tap``: the highest mean ``map_area`` of a tap. ``gain``
        over the untrained network. Of the encoder also ``ap_CLASS``, by area, and ``tap_NAME``, ``map_area`` of each
        tap. Standard deviations are those of a sample, 0 for a single seed.
    """
    numbers = {}
    for name in dict.fromkeys(score.encoder for score in scores):
        own, prefix = [score for score in scores if score.encoder == name], "" if name == "encoder" else f"{name}_"
        chosen = _chosen(own)
        for rule in chosen[0].precisions:
            values = [score.mean(rule) for score in chosen]
            numbers[f"{prefix}map_{rule}"] = float(np.mean(values))
            numbers[f"{prefix}map_{rule}_std"] = float(np.std(values, ddof=1)) if np.ptp(values) > 0 else 0.0
        taps = _by_tap(own)
        best = max(taps, key=taps.get)
        numbers[f"{prefix}tap"] = Counter(score.tap for score in chosen).most_common(1)[0][0]
        numbers |= {f"{prefix}best_on_test": taps[best], f"{prefix}best_on_test_tap": best}
        if name == "encoder":
            means = np.mean([score.precisions["area"] for score in chosen], axis=0)
            numbers |= {f"ap_{label}": float(value) for label, value in zip(classes, means, strict=True)}
            numbers |= {f"tap_{tap}": value for tap, value in taps.items()}
    if "untrained_map_area" in numbers:
        numbers["gain"] = numbers["map_area"] - numbers["untrained_map_area"]
    return numbers


def write_classes(path, scores, classes):
    """Write ``classes.csv``: a row for each network, tap, seed and class, whole or not at all."""
    rules = list(scores[0].precisions)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["encoder", "tap", "seed", "setting", "held_out", "class", *(f"ap_{rule}" for rule in rules)])
        for score in scores:
            about = [score.encoder, score.tap, score.seed, score.setting, score.held_out]
            for number, label in enumerate(classes):
                values = [score.precisions[rule][number] for rule in rules]
                writer.writerow([*about, label, *("" if np.isnan(v) else float(v) for v in values)])
    os.replace(temporary, path)


def write_plot(path, scores):
    """Mean ``map_area`` over the taps of each network; what has one tap only as a level line."""
    names = list(dict.fromkeys(score.encoder for score in scores))
    by_name = {name: _by_tap([score for score in scores if score.encoder == name]) for name in names}
    taps = list(by_name["encoder"])
    ends, curves = (0, max(len(taps) - 1, 1)), {}
    for name, means in by_name.items():
        shared = [tap for tap in taps if tap in means]
        level = len(taps) == 1 or not shared
        x = ends if level else [taps.index(tap) for tap in shared]
        curves[name] = (x, [max(means.values())] * 2 if level else [means[tap] for tap in shared])
    top = min(1.0, np.ceil(12.5 * max(max(y) for _, y in curves.values())) / 10)  # a tenth above, for the names
    labels = {"x_label": "tap", "y_label": "mean average precision (area) on the test set"}
    line_plot(curves, path, x_range=ends, x_ticks=dict(enumerate(taps)), y_range=(0.0, top), **labels)


def _chosen(scores):
    """The score of each seed whose tap the held-out pictures prefer, the first of equals."""
    seeds = dict.fromkeys(score.seed for score in scores)
    return [max((s for s in scores if s.seed == seed), key=lambda s: s.held_out or 0.0) for seed in seeds]


def _by_tap(scores):
    taps = dict.fromkeys(score.tap for score in scores)
    return {tap: float(np.mean([s.mean("area") for s in scores if s.tap == tap])) for tap in taps}
