"""What the textures of sounds know of labels: purity of clusters, and a linear classifier over folds."""

import numpy as np

from tfssl.data.examples import Skipped
from tfssl.errors import SourceError
from tfssl.evaluation.logistic import Rows, accuracy, fit
from tfssl.evaluation.record import Metric
from tfssl.ops.sound_texture import GROUPS, SAMPLE_RATE, SHORTEST, cochleagram, group_scaling, texture_statistics

VECTORS = (
    "texture", "standardized", "spectrum", "raw_spectrum", "variation", "correlation", "modulation", "loudness"
)  # fmt: skip
"""What is compared: textures with groups of equal weight; with numbers of equal weight; mean spectra, divided by the
loudness as in textures, or as they are; and the other groups alone."""

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Strengths C of the linear classifier, of which the best on held-out folds of the training sounds is taken."""


def purity(clusters, labels):
    """Fraction of examples that have the commonest label of their cluster: int (N,), int (N,) from 0 on."""
    found = sum(np.bincount(labels[clusters == cluster]).max() for cluster in np.unique(clusters))
    return float(found / len(labels))


def cluster_purity(vectors, labels, clusters, seeds=10):
    """:func:`purity` of k-means without labels: a list of numbers, one for each of ``seeds``, from ten starts each."""
    from sklearn.cluster import KMeans

    found = (KMeans(clusters, n_init=10, random_state=seed).fit_predict(vectors) for seed in range(seeds))
    return [purity(numbers, labels) for numbers in found]


def fold_accuracies(vectors, labels, folds):
    """Accuracy of logistic regression on each fold in turn, learned from the others: a list, in the order of the names.

    Its strength is chosen within the others, each of them held out in turn, the smallest of equals.

    Args:
        vectors: float (N, D); each number is standardized by the training folds.
        labels: int (N,).
        folds: names (N,), at least three of them.

    Raises:
        SourceError: for fewer folds.
    """
    names, folds, classes = sorted(set(folds)), np.asarray(folds), int(labels.max()) + 1
    if len(names) < 3:
        raise SourceError(f"`labels`: the table needs a column fold with three folds at least. Received: {names}")
    found = []
    for name in names:
        known = folds != name
        rows, own, others = Rows(vectors[known].astype(np.float32)), labels[known], folds[known]
        right = np.zeros(len(STRENGTHS))
        for number, strength in enumerate(STRENGTHS):
            for other in set(others):
                held = others == other
                fitted = fit(rows, own, classes, strength, keep=~held)
                right[number] += accuracy(fitted, (block for block, _ in rows.blocks(held)), own[held])
        fitted = fit(rows, own, classes, STRENGTHS[int(right.argmax())])
        found.append(accuracy(fitted, rows.project(vectors[~known]), labels[~known]))
    return found


def read_textures(source, progress=None):
    """Textures of labeled sounds, of each between the silence that it is padded with.

    Args:
        source: a :class:`tfssl.data.SoundSource` with labels.
        progress: called with (sounds done, in all).

    Returns:
        ``(vectors, labels, folds, skipped)``: ``{name of VECTORS: float64 (N, D)}``, int (N,), their folds, and
        ``{name: reason}`` of the sounds that cannot be read, or are silent.
    """
    if not source.labels:
        raise SourceError("`labels`: the sounds have none; name a CSV with the columns filename, category and fold")
    found, spectra, kept, skipped = [], [], [], Skipped()
    for index in range(len(source)):
        try:
            envelopes = cochleagram(unpadded(source.example(index)["sound"].read()))
            found.append(texture_statistics(envelopes))
        except (ValueError, OSError) as error:
            skipped.add(source.name(index), str(error))
        else:
            spectra.append(envelopes.mean(axis=0))
            kept.append(index)
        if progress is not None:
            progress(index + 1, len(source))
    if len(kept) < 2:
        raise SourceError(f"`data`: {len(kept)} of {len(source)} sounds can be used; give others")
    found = np.stack(found)
    mean, scale = group_scaling(found)
    standard = _standardized(found)
    vectors = {"texture": (found - mean) * scale, "standardized": standard}
    vectors |= {"spectrum": standard[:, GROUPS["mean"]], "raw_spectrum": _standardized(np.stack(spectra))}
    vectors |= {name: standard[:, GROUPS[name]] for name in VECTORS[4:]}
    labels, folds = (np.asarray(values)[kept] for values in (source.labels, source.folds))
    return vectors, labels, folds, skipped.reasons


def measure_sounds(source, seeds=10, progress=None):
    """Metrics of the textures of labeled sounds, beside those of mean spectra: ``({name: Metric}, skipped)``.

    ``accuracy`` of :func:`fold_accuracies`, over the folds; ``purity`` of :func:`cluster_purity` with as many clusters
    as classes, over the seeds of k-means, beside clusters of chance, of the same sizes.
    """
    vectors, labels, folds, skipped = read_textures(source, progress)
    classes = len(np.unique(labels))
    right = {name: fold_accuracies(vectors[name], labels, folds) for name in VECTORS[:4]}
    pure = {name: cluster_purity(vectors[name], labels, classes, seeds) for name in VECTORS[:4]}
    chance = {"accuracy": float(np.bincount(labels).max() / len(labels)), "purity": chance_purity(labels, classes)}
    metrics = {}
    for name, found in (("accuracy", right), ("purity", pure)):
        beside = {other: float(np.mean(found[other])) for other in VECTORS[1:4]} | {"chance": chance[name]}
        value, spread = float(np.mean(found["texture"])), float(np.std(found["texture"], ddof=1))
        metrics[name] = Metric(value, spread, len(found["texture"]), "fraction", True, beside)
    counts = {"sounds": len(labels), "sounds_skipped": len(skipped), "classes": classes}
    return metrics | {name: Metric(float(value)) for name, value in counts.items()}, skipped


def chance_purity(labels, clusters, draws=100):
    """Purity of clusters of equal sizes that are dealt out by chance, the mean of so many draws."""
    rng, dealt = np.random.default_rng(0), np.arange(len(labels)) % clusters
    return float(np.mean([purity(rng.permutation(dealt), labels) for _ in range(draws)]))


def unpadded(samples, threshold=1e-4):
    """A sound from the first to the last 2.5 ms that exceed a threshold, at least 0.1 s of it; ValueError for silence.

    Data sets bring recordings to one length by zeros, which would count as half of the sound.
    """
    step = SAMPLE_RATE // 400
    loud = np.flatnonzero(np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1) > threshold)
    if not len(loud):
        raise ValueError("silent")
    first, end = loud[0] * step, (loud[-1] + 1) * step
    return samples[first : max(end, first + round(SHORTEST * SAMPLE_RATE))]


def _standardized(vectors):
    return (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)
