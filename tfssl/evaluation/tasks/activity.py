"""Activities in clips: bags of space-time words of an encoder's codes, and support vector machines on them."""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np

from tfssl.data.acted import acted_clips
from tfssl.data.builtin import builtin_photographs
from tfssl.data.clip_classes import train_and_test_clips
from tfssl.data.examples import Skipped
from tfssl.errors import ConfigError, ModelError, SourceError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.runner import Progress, Run, check_counts, compared, finish, limited
from tfssl.evaluation.tasks.linear_probe import HELD_OUT, held_out
from tfssl.evaluation.words import (
    STRENGTHS,
    BlockCodes,
    Vocabulary,
    cameras_and_frames,
    chi_square,
    clips_of,
    kernel_scores,
    super_blocks,
)
from tfssl.visualization.confusion import confusion_plot

FUSED = ("average", "concatenate")
"""Ways to take encoders together: the mean of their kernels, or histograms behind each other."""


def evaluate(
    encoder,
    data,
    *,
    test=None,
    tap=None,
    space_step=4,
    time_step=4,
    cells=2,
    resize=None,
    components=100,
    words=300,
    samples=20000,
    fuse=(),
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Rank clips for each activity by the space-time words that an encoder sees in them.

    The encoder's codes at blocks of frames, of each clip; neighboring blocks together, a super-block, give a
    descriptor; principal components; k-means; the histogram of the words of a clip; a support vector machine with a
    chi-square kernel for each class against the rest. Labels are used by the last step only.

    Args:
        encoder: of modality ``"clip"``, or ``"pair"`` with as many frames of the left camera as of the right: of
            :class:`tfssl.methods.Synchrony` all three forms. Encoders of one camera see the left clip of stereo clips.
        data: folder of the training clips, ``<class>/<clip>``, or of two cameras ``<class>/left/<clip>`` and
            ``<class>/right/<clip>``; or one folder with ``train/`` and ``test/`` of such; ``"builtin"``: 20 stereo
            clips of each of 8 motions, see :func:`tfssl.data.acted.acted_clips`, for training, as many for the test,
            with other photographs.
        test: folder of the test clips; None where ``data`` holds ``train/`` and ``test/``.
        space_step: pixels between neighboring blocks, at least 1.
        time_step: frames between them, at least 1.
        cells: blocks of a super-block along each axis; with blocks of 10 frames and 16 pixels the defaults give the
            14 frames and 20 pixels of the paper (recalled).
        resize: frames are scaled so that their shorter side has so many pixels; None keeps their size.
        components: principal components of a descriptor.
        words: of the vocabulary (paper: 3000, recalled).
        samples: descriptors of training clips that components and words are fitted to, drawn for each seed.
        fuse: names of encoders that are also taken together, ``encoder`` and those of ``compare``: as ``average``, the
            mean of their kernels, and as ``concatenate``, one kernel of their histograms behind each other.
        seeds: runs, of the descriptors drawn, of k-means, of the held-out clips; and of untrained networks.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``map``, the mean over the classes of ``ap_CLASS``, average precision
        (area), beside it as ``chance`` the mean fraction of positives; ``accuracy`` of the class with the highest
        score. Clips that an encoder under comparison cannot take are left out for all of them.

    Raises:
        SourceError: if fewer than two training clips of a class can be used, or no test clip.
        ModelError: if codes are NaN.
    """
    counts = {"space_step": space_step, "time_step": time_step, "cells": cells, "words": words}
    check_counts(components=components, samples=samples, seeds=seeds, limit=limit, resize=resize, **counts)
    if isinstance(data, (str, os.PathLike)) and os.fspath(data) == "builtin":
        photographs = builtin_photographs()
        sets = [acted_clips(photographs[part::2], seed=part) for part in (0, 1)]
    else:
        sets = train_and_test_clips(data, test)
    train, test = (limited(one, limit) for one in sets)
    entries = compared(encoder, modality=("clip", "pair"), trained=trained, compare=compare)
    names = [entry.name for entry in entries]
    if taken := sorted(set(names) & set(FUSED)):
        raise ConfigError(f"`compare`: the name {taken[0]!r} is taken; choose another one")
    fuse = tuple(fuse.split(",") if isinstance(fuse, str) else fuse)
    if fuse and (len(set(fuse)) < 2 or not set(fuse) <= set(names)):
        raise ConfigError(f"`fuse` must name two or more of {', '.join(names)}. Received: fuse={list(fuse)!r}")
    taps = {entry.name: _tap(entry, tap) for entry in entries}
    options = {"space_step": space_step, "time_step": time_step, "resize": resize}
    networks = [(entry, network, own) for entry in entries for network, own in entry.networks(seeds)]
    fits = len(entries) * seeds + 2 * seeds * bool(fuse)
    work, skipped, bags = Progress(progress, len(train) + len(test) + fits), Skipped(), {}

    with tempfile.TemporaryDirectory(prefix="tfssl-activity-", ignore_cleanup_errors=True) as folder:
        coders = [BlockCodes(network, taps[entry.name], **options) for entry, network, _ in networks]
        grids = [_Grids(source, coders, cells, Path(folder) / name) for source, name in ((train, "a"), (test, "b"))]
        for part in grids:
            part.write(skipped, work)
        labels = [np.asarray(part.labels) for part in grids]
        _check_classes(train.classes, *labels, skipped)
        for number, (entry, _, own) in enumerate(networks):
            for seed in own:
                vocabulary = Vocabulary.fit(_drawn(grids[0], number, samples, seed), words, components, seed)
                found = [
                    np.stack([vocabulary.histogram(part.descriptors(number, clip)) for clip in range(len(part))])
                    for part in grids
                ]
                bags[entry.name, seed] = found
                work.add(f"{entry.name} {seed}")

    runs = []
    for (name, seed), (known, asked) in bags.items():
        kernels = chi_square(known, known), chi_square(known, asked)
        runs.append(_run(name, seed, taps[name], kernels, labels, train.classes))
    for seed, way in itertools.product(range(seeds) if fuse else (), FUSED):
        kernels = _together([bags[name, seed] for name in fuse], way)
        runs.append(_run(way, seed, "", kernels, labels, train.classes))
        work.add(f"{way} {seed}")

    occurring = [np.mean(labels[1] == label) for label in np.unique(labels[1])]
    majority = np.bincount(labels[0]).argmax()
    details = {"frames": {entry.name: list(cameras_and_frames(entry.network)) for entry in entries}}
    return finish(
        "activity",
        runs,
        protocol={
            "data": getattr(train, "root", None),
            "test": getattr(test, "root", None),
            **counts,
            **{"components": components, "samples": samples, "resize": resize, "seeds": seeds, "limit": limit},
            "fuse": fuse,
            "kernel": "exp(-chi-square distance / its mean among training clips)",
            "classifier": "sklearn.svm.SVC, each class against the rest",
            "strengths": STRENGTHS,
            "held_out": f"1 / {HELD_OUT} of each class of the training set, drawn by numpy.random.default_rng(seed)",
            "k_means": "sklearn.cluster.MiniBatchKMeans, batches of 4096, the best of 3 starts",
        },
        baselines={
            "map": {"chance": float(np.mean(occurring))},
            "accuracy": {"chance": float(np.mean(labels[1] == majority))},
        },
        counts={"classes": len(train.classes), "clips_train": len(labels[0]), "clips_test": len(labels[1])}
        | {"clips_skipped": len(skipped.reasons)},
        details=details,
        skipped=skipped.reasons,
        out=out,
        draw=lambda folder: _draw(folder, runs, labels[1], train.classes),
    )


class _Grids:
    """Codes of the readable clips of a source by several networks, in files: clips are decoded once."""

    def __init__(self, source, coders, cells, folder):
        self._source, self._coders, self._cells, self._folder = source, coders, cells, folder
        self.labels = []
        folder.mkdir()

    def __len__(self):
        return len(self.labels)

    def write(self, skipped, work):
        cameras = max(coder.cameras for coder in self._coders)
        for index in range(len(self._source)):
            try:
                example = self._source.example(index)
                clips = clips_of(example, cameras)
                found = [coder(clips) for coder in self._coders]
                for codes in found:
                    super_blocks(codes, self._cells)
            except (ConfigError, ModelError):  # no fault of the clip
                raise
            except (ValueError, OSError) as error:
                skipped.add(self._source.name(index), str(error))
            else:
                for number, codes in enumerate(found):
                    np.save(self._path(number, len(self)), codes)
                self.labels.append(int(example["label"]))
            work.add(self._source.noun)

    def descriptors(self, network, clip):
        return super_blocks(np.load(self._path(network, clip)), self._cells)

    def _path(self, network, clip):
        return self._folder / f"{network}-{clip}.npy"


def _drawn(grids, network, samples, seed):
    """About so many descriptors, as many of each clip."""
    rng, each, found = np.random.default_rng(seed), -(-samples // len(grids)), []
    for clip in range(len(grids)):
        descriptors = grids.descriptors(network, clip)
        found.append(descriptors[rng.permutation(len(descriptors))[:each]])
    return np.concatenate(found)


def _tap(entry, wanted):
    """The tap of an encoder that counts; those compared with may lack the one that is wanted."""
    if wanted in entry.network.output:
        return wanted
    if wanted is not None and entry.name == "encoder":
        raise ConfigError(f"`tap` must be one of {', '.join(entry.network.output)}. Received: tap={wanted!r}")
    return entry.taps[-1]


def _check_classes(classes, known, asked, skipped):
    few = "; ".join(f"{name}: {reason}" for name, reason in itertools.islice(skipped.reasons.items(), 2))
    why = f" ({few})" if few else ""
    for label, name in enumerate(classes):
        if np.count_nonzero(known == label) < 2:
            raise SourceError(f"`data`: fewer than two clips of class {name!r} can be used{why}; give others")
    if not len(asked):
        raise SourceError(f"`test`: no clip can be used{why}; give others")


def _together(bags, way):
    """Kernels of several encoders, of training clips and of test clips with them."""
    if way == "concatenate":
        known, asked = (np.concatenate(part, axis=1) for part in zip(*bags, strict=True))
        return chi_square(known, known), chi_square(known, asked)
    pairs = [(chi_square(known, known), chi_square(known, asked)) for known, asked in bags]
    return tuple(np.mean(part, axis=0) for part in zip(*pairs, strict=True))


def _run(name, seed, tap, kernels, labels, classes):
    (kernel, rows), (known, asked) = kernels, labels
    held, best = held_out(known, seed), (None, -1.0)
    for strength in STRENGTHS:
        within = kernel[np.ix_(~held, ~held)], known[~held], kernel[np.ix_(held, ~held)]
        right = float(np.nanmean(_precisions(kernel_scores(*within, len(classes), strength), known[held])))
        best = max(best, (strength, right), key=lambda pair: pair[1])
    strength, right = best
    scores = kernel_scores(kernel, known, rows, len(classes), strength)
    found = _precisions(scores, asked)
    answers = scores.argmax(axis=1)
    metrics = {"map": float(np.nanmean(found)), "accuracy": float(np.mean(answers == asked))}
    metrics |= {f"ap_{label}": float(value) for label, value in zip(classes, found, strict=True)}
    return Run(name, seed, metrics, tap, right, {"strength": strength}, answers)


def _precisions(scores, labels):
    """Average precision of each class, float64 (classes,); NaN for one without clips."""
    return average_precision(scores, labels[:, None] == np.arange(scores.shape[1]))


def _draw(folder, runs, labels, classes):
    """``confusion.png``: a matrix for each encoder, all seeds together."""
    matrices = {}
    for name in dict.fromkeys(run.encoder for run in runs):
        own = [run for run in runs if run.encoder == name]
        matrix = np.zeros((len(classes),) * 2)
        for run in own:
            np.add.at(matrix, (labels, run.shown), 1)
        score = np.mean([run.metrics["map"] for run in own])
        matrices[f"{name}: mean average precision {100 * score:.0f} %"] = matrix
    confusion_plot(matrices, folder / "confusion.png", classes=classes)
