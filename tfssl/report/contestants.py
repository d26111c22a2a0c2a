"""Who is measured in a flat record of figures: the network, its baselines, and the difference between them."""

import dataclasses
import numbers
import re

BASELINES = {
    "untrained": "same network untrained",
    "pixels": "raw pixels",
    "chance": "chance",
    "constant": "constant answer",
    "majority": "most frequent class",
    "mean_normal": "mean normal",
    "gray": "left gray",
    "mean_fill": "mean color",
    "surround_fill": "color of the surroundings",
    "nn_hog": "nearest neighbor, HOG",
    "nn_features": "nearest neighbor, features",
    "hog": "HOG",
}
"""Names that a baseline's figures carry before or after the name of a metric, and how the report calls them."""

_SMALL_IS_GOOD = {"loss", "mse", "rmse", "l1", "l2", "error", "ciede2000", "mean", "median", "angle"}
_LARGE_IS_GOOD = {"accuracy", "auc", "psnr", "ssim", "ap", "map", "iou", "miou", "within", "best", "recall", "purity"}


@dataclasses.dataclass(frozen=True)
class Value:
    """A figure.

    Args:
        mean: the number; None if it was not defined.
        std: its deviation over the seeds, or None.
        layer: that it was reached at, or None.
    """

    mean: float | None
    std: float | None = None
    layer: str | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A metric of the network beside those of others.

    Args:
        metric: its name in the record.
        value: the network's :class:`Value`.
        others: ``{contestant: Value}``, the untrained network first if there is one.
    """

    metric: str
    value: Value
    others: dict

    @property
    def rival(self):
        """Name of the baseline that gains are told against: the untrained network, or else the first; or None."""
        return next(iter(self.others), None)

    @property
    def gain(self):
        """The network's value less the rival's; None if either is undefined."""
        ours, theirs = self.value.mean, self.others[self.rival].mean if self.others else None
        return None if ours is None or theirs is None else ours - theirs

    @property
    def better(self):
        """True or False; None if they are equal, or the metric's name does not tell which side is the good one."""
        direction = good_side(self.metric)
        return None if not self.gain or not direction else self.gain * direction > 0


def good_side(metric):
    """+1 if a large value of a metric is good, -1 if a small one is, 0 if its name does not tell."""
    parts = metric.lower().split("_")
    parts += [part.rstrip("0123456789") for part in parts]  # ap50
    if _LARGE_IS_GOOD & set(parts):
        return 1
    return -1 if _SMALL_IS_GOOD & set(parts) else 0


def comparisons(record, names=()):
    """Metrics for which a record has baselines.

    Args:
        record: content of a ``metrics.json``.
        names: further contestants, as an evaluation's table lists them.

    Returns:
        List of :class:`Comparison`, in the record's order.
    """
    figures = {key: value for key, value in record.items() if _is_figure(key, value)}
    who = {**BASELINES, **dict.fromkeys([*names, *_compared(figures)])}
    found = []
    for metric in figures:
        others = {name: key for name in who for key in _keys(name, metric) if key in figures}
        if "chance" in figures and re.fullmatch(r"accuracy(_\d+)?|best_on_test", metric):
            others.setdefault("chance", "chance")
        others |= {"trivial predictor": "baseline"} if metric == "loss" and "baseline" in figures else {}
        if others and not any(metric in _keys(name, other) for name in who for other in figures):
            values = {name: _value(record, key, metric, name) for name, key in others.items()}
            found.append(Comparison(metric, _value(record, metric, metric, ""), values))
    return found


def label(contestant):
    """How the report calls a contestant."""
    return BASELINES.get(contestant, contestant)


def words(metric):
    """A metric's name to be read: ``best_on_test`` -> "best on test"."""
    return metric.replace("_", " ")


def _keys(name, metric):
    keys = [f"{name}_{metric}", f"{metric}_{name}"]
    if name == "chance" and "_" in metric:  # tile_accuracy, tile_chance
        keys.append(f"{metric.rpartition('_')[0]}_{name}")
    return keys


def _is_figure(key, value):
    if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        return False
    return not key.endswith("_std") and not key.startswith(("tap_", "gain"))


def _compared(figures):
    """Names that stand before every metric that the untrained network has: encoders that were measured beside."""
    metrics = [key.removeprefix("untrained_") for key in figures if key.startswith("untrained_")]
    if not metrics:
        return []
    first = [key.removesuffix(f"_{metrics[0]}") for key in figures if key.endswith(f"_{metrics[0]}")]
    return [name for name in first if all(f"{name}_{metric}" in figures for metric in metrics)]


def _value(record, key, metric, name):
    layers = [f"{key}_tap"] + ([f"{name}_tap".lstrip("_")] if metric == "accuracy" else [])
    layer = next((record[k] for k in layers if isinstance(record.get(k), str) and record[k] != name), None)
    return Value(record[key], record.get(f"{key}_std"), layer)
