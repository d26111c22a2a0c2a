"""Linear probes: how well hyperplanes through an encoder's frozen features tell classes apart, tap by tap.

Following the linear classification of Zhang et al. (2016, section 3.2): each map is averaged to a vector of about
9000 numbers, each number standardized (batch normalization without scale and offset), and one softmax layer fitted
to it. Here the fit is exact, by L-BFGS, where they ran SGD.
"""

import numpy as np

from tfssl.errors import SourceError
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.features import NUMBERS
from tfssl.evaluation.labeled_sets import check_counts, labeled_sets
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.tap_scores import TapScore, finish

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Values of C among which the held-out pictures choose."""

HELD_OUT = 5
"""One training picture in so many, of each class, is held out for that choice."""


def evaluate(
    encoder,
    data,
    *,
    test=None,
    taps=None,
    pool=None,
    side=96,
    crops=1,
    seeds=3,
    compare=None,
    trained=True,
    references=None,
    out=None,
    progress=None,
):
    """Probe every tap of an encoder, of the same network untrained, and the raw pixels.

    C is chosen, and so is the tap whose accuracy is reported, on held-out pictures of the training set, a different
    fifth for each seed; then the whole training set is fitted. The best tap by accuracy on the test set, which is
    what most papers print, stands beside it under that name. Center crops are fitted and tested.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data: folder of the training pictures, one folder for each class; or one with ``train/`` and ``test/``.
        test: folder of the test pictures.
        taps: names of the taps to probe; None for all.
        pool: side of the grid that each map is averaged to; None for vectors of about 9000 numbers.
        side: pictures are scaled so that their shorter side has this many pixels; the center square is taken.
        crops: 10 also tests on four corners, the center and their mirror images, whose probabilities are averaged, out
            of pictures whose shorter side is 256 / 227 of ``side``.
        seeds: number of splits, 0, 1, ...; the untrained network has new weights in each.
        compare: further encoders, ``{name: keras.Model}``.
        trained: False if the encoder's weights are random: then each seed draws new ones.
        references: accuracies from elsewhere to be written and drawn beside, ``{name: accuracy}``, such as that of
            the same network trained end to end with the labels.
        out: folder for ``metrics.json``, ``taps.csv`` and ``taps.png``; None writes nothing.
        progress: called with (fits done, fits in all, what) after each tap and seed.

    Returns:
        ``{name: number or text}``, see :func:`tfssl.evaluation.tap_scores.summary`.

    Raises:
        SourceError: if the folders hold no labeled pictures.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.
    """
    check_counts(seeds=seeds, pool=pool)
    sets = labeled_sets(data, test, side=side, crops=crops)
    runners = contestants(encoder, taps=taps, trained=trained, compare=compare)
    scores, total = [], sum(len(runner.taps) * seeds for runner in runners)
    for runner in runners:
        for network, run_seeds in runner.runs(seeds):
            with sets.features(network, taps=runner.taps, pool=pool) as (train, future, *crops_of_test):
                for score in probe(train, future, run_seeds, crops=crops_of_test, name=runner.name):
                    scores.append(score)
                    if progress is not None:
                        progress(len(scores), total, f"{score.encoder} {score.tap}")
    protocol = {
        "classifier": "multinomial logistic regression, L2, L-BFGS; bias not penalized",
        "numbers": None if pool else NUMBERS,
        "pool": pool,
        "standardized": "each number over the whole training set, then divided by the root of how many there are",
        "strengths": STRENGTHS,
        "held_out": f"1 / {HELD_OUT} of each class of the training set, drawn by numpy.random.default_rng(seed)",
        "crops": "center" if crops == 1 else "center, and mean probability of ten (ten_crop)",
    }
    return finish("linear_probe", scores, sets, seeds=seeds, protocol=protocol, references=references, out=out)


def probe(train, test, seeds, *, crops=(), name="encoder"):
    """Probe every tap of a pair of feature sets.

    Args:
        train, test: :class:`~tfssl.evaluation.features.Features`.
        seeds: of the splits.
        crops: features of other crops of the test pictures, whose probabilities are averaged.
        name: what to call the encoder.

    Yields:
        A :class:`~tfssl.evaluation.tap_scores.TapScore` for each tap and seed.
    """
    classes = int(train.labels.max()) + 1
    for tap, shape in train.shapes.items():
        rows = Rows(train.rows[tap])
        tested = list(rows.project(test.rows[tap])) if rows.in_memory else None
        on_test = {}
        for seed in seeds:
            held = held_out(train.labels, seed)
            if not held.any():
                raise SourceError("`data` must hold at least two pictures of some class, to hold one out")
            strength, right, start = _choose(rows, train.labels, classes, held)
            if strength not in on_test:  # the fit to all rows does not depend on the split
                fitted = fit(rows, train.labels, classes, strength, start=start)
                center = accuracy(fitted, tested or rows.project(test.rows[tap]), test.labels)
                on_test[strength] = center, _average_accuracy(fitted, rows, [crop.rows[tap] for crop in crops], test)
            yield TapScore(name, tap, shape, seed, strength, right, *on_test[strength])


def _average_accuracy(fitted, rows, crops, test):
    """Accuracy of the mean probabilities of several crops; None without any."""
    if not crops:
        return None
    total = sum(np.concatenate([fitted.probabilities(x) for x in rows.project(crop)]) for crop in crops)
    return float(np.mean(total.argmax(axis=-1) == test.labels))


def held_out(labels, seed):
    """A random fifth of each class, rounded; at least one picture where there are two, none of a single one.

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
