"""Classification of images in which several classes may occur: the column "classification" of the VOC tables."""

import numpy as np

from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation import presence
from tfssl.evaluation.features import NUMBERS, labeled_sets, plot_taps
from tfssl.evaluation.runner import Progress, Run, Training, check_choice, check_counts, compared, run_all

CLASSIFIERS = (*presence.CLASSIFIERS, "network")
"""``"svm"`` and ``"logistic"`` on frozen features, each class against the rest; ``"network"``: trained by descent."""

DESCENT = {
    "weight_decay": 1e-6,
    "drops": tuple(part / 8 for part in range(1, 8)),  # 10 000 of 80 000 steps
    "drop_factor": 0.5,
    "clip_norm": 10.0,
    "bias_learning_rate_scale": 2.0,
}
"""Of the network, see :func:`tfssl.transfer.training.train_head`."""


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
    image_size=96,
    crops=1,
    strategy="freeze",
    train_from=None,
    hidden=(),
    steps=8000,
    learning_rate=0.001,
    batch_size=16,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Rank the test images for each class by an encoder's features, and by those of the same network untrained.

    A class that an image shows only in objects marked as difficult counts for nothing there, in training and test.

    Args:
        data: a VOC directory, see :func:`tfssl.data.voc.boxed_images`.
        classifier: ``"svm"``, ``"logistic"`` or ``"network"``. The linear ones see every tap of the center squares, and
            choose C, one for all classes, and the tap that counts on a random fifth of the training images, another one
            for each seed. ``"network"`` is trained on random windows, on the last of the taps.
        image_size: height and width of the squares in pixels, 8 to 2048 (AlexNet: 227).
        crops: 10 also sums the scores of ten crops of each test image: for linear classifiers four corners, the
            center and their mirror images, for a network random windows as in training.
        hidden: of ``"network"``: units of fully connected layers before the scores (AlexNet's fc6 and fc7: 4096, 4096).
        steps: of the training of ``"network"``, at least 1 (paper: 80 000).
        learning_rate: of ``"network"``, above 0, halved seven times, as in the paper.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``map_area`` and ``map_11point`` (and with ``_10crop``), beside them
        as ``chance`` the mean fraction of positives, about what a random ranking gets; ``ap_CLASS``, by area; and as
        :func:`tfssl.evaluation.runner.tap_metrics`.

    Reference:
        P. Kraehenbuehl, C. Doersch, J. Donahue, T. Darrell: Data-dependent Initializations of Convolutional Neural
        Networks. ICLR 2016; philkr/voc-classification.
    """
    hidden = tuple(hidden) if isinstance(hidden, (list, tuple)) else (hidden,)
    for units in hidden:
        check_counts(hidden=units)
    check_counts(pool=pool)
    check_choice(CLASSIFIERS, classifier=classifier)
    options = strategy, train_from, steps, batch_size, learning_rate, seeds, pretext, pretext_weight, trained
    training = Training(*options)
    if classifier != "network" and (strategy != "freeze" or hidden):
        raise ConfigError("`strategy` and `hidden` belong to classifier='network'; linear classifiers train no network")
    train, test = presence.presence_images(data, train_split, test_split, classes=classes, limit=limit)
    sets = labeled_sets(train, test, image_size=image_size, crops=crops)
    options = {"taps": taps, "trained": trained, "compare": compare}

    def linear(name, own, fitted, *tested):
        for tap, rows in fitted.rows.items():
            vectors = [part.rows[tap] for part in tested]
            found = presence.probe_classes(rows, vectors, fitted.labels, own, classifier)
            for seed, strength, right, (center, *ten) in found:
                values = presence.precisions([center, sum(ten)] if ten else [center], tested[0].labels)
                yield _run(name, seed, tap, values, train.classes, right, {"strength": strength})

    def windows(seed):
        return presence.training_windows(train, image_size, batch_size, seed=seed, count=steps, skipped=sets.skipped)

    def trainings(entry, body, own):
        head = presence.presence_head(len(train.classes), hidden=hidden, pool=pool)
        options = {"taps": entry.taps[-1:], "work": work, **DESCENT}
        for seed in own:
            with training.network(entry, body, seed, head, windows, presence.presence_loss, **options) as (model, _):
                found = presence.score_windows(model, test, image_size, crops=crops, skipped=sets.skipped)
                yield _run(entry.name, seed, entry.taps[-1], presence.precisions(*found), train.classes)

    def draw(folder):
        plot_taps(folder / "taps.png", runs, "map_area", "mean average precision (area) on the test set")

    protocol = {"data": train.root, "train_split": train_split, "test_split": test_split, "classes": train.classes}
    protocol |= {} if limit is None else {"limit": limit}
    protocol |= {"classifier": classifier, "image_size": image_size, "crops": crops, "pool": pool}
    if classifier == "network":
        encoders = compared(encoder, **options, pixels=False)
        work = Progress(progress, seeds * steps * len(encoders))
        runs = run_all(encoders, seeds, trainings, sets.images)
        protocol |= {"hidden": hidden, **training.record(), **_NETWORK}
    else:
        runs = sets.measure(linear, encoder, pool=pool, seeds=seeds, progress=progress, **options)
        protocol |= {"seeds": seeds, "pretext_weight": None, "numbers": None if pool else NUMBERS}
        protocol |= {"implementation": _IMPLEMENTATIONS[classifier], **_LINEAR}
    return sets.finish(
        "voc_classification",
        runs,
        protocol=protocol,
        by_tap="map_area",
        baselines={"map_area": {"chance": _prevalence(sets, test_split)}},
        out=out,
        draw=None if classifier == "network" else draw,
    )


def _run(name, seed, tap, values, classes, held_out=None, about=None):
    """A run out of the average precisions of :func:`tfssl.evaluation.presence.precisions`; the headline is the area."""
    metrics = {f"map_{rule}": float(np.nanmean(found)) for rule, found in values.items()}
    by_class = {rule: dict(zip(classes, map(float, found), strict=True)) for rule, found in values.items()}
    metrics |= {f"ap_{label}": value for label, value in by_class.pop("area").items()}
    columns = {f"ap_{rule}_{label}": value for rule, found in by_class.items() for label, value in found.items()}
    return Run(name, seed, metrics, tap, held_out, (about or {}) | columns)


def _prevalence(sets, split):
    """Mean over the classes that occur of the fraction of the test images that show them."""
    labels = sets.readable_labels(1)
    if not len(labels):
        raise SourceError(f"`data`: no image of split {split!r} can be read")
    return float(np.mean([np.mean(row[presence.known(row)] == 1) for row in labels.T if (row == 1).any()]))


_IMPLEMENTATIONS = {
    "svm": "sklearn.svm.LinearSVC, squared hinge, L2, primal; the bias is penalized as a weight",
    "logistic": "sklearn.linear_model.LogisticRegression, L2; bias not penalized",
}


_LINEAR = {
    "strengths": presence.STRENGTHS,
    "held_out": f"1 / {presence.HELD_OUT} of the training images, drawn by numpy.random.default_rng(seed)",
    "chosen_by": "mean average precision (area) on the held-out images, one C for all classes",
    "standardized": "each number over the whole training set, then divided by the root of how many there are",
    "ties": "negatives first",
}

_NETWORK = {
    "head": "average over a grid; batch normalization without scale and offset, momentum 0.95; fully connected layers "
    f"with ReLU and dropout {presence.DROPOUT}; scores; weights N(0, {presence.DEVIATION}), biases {presence.BIAS}",
    "loss": "sigmoid cross-entropy summed over the classes, mean over the batch, 255 ignored",
    "optimizer": "SGD, momentum 0.9, weight decay {weight_decay} of kernels, rate x{drop_factor} after each eighth of "
    "the steps, gradient norm at most {clip_norm}, biases at {bias_learning_rate_scale} times the rate".format(
        **DESCENT
    ),
    "augmentation": "random window of the image scaled by a factor in [0.5, 2], mirrored with probability 1/2",
    "ten_crops": f"sum of the scores of {presence.CROPS} such windows, seeds 0 ... {presence.CROPS - 1}",
}
