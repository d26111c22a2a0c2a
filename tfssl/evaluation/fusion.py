"""Late fusion: several encoders that each see an image of their own of every example, and the mean of their answers."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfssl.data.images import FileSource
from tfssl.data.labeled import LabeledImages, labeled_images
from tfssl.data.listing import EXTENSIONS, by_stem
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import NUMBERS, labeled_sets
from tfssl.evaluation.logistic import Rows, fit
from tfssl.evaluation.record import Metric, Record
from tfssl.evaluation.runner import check_counts
from tfssl.evaluation.tasks.linear_probe import choose, held_out


def late_fusion(encoders, data, test, *, taps=None, pool=None, image_size=96, seeds=3):
    """Probe encoders one by one, each on its own images, and the mean of the probabilities that they give.

    Split-brain autoencoders of color and depth are measured so (Zhang et al., CVPR 2017, section 4.2, where detectors
    were fine-tuned and their scores averaged). Probes, strengths and taps are those of
    :mod:`tfssl.evaluation.tasks.linear_probe`, chosen for each encoder on held-out images of the training set.

    Args:
        encoders: ``{name: keras.Model}``, at least two, as of :mod:`tfssl.evaluation`.
        data: folder of the training images: one folder for each class, in it one for each encoder, called as it is,
            with files of equal names: ``chair/color/1.png`` and ``chair/hha/1.png``.
        test: folder of the test images, likewise.
        taps, pool, image_size, seeds: as of :mod:`tfssl.evaluation`.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` of the mean of the probabilities, beside that of each
        encoder alone and chance; the counts; the taps that were chosen in ``details``.

    Raises:
        ConfigError: for fewer than two encoders.
        SourceError: if a folder is missing, an image lacks its partner or cannot be read.
    """
    check_counts(seeds=seeds, pool=pool)
    if not isinstance(encoders, Mapping) or len(encoders) < 2:
        raise ConfigError(f"`encoders` must be a dict of at least two encoders. Received: encoders={encoders!r}")
    answers, chosen, right = {}, {}, {}
    for name, encoder in encoders.items():
        train = _images(data, name, tuple(encoders), "data")
        sets = labeled_sets(train, _images(test, name, tuple(encoders), "test", train.classes), image_size=image_size)
        with sets.features(encoder, taps=taps, pool=pool) as (known, asked):
            if sets.skipped.reasons:
                file, reason = next(iter(sets.skipped.reasons.items()))
                raise SourceError(f"{file!r} cannot be read ({reason}); remove it from the folders of all encoders")
            found = [_probed(seed, known, asked) for seed in range(seeds)]
        chosen[name] = [tap for tap, _ in found]
        answers[name] = np.stack([probabilities for _, probabilities in found])
        right[name] = np.mean(answers[name].argmax(axis=-1) == asked.labels, axis=1)
    fused = np.mean(np.mean(list(answers.values()), axis=0).argmax(axis=-1) == asked.labels, axis=1)
    baselines = {name: float(values.mean()) for name, values in right.items()} | {"chance": sets.chance}
    std = float(fused.std(ddof=1)) if seeds > 1 else None
    metrics = {"accuracy": Metric(float(fused.mean()), std, seeds, "fraction", True, baselines)}
    metrics |= {name: Metric(float(value)) for name, value in sets.counts.items()}
    protocol = {"seeds": seeds, "image_size": image_size, "pool": pool, "numbers": None if pool else NUMBERS}
    return Record("late_fusion", metrics, details={"taps": chosen}, protocol=protocol)


def _images(root, name, names, argument, classes=None):
    """The images of one encoder, :class:`LabeledImages`, in an order that is the same for all."""
    root, paths, labels = Path(root).expanduser(), [], []
    classes = labeled_images(root, classes=classes, argument=argument).classes
    for number, folder in enumerate(classes):
        if not (root / folder).is_dir():
            continue
        missing = [other for other in names if not (root / folder / other).is_dir()]
        if missing:
            raise SourceError(f"`{argument}` lacks the folder {os.fspath(root / folder / missing[0])!r}")
        found = {other: by_stem(root / folder / other, EXTENSIONS) for other in names}
        for stem in sorted(set().union(*found.values())):
            lacking = [other for other in names if stem not in found[other]]
            if lacking:
                raise SourceError(f"`{argument}`: {folder}/{lacking[0]}/ lacks the partner of {stem!r}")
            paths.append(found[name][stem])
            labels.append(number)
    return LabeledImages(os.fspath(root), FileSource(tuple(paths)), tuple(labels), classes)


def _probed(seed, train, test):
    """The tap that is best on held-out images, and the probabilities that it gives the test images, (M, K)."""
    classes, held, best = int(train.labels.max()) + 1, held_out(train.labels, seed), (None, -1.0)
    for tap, features in train.rows.items():
        rows = Rows(features)
        strength, right, start = choose(rows, train.labels, classes, held)
        if right > best[1]:
            best = (tap, right, rows, strength, start)
    tap, _, rows, strength, start = best
    fitted = fit(rows, train.labels, classes, strength, start=start)
    return tap, np.concatenate([fitted.probabilities(block) for block in rows.project(test.rows[tap])])
