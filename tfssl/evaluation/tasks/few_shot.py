"""Few-shot classification: how well an encoder's features tell classes apart that only k pictures show."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.features import NUMBERS
from tfssl.evaluation.labeled_sets import check_counts, labeled_sets
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.visualization.line_plot import line_plot

SHOTS = (1, 2, 4, 8, 16)
"""Pictures of each class, where it has so many."""

STRENGTH = 100.0
"""C of the regression: so few pictures leave none to choose it with. Vectors have a mean square length of about 1."""


@dataclasses.dataclass(frozen=True)
class ShotScore:
    """One fit.

    Args:
        encoder: ``"encoder"``, ``"untrained"``, ``"pixels"`` or the name of a compared one.
        tap: its name.
        shots: pictures of each class that were fitted.
        draw: number of the draw, which is its seed.
        held_out: accuracy on the training pictures that were not drawn, NaN where there are none; it chooses the tap.
        accuracy: on the test set.
    """

    encoder: str
    tap: str
    shots: int
    draw: int
    held_out: float
    accuracy: float


def evaluate(
    encoder,
    data,
    *,
    test=None,
    taps=None,
    shots=None,
    draws=5,
    strength=STRENGTH,
    pool=None,
    side=96,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Fit a logistic regression to k pictures of each class, for several k and draws; test it on the whole test set.

    Vectors are those of the linear probe, standardized over the pictures that were drawn: nothing else of the training
    set is seen by the fit. The tap whose accuracy is reported is one for all k and draws: that with the highest
    accuracy on training pictures that were not drawn, meant over all k and draws that leave some.

    Args:
        encoder, data, test, taps, pool, side, compare, trained: as the linear probe's.
        shots: values of k, rising; None: those of :data:`SHOTS` that the smallest class has.
        draws: how many times k pictures are drawn, with seeds 0, 1, ...; an untrained network has new weights in each.
        strength: C of the regression, as in scikit-learn: larger is less regularized.
        out: folder for ``metrics.json``, ``shots.csv`` and ``shots.png``; None writes nothing.
        progress: called with (fits done, fits in all, what).

    Returns:
        ``{name: number or text}``: for each k ``accuracy_K`` on the test set, mean over the draws, and
        ``accuracy_K_std``; ``accuracy``, their mean over k; ``tap``; the same prefixed by the name of each other
        network and ``_``; ``gain`` over the untrained one; ``chance``, counts, and ``skipped``, ``{file: reason}``.

    Raises:
        SourceError: if the folders hold no labeled pictures.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.
    """
    check_counts(draws=draws, pool=pool)
    if not strength > 0:
        raise ConfigError(f"`strength` must be above 0. Received: strength={strength!r}")
    sets = labeled_sets(data, test, side=side)
    shots = _checked_shots(shots, np.bincount(sets.folders[0].labels).min())
    runners = contestants(encoder, taps=taps, trained=trained, compare=compare)
    scores, total = [], sum(len(runner.taps) * draws * len(shots) for runner in runners)
    for runner in runners:
        for network, seeds in runner.runs(draws):
            with sets.features(network, taps=runner.taps, pool=pool) as (train, future):
                for score in few_shot(train, future, shots, seeds, strength=strength, name=runner.name):
                    scores.append(score)
                    if progress is not None:
                        progress(len(scores), total, f"{score.encoder} {score.tap} {score.shots}")
    numbers = summary(scores) | _counts(sets)
    if out is not None:
        protocol = {
            "train": sets.folders[0].root,
            "test": sets.folders[1].root,
            "side": side,
            "shots": shots,
            "draws": draws,
            "seeds": draws,
            "drawn": "k of each class without replacement, by numpy.random.default_rng((seed, k))",
            "classifier": "multinomial logistic regression, L2, L-BFGS; bias not penalized",
            "strength": strength,
            "numbers": None if pool else NUMBERS,
            "pool": pool,
            "standardized": "each number over the pictures drawn, then divided by the root of how many there are",
            "crops": "center",
        }
        write_metrics(out, numbers, task="few_shot", protocol=protocol)
        _write_table(Path(out) / "shots.csv", scores)
        _write_plot(Path(out) / "shots.png", numbers, shots, dict.fromkeys(score.encoder for score in scores))
    return numbers


