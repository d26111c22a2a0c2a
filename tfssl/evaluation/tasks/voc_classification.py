"""Classification of pictures in which several classes may occur: the column "classification" of the VOC tables.

Linear classifiers on frozen features, or a network trained on top of the encoder, as Kraehenbuehl's benchmark does it.
"""

from pathlib import Path

import numpy as np

from tfssl.data.examples import Skipped
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.encoders import contestants
from tfssl.evaluation.features import NUMBERS
from tfssl.evaluation.labeled_sets import check_counts
from tfssl.evaluation.metrics_file import write_metrics
from tfssl.evaluation.presence import one_vs_rest
from tfssl.evaluation.presence.data import known, presence_pictures, squares
from tfssl.evaluation.presence.network import Training, train_and_score
from tfssl.evaluation.presence.scores import PresenceScore, precisions, summary, write_classes, write_plot

CLASSIFIERS = (*one_vs_rest.CLASSIFIERS, "network")
"""``"svm"`` and ``"logistic"`` on frozen features, each class against the rest; ``"network"``: trained by descent."""


def evaluate(
    encoder,
    data,
    *,
    train_split="train",
    test_split="val",
    classes=None,
    classifier="svm",
    taps=None,
    pool=None,
    side=96,
    crops=1,
    strategy="freeze",
    train_from=None,
    hidden=(),
    steps=8000,
    rate=0.001,
    batch_size=16,
    seeds=3,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Rank the test pictures for each class by an encoder's features, and by those of the same network untrained.

    A class that a picture shows only in objects marked as difficult counts for nothing there, in training and test.

    Args:
        encoder: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        data: a VOC directory, see :func:`tfssl.data.voc.boxed_set`.
        train_split, test_split: names of the splits (VOC 2007: ``"trainval"``, ``"test"``).
        classes: names of the classes, in the order of their numbers; None: see :func:`tfssl.data.voc.boxed_set`.
        classifier: one of :data:`CLASSIFIERS`. The linear ones see every tap of the center squares, and choose C, one
            for all classes, and the tap that counts on a random fifth of the training pictures, another one for each
            seed. ``"network"`` is trained on random windows, on the last of the taps.
        taps: names of the taps; None for all.
        pool: side of the grid that maps are averaged to; None for vectors of about 9000 numbers.
        side: height and width of the squares in pixels (AlexNet: 227).
        crops: 10 also sums the scores of ten crops of each test picture: for linear classifiers four corners, the
            center and their mirror images, for a network random windows as in training.
        strategy: of ``"network"``: what becomes of the encoder, one of :data:`tfssl.transfer.STRATEGIES`.
        train_from: of ``"network"`` with ``"fine_tune"``: the first tap that is trained.
        hidden: of ``"network"``: units of fully connected layers before the scores (AlexNet's fc6 and fc7: 4096, 4096).
        steps, rate, batch_size: of ``"network"`` (paper: 80 000, 0.001, 16); the rate is halved seven times.
        seeds: number of splits or trainings; the untrained network has new weights in each.
        compare: further encoders, ``{name: keras.Model}``.
        trained: False if the encoder's weights are random: then each seed draws new ones.
        pretext, pretext_weight: with strategy ``"joint"``, the pretext task and lambda, see
            :func:`tfssl.transfer.training.train_head`. Networks without one are then fine-tuned.
        out: folder for ``metrics.json``, ``classes.csv`` and, for linear classifiers, ``taps.png``; None writes
            nothing.
        progress: called with (done, in all, what).

    Returns:
        ``{name: number or text}``: see :func:`tfssl.evaluation.presence.scores.summary`; ``prevalence``, the mean share
        of positives, about what a random ranking gets; counts, and ``skipped``, ``{file: reason}``.

    Raises:
        SourceError: if the directory or its annotations are not what is needed.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.

    Reference:
        P. Kraehenbuehl, C. Doersch, J. Donahue, T. Darrell: Data-dependent Initializations of Convolutional Neural
        Networks. ICLR 2016; philkr/voc-classification.
    """
    check_counts(seeds=seeds, pool=pool)
    hidden = tuple(hidden) if isinstance(hidden, (list, tuple)) else (hidden,)
    training = Training(strategy, train_from, hidden, pool, side, steps, rate, batch_size)
    _check(classifier, side, crops, training, pretext if trained else None)
    train, test = presence_pictures(data, train_split, test_split, classes=classes)
    runners, skipped = contestants(encoder, taps=taps, trained=trained, compare=compare), Skipped()
    if classifier == "network":
        runners = [r for r in runners if r.name != "pixels"]
        options = {"pretext": pretext, "weight": pretext_weight, "crops": crops, "skipped": skipped}
        scores = _networks(runners, train, test, training, seeds, progress, options)
    else:
        sets = squares(train, test, side=side, crops=crops)
        skipped = sets.skipped
        scores = _linear(runners, sets, train, test, classifier, pool, seeds, progress)
    numbers = summary(scores, train.classes) | _counts(train, test, skipped)
    if out is not None:
        sets = {"data": train.root, "train_split": train_split, "test_split": test_split, "classes": train.classes}
        protocol = {**sets, "classifier": classifier, "side": side, "crops": crops, "seeds": seeds}
        protocol |= training.record() if classifier == "network" else _linear_record(classifier, pool)
        if pretext is not None:
            protocol["pretext_weight"] = pretext_weight
        write_metrics(out, numbers, task="voc_classification", protocol=protocol)
        write_classes(Path(out) / "classes.csv", scores, train.classes)
        if classifier != "network":
            write_plot(Path(out) / "taps.png", scores)
    return numbers


def _check(classifier, side, crops, training, pretext):
    if classifier not in CLASSIFIERS:
        raise ConfigError(f"`classifier` must be one of {', '.join(CLASSIFIERS)}. Received: classifier={classifier!r}")
    if not isinstance(side, int) or not 8 <= side <= 2048:
        raise ConfigError(f"`side` must be an integer from 8 to 2048 pixels. Received: side={side!r}")
    if crops not in (1, 10):
        raise ConfigError(f"`crops` must be 1 or 10. Received: crops={crops!r}")
    if classifier != "network" and (training.strategy != "freeze" or training.hidden):
        raise ConfigError("`strategy` and `hidden` belong to classifier='network'; linear classifiers train no network")
    if (training.strategy == "joint") != (pretext is not None):
        raise ConfigError("strategy='joint' needs a trained encoder and its `pretext` task, other strategies use none")


def _linear(runners, sets, train, test, classifier, pool, seeds, progress):
    scores, total = [], sum(len(runner.taps) * seeds for runner in runners)
    for runner in runners:
        for network, run_seeds in runner.runs(seeds):
            with sets.features(network, taps=runner.taps, pool=pool) as (fitted, *tested):
                labels = [pictures.presence[found.labels] for pictures, found in ((train, fitted), (test, tested[0]))]
                for tap in fitted.rows:
                    vectors = [found.rows[tap] for found in tested]
                    found = one_vs_rest.probe_classes(fitted.rows[tap], vectors, labels[0], run_seeds, classifier)
                    for seed, strength, right, (center, *ten) in found:
                        values = precisions([center, sum(ten)] if ten else [center], labels[1])
                        scores.append(PresenceScore(runner.name, tap, seed, strength, right, values))
                        if progress is not None:
                            progress(len(scores), total, f"{runner.name} {tap}")
    return scores


def _networks(runners, train, test, training, seeds, progress, options):
    scores, total = [], len(runners) * seeds * training.steps
    for runner in runners:
        own = options if runner.name == "encoder" else options | {"pretext": None}
        for network, run_seeds in runner.runs(seeds):
            for seed in run_seeds:
                report = _shifted(progress, len(scores) * training.steps, total, runner.name)
                tap = runner.taps[-1]
                values, labels = train_and_score(network, tap, train, test, training, seed=seed, progress=report, **own)
                scores.append(PresenceScore(runner.name, tap, seed, None, None, precisions(values, labels)))
    return scores


def _shifted(progress, done, total, name):
    if progress is None:
        return None
    return lambda step, _, text: progress(done + step, total, f"{name} {text}")


def _counts(train, test, skipped):
    read = [[path not in skipped.reasons for path in pictures.paths] for pictures in (train, test)]
    if not any(read[1]):
        raise SourceError(f"`data`: no picture of split {test.split!r} can be read")
    presence = test.presence[read[1]]
    shares = [np.mean(row[known(row)] == 1) for row in presence.T if (row == 1).any()]
    return {
        "prevalence": float(np.mean(shares)),
        "class_count": len(train.classes),
        "images_train": sum(read[0]),
        "images_test": sum(read[1]),
        "images_skipped": len(skipped.reasons),
        "skipped": dict(skipped.reasons),
    }


def _linear_record(classifier, pool):
    return {
        "implementation": {
            "svm": "sklearn.svm.LinearSVC, squared hinge, L2, primal; the bias is penalized as a weight",
            "logistic": "sklearn.linear_model.LogisticRegression, L2; bias not penalized",
        }[classifier],
        "strengths": one_vs_rest.STRENGTHS,
        "held_out": f"1 / {one_vs_rest.HELD_OUT} of the training pictures, drawn by numpy.random.default_rng(seed)",
        "chosen_by": "mean average precision (area) on the held-out pictures, one C for all classes",
        "numbers": None if pool else NUMBERS,
        "pool": pool,
        "standardized": "each number over the whole training set, then divided by the root of how many there are",
        "ties": "negatives first",
    }
