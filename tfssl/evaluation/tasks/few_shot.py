"""Few-shot classification: how well an encoder's features tell classes apart that only k images show."""

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import NUMBERS, labeled_sets
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.plots import top_of
from tfssl.evaluation.runner import Progress, Run, best_tap, check_counts, compared, finish, run_all
from tfssl.visualization.line_plot import line_plot

MODALITY = "image"

SHOTS = (1, 2, 4, 8, 16)
"""Images of each class, where it has so many."""

STRENGTH = 100.0
"""C of the regression: so few images leave none to choose it with. Vectors have a mean square length of about 1."""


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
    image_size=96,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Fit a logistic regression to k images of each class, for several k and draws; test it on the whole test set.

    Vectors are those of the linear probe, standardized over the images that were drawn: nothing else of the training
    set is seen by the fit. The tap whose accuracy is reported is one for all k and draws: that with the highest
    accuracy on training images that were not drawn, meant over all k and draws that leave some.

    Args:
        encoder, data, test, taps, pool, image_size, compare, trained: as the linear probe's.
        shots: values of k, rising; None: those of :data:`SHOTS` that the smallest class has.
        draws: how many times k images are drawn, with seeds 0, 1, ...; an untrained network has new weights in each.
        strength: C of the regression, as in scikit-learn: larger is less regularized.
        out: folder for ``metrics.json``, ``runs.csv`` and ``shots.png``; None writes nothing.
        progress: called with (draws done, draws in all, what).

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy_K`` on the test set for each k, mean over the draws, and
        ``accuracy``, their mean over k.

    Raises:
        SourceError: if the folders hold no labeled images.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.
    """
    check_counts(draws=draws, pool=pool)
    if not strength > 0:
        raise ConfigError(f"`strength` must be above 0. Received: strength={strength!r}")
    sets = labeled_sets(data, test, image_size=image_size)
    shots = _checked_shots(shots, np.bincount(sets.sources[0].labels).min())
    encoders = compared(encoder, modality=MODALITY, taps=taps, trained=trained, compare=compare)
    work = Progress(progress, sum(len(entry.taps) * draws for entry in encoders))

    def fits(name, seeds, train, test):
        return few_shot(name, seeds, train, test, shots, strength=strength)

    runs = run_all(encoders, draws, sets.measure(fits, pool=pool, work=work))
    protocol = {
        **sets.protocol,
        "shots": shots,
        "draws": draws,
        "seeds": draws,
        "drawn": "k of each class without replacement, by numpy.random.default_rng((seed, k))",
        "classifier": "multinomial logistic regression, L2, L-BFGS; bias not penalized",
        "strength": strength,
        "numbers": None if pool else NUMBERS,
        "pool": pool,
        "standardized": "each number over the images drawn, then divided by the root of how many there are",
        "crops": "center",
    }
    chance = {"chance": sets.chance}
    return finish(
        "few_shot",
        runs,
        protocol=protocol,
        choose=best_tap,
        baselines={"accuracy": chance} | {f"accuracy_{k}": chance for k in shots},
        counts=sets.counts,
        skipped=sets.skipped.reasons,
        out=out,
        draw=lambda folder: _draw(folder / "shots.png", runs, shots),
    )


def few_shot(name, seeds, train, test, shots, *, strength=STRENGTH):
    """Fit and test every tap for every draw and k.

    Args:
        name: of the encoder.
        seeds: of the draws.
        train, test: :class:`~tfssl.evaluation.features.Features`.
        shots: values of k.
        strength: C of the regression.

    Yields:
        :class:`~tfssl.evaluation.runner.Run`, whose ``held_out`` is the mean over the k that leave images; None where
        none does.

    Raises:
        SourceError: if a class has too few images that can be read.
    """
    classes = int(train.labels.max()) + 1
    for tap, vectors in train.rows.items():
        whole = {}  # the fit to all images is the same for every draw
        for seed in seeds:
            right, left = {}, []
            for k in shots:
                drawn = draw_shots(train.labels, k, seed)
                if k not in whole:
                    rows = Rows(vectors[drawn])
                    fitted = fit(rows, train.labels[drawn], classes, strength)
                    right[k] = accuracy(fitted, rows.project(test.rows[tap]), test.labels)
                if drawn.all():
                    whole.setdefault(k, right.get(k))
                    right[k] = whole[k]
                else:
                    left.append(accuracy(fitted, rows.project(vectors[~drawn]), train.labels[~drawn]))
            metrics = {"accuracy": float(np.mean(list(right.values())))}
            metrics |= {f"accuracy_{k}": value for k, value in right.items()}
            yield Run(name, seed, metrics, tap, float(np.mean(left)) if left else None)


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
            raise SourceError(f"`data`: a class has only {len(members)} readable images, fewer than shots={shots}")
        drawn[random.choice(members, shots, replace=False)] = True
    return drawn


def _checked_shots(shots, smallest):
    if shots is None:
        return tuple(k for k in SHOTS if k <= smallest)
    shots = tuple(shots) if isinstance(shots, (list, tuple)) else (shots,)
    known = all(isinstance(k, int) and 1 <= k <= smallest for k in shots)
    if not shots or not known or list(shots) != sorted(set(shots)):
        raise ConfigError(
            f"`shots` must be rising whole numbers from 1 to {smallest}, the images of the smallest class. "
            f"Received: shots={shots!r}"
        )
    return shots


def _draw(path, runs, shots):
    """Mean accuracy over k, one step for each k: they double."""
    steps, curves = list(range(len(shots))), {}
    for name in dict.fromkeys(run.encoder for run in runs):
        own = best_tap([run for run in runs if run.encoder == name])
        curves[name] = (steps, [float(np.mean([run.metrics[f"accuracy_{k}"] for run in own])) for k in shots])
    line_plot(
        curves,
        path,
        x_label="images of each class",
        y_label="accuracy on the test set",
        x_range=(0, max(len(shots) - 1, 1)),
        x_ticks=dict(enumerate(map(str, shots))),
        y_range=(0.0, top_of(curves)),
    )