def few_shot(train, test, shots, seeds, *, strength=STRENGTH, name="encoder"):
    """Fit and test every tap for every k and draw.

    Args:
        train, test: :class:`~tfssl.evaluation.features.Features`.
        shots: values of k.
        seeds: of the draws.
        strength: C of the regression.
        name: what to call the encoder.

    Yields:
        :class:`ShotScore`.

    Raises:
        SourceError: if a class has too few pictures that can be read.
    """
    classes = int(train.labels.max()) + 1
    for tap, vectors in train.rows.items():
        whole = None  # the fit to all pictures is the same for every draw
        for k in shots:
            for seed in seeds:
                drawn = draw_shots(train.labels, k, seed)
                if drawn.all() and whole is not None:
                    yield dataclasses.replace(whole, draw=seed)
                    continue
                rows = Rows(vectors[drawn])
                fitted = fit(rows, train.labels[drawn], classes, strength)
                left = np.nan
                if not drawn.all():
                    left = accuracy(fitted, rows.project(vectors[~drawn]), train.labels[~drawn])
                right = accuracy(fitted, rows.project(test.rows[tap]), test.labels)
                score = ShotScore(name, tap, k, seed, left, right)
                whole = score if drawn.all() else whole
                yield score


def draw_shots(labels, shots, seed):
    """Draw k examples of each class.

    Args:
        labels: int (N,).
        shots: k.
        seed: of the draw.

    Returns:
        bool (N,).

    Raises:
        SourceError: if a class has fewer.
    """
    random, drawn = np.random.default_rng((seed, shots)), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < shots:
            raise SourceError(f"`data`: a class has only {len(members)} readable pictures, fewer than shots={shots}")
        drawn[random.choice(members, shots, replace=False)] = True
    return drawn


def summary(scores):
    """The numbers of an evaluation, see :func:`evaluate`.

    Args:
        scores: list of :class:`ShotScore`.
    """
    numbers = {}
    for name in dict.fromkeys(score.encoder for score in scores):
        own = [score for score in scores if score.encoder == name]
        tap, prefix = _best_tap(own), "" if name == "encoder" else f"{name}_"
        means = []
        for k in dict.fromkeys(score.shots for score in own):
            values = np.array([score.accuracy for score in own if score.shots == k and score.tap == tap])
            means.append(float(values.mean()))
            numbers[f"{prefix}accuracy_{k}"] = means[-1]
            numbers[f"{prefix}accuracy_{k}_std"] = float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0
        numbers |= {f"{prefix}accuracy": float(np.mean(means)), f"{prefix}tap": tap}
    if "untrained_accuracy" in numbers:
        numbers["gain"] = numbers["accuracy"] - numbers["untrained_accuracy"]
    return numbers


def _best_tap(scores):
    def held_out(tap):
        values = [score.held_out for score in scores if score.tap == tap and not np.isnan(score.held_out)]
        return np.mean(values) if values else 0.0

    return max(dict.fromkeys(score.tap for score in scores), key=held_out)


def _checked_shots(shots, smallest):
    if shots is None:
        return tuple(k for k in SHOTS if k <= smallest)
    shots = tuple(shots) if isinstance(shots, (list, tuple)) else (shots,)
    known = all(isinstance(k, int) and 1 <= k <= smallest for k in shots)
    if not shots or not known or list(shots) != sorted(set(shots)):
        raise ConfigError(
            f"`shots` must be rising whole numbers from 1 to {smallest}, the pictures of the smallest class. "
            f"Received: shots={shots!r}"
        )
    return shots


def _counts(sets):
    train, test = (sets.readable_labels(part) for part in (0, 1))
    return {
        "chance": float(np.mean(test == np.bincount(train).argmax())),
        "classes": len(sets.classes),
        "images_train": len(train),
        "images_test": len(test),
        "images_skipped": len(sets.skipped.reasons),
        "skipped": dict(sets.skipped.reasons),
    }


def _write_table(path, scores):
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(ShotScore)])
        writer.writerows(["" if value != value else value for value in dataclasses.astuple(s)] for s in scores)
    os.replace(temporary, path)


def _write_plot(path, numbers, shots, names):
    """Mean accuracy over k, one step for each k: they double."""
    places, curves = list(range(len(shots))), {}
    for name in names:
        prefix = "" if name == "encoder" else f"{name}_"
        curves[name] = (places, [numbers[f"{prefix}accuracy_{k}"] for k in shots])
    top = min(1.0, np.ceil(12.5 * max(max(y) for _, y in curves.values())) / 10)  # a tenth above, for the names
    line_plot(
        curves,
        path,
        x_label="pictures of each class",
        y_label="accuracy on the test set",
        x_range=(0, max(len(shots) - 1, 1)),
        x_ticks={place: str(k) for place, k in zip(places, shots, strict=True)},
        y_range=(0.0, top),
    )
