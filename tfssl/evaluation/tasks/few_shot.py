"""Few-shot classification: how well an encoder's features tell classes apart that only k images show."""

import functools

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import NUMBERS, labeled_sets, top_of
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.runner import Run, best_tap, by_encoder, check_counts
from tfssl.visualization.line_plot import line_plot

SHOTS = (1, 2, 4, 8, 16)  # images of each class, where it has so many
STRENGTH = 100.0  # C: so few images leave none to choose it with; vectors have a mean square length of about 1


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
    limit=None,
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
        shots: values of k, rising, at least 1; None: those of 1, 2, 4, 8, 16 that the smallest class has.
        draws: at least 1; how many times k images are drawn, with seeds 0, 1, ...; an untrained network has new weights
            in each.
        strength: C of the regression, above 0, as in scikit-learn: larger is less regularized.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy_K`` on the test set for each k, mean over the draws, and
        ``accuracy``, their mean over k.
    """
    check_counts(draws=draws, pool=pool)
    if not strength > 0:
        raise ConfigError(f"`strength` must be above 0. Received: strength={strength!r}")
    sets = labeled_sets(data, test, image_size=image_size, limit=limit, encoder=encoder)
    shots = _checked_shots(shots, np.bincount(sets.sources[0].labels).min())
    options = {"taps": taps, "pool": pool, "seeds": draws, "compare": compare, "trained": trained, "progress": progress}
    runs = sets.measure(functools.partial(few_shot, shots=shots, strength=strength), encoder, **options)
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
    return sets.finish(
        "few_shot",
        runs,
        protocol=protocol,
        choose=best_tap,
        baselines={"accuracy": chance} | {f"accuracy_{k}": chance for k in shots},
        out=out,
        draw=lambda folder: _draw(folder / "shots.png", runs, shots),
    )


def few_shot(name, seeds, train, test, shots, *, strength=STRENGTH):
    """Fit and test every tap for every draw and k: a run for each tap and draw.

    Its ``held_out`` is the mean over the k that leave images of the training set; None where none does.
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
    """Draw k examples of each class, bool (N,); a SourceError if one has fewer."""
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
    curves = {}
    for name, own in by_encoder(runs).items():
        means = [float(np.mean([run.metrics[f"accuracy_{k}"] for run in best_tap(own)])) for k in shots]
        curves[name] = (list(range(len(shots))), means)
    line_plot(
        curves,
        path,
        x_label="images of each class",
        y_label="accuracy on the test set",
        x_range=(0, max(len(shots) - 1, 1)),
        x_ticks=dict(enumerate(map(str, shots))),
        y_range=(0.0, top_of(curves)),
    )
