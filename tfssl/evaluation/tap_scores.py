"""What evaluations that go tap by tap have in common: their scores, what is reported of them, and their files."""

import csv
import dataclasses
import os
from collections import Counter
from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.visualization.line_plot import line_plot


@dataclasses.dataclass(frozen=True)
class TapScore:
    """One tap, measured once.

    Args:
        encoder: ``"encoder"``, ``"untrained"``, ``"pixels"`` or the name of a compared one.
        tap: its name.
        shape: (rows, columns, channels) of the pooled map.
        seed: of the split, and of the weights of an untrained network.
        setting: the constant that the training set chose: C of a linear probe, k of neighbors.
        held_out: accuracy on training pictures that were not fitted, in [0, 1]; it chooses the tap.
        accuracy: on the test set, in [0, 1].
        ten_crop: the same by the mean of ten crops; None where that was not measured.
    """

    encoder: str
    tap: str
    shape: tuple[int, int, int]
    seed: int
    setting: float
    held_out: float
    accuracy: float
    ten_crop: float | None = None


def summary(scores):
    """The numbers of an evaluation.

    Args:
        scores: list of :class:`TapScore`.

    Returns:
        For the encoder, and prefixed by its name and ``_`` for each other one: ``accuracy``, that of the tap chosen
        on held-out training pictures, mean over the seeds, ``accuracy_std``; ``tap``, the one that was chosen most
        often; ``ten_crop`` and ``ten_crop_std`` of the chosen tap where ten crops were measured; ``best_on_test``,
        ``best_on_test_std``, ``best_on_test_tap``: the highest mean of a tap on the test set. ``gain`` and
        ``gain_on_test``: those over the untrained network. ``tap_NAME``, ``tap_NAME_std``: mean accuracy of each tap
        of the encoder. Standard deviations are those of a sample, 0 for a single seed.
    """
    numbers = {}
    for name in dict.fromkeys(score.encoder for score in scores):
        own = [score for score in scores if score.encoder == name]
        prefix = "" if name == "encoder" else f"{name}_"
        numbers |= {prefix + key: value for key, value in _best(own).items()}
    if "untrained_accuracy" in numbers:
        numbers["gain"] = numbers["accuracy"] - numbers["untrained_accuracy"]
        numbers["gain_on_test"] = numbers["best_on_test"] - numbers["untrained_best_on_test"]
    for tap, values in _by_tap(scores, "encoder").items():
        numbers[f"tap_{tap}"], numbers[f"tap_{tap}_std"] = _mean_and_std(values)
    return numbers


def finish(task, scores, sets, *, seeds, protocol, references=None, out=None):
    """Sum up an evaluation and write its files.

    Args:
        task: its name.
        scores: list of :class:`TapScore`.
        sets: the :class:`~tfssl.evaluation.labeled_sets.LabeledSets` it was measured on.
        seeds: number of seeds.
        protocol: dict of its constants.
        references: ``{name: accuracy}`` from elsewhere.
        out: folder for ``metrics.json``, ``taps.csv`` and ``taps.png``; None writes nothing.

    Returns:
        :func:`summary`, with ``reference_NAME`` for each reference, ``chance`` (the accuracy of always naming the
        largest class of the training set), the counts ``classes``, ``images_train``, ``images_test`` and
        ``images_skipped``, and ``skipped``, ``{file: reason}``.
    """
    references = dict(references or {})
    wrong = [name for name, value in references.items() if not 0 <= value <= 1]
    if wrong:
        raise ConfigError(f"`references` must be accuracies in [0, 1]. Received: {wrong[0]}={references[wrong[0]]!r}")
    train, test = (sets.readable_labels(part) for part in (0, 1))
    numbers = {
        **summary(scores),
        **{f"reference_{name}": float(value) for name, value in references.items()},
        "chance": float(np.mean(test == np.bincount(train).argmax())),
        "classes": len(sets.classes),
        "images_train": len(train),
        "images_test": len(test),
        "images_skipped": len(sets.skipped.reasons),
        "skipped": dict(sets.skipped.reasons),
    }
    if out is not None:
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        data = {"train": sets.folders[0].root, "test": sets.folders[1].root, "side": sets.side, "seeds": seeds}
        write_metrics(out, numbers, task=task, protocol={**data, **protocol})
        _write_table(out / "taps.csv", scores)
        _write_plot(out / "taps.png", scores, references)
    return numbers


def _best(scores):
    by_seed = {seed: [s for s in scores if s.seed == seed] for seed in dict.fromkeys(s.seed for s in scores)}
    chosen = [max(own, key=lambda s: s.held_out) for own in by_seed.values()]  # the first of equals
    taps = {tap: _mean_and_std([s.accuracy for s in scores if s.tap == tap]) for tap in _taps(scores)}
    best = max(taps, key=lambda tap: taps[tap][0])
    mean, std = _mean_and_std([s.accuracy for s in chosen])
    tens = [s.ten_crop for s in chosen if s.ten_crop is not None]
    return {
        "accuracy": mean,
        "accuracy_std": std,
        **(dict(zip(("ten_crop", "ten_crop_std"), _mean_and_std(tens), strict=True)) if tens else {}),
        "tap": Counter(s.tap for s in chosen).most_common(1)[0][0],
        "best_on_test": taps[best][0],
        "best_on_test_std": taps[best][1],
        "best_on_test_tap": best,
    }


def _taps(scores):
    return list(dict.fromkeys(score.tap for score in scores))


def _by_tap(scores, encoder):
    own = [score for score in scores if score.encoder == encoder]
    return {tap: [s.accuracy for s in own if s.tap == tap] for tap in _taps(own)}


def _mean_and_std(values):
    apart = np.subtract(values, values[0])  # exactly 0 where all are the same
    return float(values[0] + np.mean(apart)), float(np.std(apart, ddof=1)) if len(values) > 1 else 0.0


def _write_table(path, scores):
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(TapScore)] + ["numbers"])
        for score in scores:
            row = dataclasses.asdict(score) | {"shape": "x".join(map(str, score.shape))}
            writer.writerow([*row.values(), int(np.prod(score.shape))])
    os.replace(temporary, path)


def _write_plot(path, scores, references):
    """Mean accuracy over the taps of each encoder; what has one tap only, and references, as level lines."""
    taps = _taps([score for score in scores if score.encoder == "encoder"])
    ends, curves = (0, max(len(taps) - 1, 1)), {}
    for name in dict.fromkeys(score.encoder for score in scores):
        means = {tap: np.mean(values) for tap, values in _by_tap(scores, name).items()}
        shared = [tap for tap in taps if tap in means]
        if shared:
            curves[name] = ([taps.index(tap) for tap in shared], [means[tap] for tap in shared])
        else:
            curves[name] = (ends, [max(means.values())] * 2)
    curves |= {name: (ends, (value, value)) for name, value in references.items()}
    top = min(1.0, np.ceil(12.5 * max(max(y) for _, y in curves.values())) / 10)  # a tenth above, for the names
    line_plot(
        curves,
        path,
        x_label="tap",
        y_label="accuracy on the test set",
        x_range=ends,
        x_ticks=dict(enumerate(taps)),
        y_range=(0.0, top),
    )
