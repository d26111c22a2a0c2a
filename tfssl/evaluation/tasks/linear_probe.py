"""Linear probes: how well hyperplanes through an encoder's frozen features tell classes apart, tap by tap.

Following the linear classification of Zhang et al. (2016, section 3.2): each map is averaged to a vector of about
9000 numbers, each number standardized (batch normalization without scale and offset), and one softmax layer fitted
to it. Here the fit is exact, by L-BFGS, where they ran SGD.
"""

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import NUMBERS, labeled_sets
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.plots import plot_taps
from tfssl.evaluation.runner import Progress, Run, check_counts, compared, finish, run_all

MODALITY = "image"

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Values of C among which the held-out images choose."""

HELD_OUT = 5
"""One training image in so many, of each class, is held out for that choice."""


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
    compare=None,
    trained=True,
    references=None,
    out=None,
    progress=None,
):
    """Probe every tap of an encoder, of the same network untrained, and the raw pixels.

    C is chosen, and so is the tap whose accuracy is reported, on held-out images of the training set, a different
    fifth for each seed; then the whole training set is fitted. The best tap by accuracy on the test set, which is
    what most papers print, stands beside it under that name. Center crops are fitted and tested.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data: folder of the training images, one folder for each class; or one with ``train/`` and ``test/``.
        test: folder of the test images.
        taps: names of the taps to probe; None for all.
        pool: side of the grid that each map is averaged to; None for vectors of about 9000 numbers.
        image_size: images are scaled so that their shorter side has this many pixels; the center square is taken.
        crops: 10 also tests on four corners, the center and their mirror images, whose probabilities are averaged, out
            of images whose shorter side is 256 / 227 of ``image_size``.
        seeds: number of splits, 0, 1, ...; the untrained network has new weights in each.
        compare: further encoders, ``{name: keras.Model}``.
        trained: False if the encoder's weights are random: then each seed draws new ones.
        references: accuracies from elsewhere to be written and drawn beside, ``{name: accuracy}``, such as that of
            the same network trained end to end with the labels.
        out: folder for ``metrics.json``, ``runs.csv`` and ``taps.png``; None writes nothing.
        progress: called with (fits done, fits in all, what) after each tap and seed.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` on the test set of the tap chosen on held-out images,
        ``ten_crop`` where that was measured, and as :func:`tfssl.evaluation.runner.tap_metrics`.

    Raises:
        SourceError: if the folders hold no labeled images.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.
    """
    check_counts(seeds=seeds, pool=pool)
    references = dict(references or {})
    for name, value in references.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"`references` must be accuracies in [0, 1]. Received: {name}={value!r}")
    sets = labeled_sets(data, test, image_size=image_size, crops=crops)
    encoders = compared(encoder, modality=MODALITY, taps=taps, trained=trained, compare=compare)
    work = Progress(progress, sum(len(entry.taps) * seeds for entry in encoders))
    runs = run_all(encoders, seeds, sets.measure(probe, pool=pool, work=work))
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
    return finish(
        "linear_probe",
        runs,
        protocol=protocol,
        by_tap="accuracy",
        baselines={"accuracy": {"chance": sets.chance, **references}},
        counts=sets.counts,
        skipped=sets.skipped.reasons,
        out=out,
        draw=lambda folder: plot_taps(folder / "taps.png", runs, "accuracy", "accuracy on the test set", references),
    )


def probe(name, seeds, train, test, *crops):
    """Probe every tap of a pair of feature sets.

    Args:
        name: of the encoder.
        seeds: of the splits.
        train, test: :class:`~tfssl.evaluation.features.Features`.
        *crops: features of other crops of the test images, whose probabilities are averaged.

    Yields:
        A :class:`~tfssl.evaluation.runner.Run` for each tap and seed.
    """
    classes = int(train.labels.max()) + 1
    for tap, shape in train.shapes.items():
        rows = Rows(train.rows[tap])
        tested = list(rows.project(test.rows[tap])) if rows.in_memory else None
        on_test = {}
        for seed in seeds:
            held = held_out(train.labels, seed)
            if not held.any():
                raise SourceError("`data` must hold at least two images of some class, to hold one out")
            strength, right, start = _choose(rows, train.labels, classes, held)
            if strength not in on_test:  # the fit to all rows does not depend on the split
                fitted = fit(rows, train.labels, classes, strength, start=start)
                on_test[strength] = {
                    "accuracy": accuracy(fitted, tested or rows.project(test.rows[tap]), test.labels),
                    **_average_accuracy(fitted, rows, [crop.rows[tap] for crop in crops], test),
                }
            about = {"shape": "x".join(map(str, shape)), "numbers": int(np.prod(shape)), "strength": strength}
            yield Run(name, seed, on_test[strength], tap, right, about)


def _average_accuracy(fitted, rows, crops, test):
    """Accuracy of the mean probabilities of several crops; empty without any."""
    if not crops:
        return {}
    total = sum(np.concatenate([fitted.probabilities(x) for x in rows.project(crop)]) for crop in crops)
    return {"ten_crop": float(np.mean(total.argmax(axis=-1) == test.labels))}


def held_out(labels, seed):
    """A random fifth of each class, rounded; at least one image where there are two, none of a single one.

    Args:
        labels: int (N,).
        seed: of the draw.

    Returns:
        bool (N,).
    """
    random, held = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        held[members[: max(round(len(members) / HELD_OUT), int(len(members) > 1))]] = True
    return held


def _choose(rows, labels, classes, held):
    """The C with the best accuracy on the held-out rows (the smallest of equals), that accuracy, and its fit."""
    best, fitted = (None, -1.0, None), None
    for strength in STRENGTHS:
        fitted = fit(rows, labels, classes, strength, keep=~held, start=fitted)
        right = accuracy(fitted, (block for block, _ in rows.blocks(held)), labels[held])
        if right > best[1]:
            best = strength, right, fitted
    return best
