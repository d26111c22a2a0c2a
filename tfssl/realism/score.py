"""How often people were fooled: rates, errors that know who answered, comparisons, as the method card has them."""

import csv
import itertools
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from tfssl.files import cell, write_json, writing
from tfssl.visualization.line_plot import COLORS, save_figure

RESAMPLES = 10_000
"""Resamples of the bootstrap."""

_MISTIMED = 0.1  # seconds by which an exposure may miss what the protocol says


def bootstrap_means(rates, rng, resamples=RESAMPLES):
    """Means of resampled participants, float64 (resamples,).

    Answers of one person are not independent, people are: participants are drawn, each with all of his or her trials,
    whose noise is thereby counted. (Drawing trials again within each would count it twice.) Of n participants n - 1
    are drawn, with replacement: drawing n would make the standard error too small by sqrt((n - 1) / n).

    Args:
        rates: (n,), the fraction of each participant's trials that fooled him or her; n at least 2.
        rng: ``numpy.random.Generator``.

    Reference:
        J. N. K. Rao, C. F. J. Wu: Resampling inference with complex survey data. JASA 1988 (n - 1 of n).
    """
    rates = np.asarray(rates, np.float64)
    return rates[rng.integers(0, len(rates), (resamples, len(rates) - 1))].mean(axis=1)


def two_sided_p(differences):
    """p of resampled differences: twice the smaller tail at 0, ``2 (k + 1) / (B + 1)``, at most 1."""
    differences = np.asarray(differences)
    tail = min(np.sum(differences <= 0), np.sum(differences >= 0))
    return float(min(1.0, 2 * (tail + 1) / (len(differences) + 1)))


def score(sessions, *, resamples=RESAMPLES, seed=0):
    """Score the sessions of one study.

    Excluded are participants who got fewer attention checks right than the page's protocol asks for. Practice and
    checks are not scored. Each participant counts the same.

    Args:
        sessions: :class:`~tfssl.realism.answers.Session` objects of one study, one for each participant.
        resamples, seed: of the bootstrap.

    Returns:
        A dict that JSON can hold: ``study``, ``protocol``, ``models``, ``{model: numbers}``, ``differences``, a list,
        and ``images``, a list. Rates are fractions; errors and p are None where a model has fewer than two
        participants. Of p nothing is adjusted for the number of comparisons.
    """
    models, means, images = {}, {}, []
    for name in sorted({session.algorithm for session in sessions}):
        everyone = [session for session in sessions if session.algorithm == name]
        counted = [session for session in everyone if session.counts]
        rates = [np.mean([trial.fooled for trial in session.of("test")]) for session in counted]
        rng = np.random.default_rng((seed, len(models)))
        means[name] = bootstrap_means(rates, rng, resamples) if len(rates) > 1 else None
        models[name] = _numbers(everyone, counted, rates, means[name])
        images += _images(name, counted)
    differences = [_difference(a, b, models, means) for a, b in itertools.combinations(models, 2)]
    return {
        "study": sessions[0].study,
        "protocol": sessions[0].protocol.model_dump(),
        "bootstrap": {"resamples": resamples, "seed": seed, "draws": "participants, n - 1 of n"},
        "models": models,
        "differences": differences,
        "images": sorted(images, key=lambda row: (row["model"], -row["fooled"], row["image"])),
    }


def _numbers(everyone, counted, rates, means):
    trials = [trial for session in counted for trial in session.of("test")]
    fooled = float(np.mean(rates)) if rates else None
    seconds = everyone[0].protocol.seconds
    return {
        "fooled": fooled,
        "standard_error": None if means is None else float(means.std()),
        "interval_95": None if means is None else np.quantile(means, [0.025, 0.975]).tolist(),
        "binomial_error": None if fooled is None else float(np.sqrt(fooled * (1 - fooled) / len(trials))),
        "participants": len(counted),
        "excluded": sorted(session.participant for session in everyone if not session.counts),
        "trials": len(trials),
        "checks_passed": float(np.mean([session.checks_passed / session.protocol.checks for session in everyone])),
        "median_reaction_seconds": float(np.median([t.reaction_ms for t in trials])) / 1000 if trials else None,
        "answered_left": float(np.mean([t.answer == "left" for t in trials])) if trials else None,
        "left_was_real": float(np.mean([t.left_is_real for t in trials])) if trials else None,
        "mistimed_trials": sum(max(abs(ms / 1000 - seconds) for ms in t.shown_ms) > _MISTIMED for t in trials),
    }


def _difference(a, b, models, means):
    known = means[a] is not None and means[b] is not None
    resampled = means[a] - means[b] if known else None
    rates = models[a]["fooled"], models[b]["fooled"]
    return {
        "models": [a, b],
        "difference": None if None in rates else rates[0] - rates[1],
        "standard_error": float(resampled.std()) if known else None,
        "p": two_sided_p(resampled) if known else None,
    }


def _images(model, sessions):
    """For each photograph of a model: how many saw it, and the fraction that it fooled, with Wilson's interval."""
    answers = {}
    for trial in itertools.chain.from_iterable(session.of("test") for session in sessions):
        answers.setdefault(trial.image, []).append(trial.fooled)
    rows = []
    for image, fooled in answers.items():
        low, high = binomtest(sum(fooled), len(fooled)).proportion_ci(0.95, method="wilson")
        row = {"model": model, "image": image, "shown": len(fooled), "fooled": sum(fooled) / len(fooled)}
        rows.append(row | {"wilson_low": float(low), "wilson_high": float(high)})
    return rows


def write_score(found, out):
    """Write what :func:`score` found: ``scores.json``, ``per_image.csv``, ``rates.png``."""
    out = Path(out)
    rows = found["images"]
    with writing(out / "per_image.csv", "w", newline="") as file:
        names = ["model", "image", "shown", "fooled", "wilson_low", "wilson_high"]
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    save_figure(_draw(found["models"]), out / "rates.png")
    write_json(out / "scores.json", {key: value for key, value in found.items() if key != "images"})


def _draw(models):
    """The rates with their 95 % intervals, below the line of a coin."""
    from matplotlib.figure import Figure

    known = {name: model for name, model in models.items() if model["fooled"] is not None}
    figure = Figure((6.4, 1.6 + 0.45 * len(known)), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(50, color="#777777", linestyle="--", linewidth=1.2)
    axes.annotate("a coin", (50, 1.0), xycoords=("data", "axes fraction"), xytext=(4, 2), textcoords="offset points",
                  color="#555555", fontsize=9)  # fmt: skip
    for row, (model, color) in enumerate(zip(known.values(), itertools.cycle(COLORS))):
        value, ends = 100 * model["fooled"], model["interval_95"]
        if ends is not None:
            axes.plot([100 * end for end in ends], [row, row], color=color, linewidth=2)
        axes.plot(value, row, "o", color=color, markersize=7)
    axes.set_yticks(range(len(known)), [f"{name} ({model['participants']})" for name, model in known.items()])
    axes.set(
        xlim=(0, 100), ylim=(len(known) - 0.5, -0.5), xlabel="pairs that fooled, % (95 % interval over participants)"
    )
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
