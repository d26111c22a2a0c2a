"""Linear probes: how well hyperplanes through an encoder's frozen features tell classes apart, tap by tap.

Following the linear classification of Zhang et al. (2016, section 3.2): each map is averaged to a vector of about
9000 numbers, each number standardized (batch normalization without scale and offset), and one softmax layer fitted
to it. Here the fit is exact, by L-BFGS, where they ran SGD.
"""

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import NUMBERS, labeled_sets, plot_taps
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.runner import Run, check_counts

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # values of C among which the held-out images choose
HELD_OUT = 5  # one training image in so many, of each class, is held out for that choice


def evaluate(
    encoder,
    data,
    *,
    test=None,
    taps=None,
    pool=None,
    image_size=96,
    crops=1,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    references=None,
    out=None,
    progress=None,
):
    """Probe every tap of an encoder, of the same network untrained, and the raw pixels.

    C is chosen, and so is the tap whose accuracy is reported, on held-out images of the training set, a different
    fifth for each seed; then the whole training set is fitted. The best tap by accuracy on the test set, which is
    what most papers print, stands beside it under that name. Center crops are fitted and tested; of ten crops the
    probabilities are averaged.

    Args:
        references: accuracies from elsewhere to be written and drawn beside, ``{name: accuracy}``, such as that of
            the same network trained end to end with the labels.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` on the test set of the tap chosen on held-out images,
        ``ten_crop`` where that was measured, and as :func:`tfssl.evaluation.runner.tap_metrics`.
    """
    check_counts(seeds=seeds, pool=pool)
    references = dict(references or {})
    for name, value in references.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"`references` must be accuracies in [0, 1]. Received: {name}={value!r}")
    sets = labeled_sets(data, test, image_size=image_size, crops=crops, limit=limit, encoder=encoder)
    options = {"taps": taps, "pool": pool, "seeds": seeds, "compare": compare, "trained": trained, "progress": progress}
    runs = sets.measure(probe, encoder, **options)
    protocol = {
        **sets.protocol,
        "seeds": seeds,
        "classifier": "multinomial logistic regression, L2, L-BFGS; bias not penalized",
        "numbers": None if pool else NUMBERS,
        "pool": pool,
        "standardized": "each number over the whole training set, then divided by the root of how many there are",
        "strengths": STRENGTHS,
        "held_out": f"1 / {HELD_OUT} of each class of the training set, drawn by numpy.random.default_rng(seed)",
        "crops": "center" if crops == 1 else "center, and mean probability of ten (ten_crop)",
    }
    return sets.finish(
        "linear_probe",
        runs,
        protocol=protocol,
        by_tap="accuracy",
        baselines={"accuracy": {"chance": sets.chance, **references}},
        out=out,
        draw=lambda folder: plot_taps(folder / "taps.png", runs, "accuracy", "accuracy on the test set", references),
    )


def probe(name, seeds, train, test, *crops):
    """Probe every tap of an encoder's :class:`~tfssl.evaluation.features.Features`; a run for each tap and seed."""
    classes = int(train.labels.max()) + 1
    for tap in train.rows:
        rows = Rows(train.rows[tap])
        tested = list(rows.project(test.rows[tap])) if rows.in_memory else None
        on_test = {}
        for seed in seeds:
            held = held_out(train.labels, seed)
            if not held.any():
                raise SourceError("`data` must hold at least two images of some class, to hold one out")
            strength, right, start = choose(rows, train.labels, classes, held)
            if strength not in on_test:  # the fit to all rows does not depend on the split
                fitted = fit(rows, train.labels, classes, strength, start=start)
                right_on_test = accuracy(fitted, tested or rows.project(test.rows[tap]), test.labels)
                on_test[strength] = {"accuracy": right_on_test}
                if crops:
                    vectors = (rows.project(crop.rows[tap]) for crop in crops)
                    total = sum(np.concatenate([fitted.probabilities(x) for x in blocks]) for blocks in vectors)
                    on_test[strength]["ten_crop"] = float(np.mean(total.argmax(axis=-1) == test.labels))
            yield Run(name, seed, on_test[strength], tap, right, train.about(tap) | {"strength": strength})


def held_out(labels, seed):
    """A random fifth of each class, rounded: at least one image of two, none of a single one; bool (N,)."""
    random, held = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        held[members[: max(round(len(members) / HELD_OUT), int(len(members) > 1))]] = True
    return held


def choose(rows, labels, classes, held):
    """The C with the best accuracy on the held-out rows (the smallest of equals), that accuracy, and its fit."""
    best, fitted = (None, -1.0, None), None
    for strength in STRENGTHS:
        fitted = fit(rows, labels, classes, strength, keep=~held, start=fitted)
        right = accuracy(fitted, (block for block, _ in rows.blocks(held)), labels[held])
        if right > best[1]:
            best = strength, right, fitted
    return best
