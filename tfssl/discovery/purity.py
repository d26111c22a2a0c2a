"""How good discovered clusters are: which of them to look at, and how pure they are against how much they cover."""

import collections

import numpy as np


def select_sets(ranked, count):
    """Walk down a ranking and take a set only if it adds an image that is not yet covered; near copies come late.

    When no set is left that does, an image counts as covered only if two of the taken sets hold it, then three, and
    so on, until ``count`` sets are taken or none is left. Returns the positions in ``ranked``, sets of images, best
    first, in the order they were taken.

    Reference:
        Doersch, Gupta and Efros (2015), section 4.5; after Doersch, Gupta and Efros: Mid-level Visual Element
        Discovery as Discriminative Mode Seeking. NIPS 2013.
    """
    covered = collections.Counter()
    taken, waiting, fold = [], list(range(len(ranked))), 1
    while waiting and len(taken) < count:
        refused = []
        for number in waiting:
            if len(taken) < count and any(covered[image] < fold for image in ranked[number]):
                covered.update(ranked[number])
                taken.append(number)
            else:
                refused.append(number)
        waiting, fold = refused, fold + 1
    return taken


def purity(labels):
    """Largest fraction of the labels of a set's images that are the same, in (0, 1]."""
    return collections.Counter(labels).most_common(1)[0][1] / len(labels)


def purity_coverage(sets, labels, total):
    """The purity-coverage curve (section 4.5 of the paper) of sets of images; ``labels`` is ``{image: label}``.

    Sets are sorted by purity, the purest first, equal ones in the given order. Point k: x is the fraction of all
    ``total`` images that occur in at least one of the first k sets, y the mean purity of these.

    Returns:
        ``(coverage, purity)``, float arrays (number of sets,).
    """
    purities = [purity([labels[image] for image in images]) for images in sets]
    seen, coverage = set(), []
    order = sorted(range(len(sets)), key=lambda number: -purities[number])
    for number in order:
        seen.update(sets[number])
        coverage.append(len(seen) / total)
    sorted_purities = np.array([purities[number] for number in order])
    return np.array(coverage), np.cumsum(sorted_purities) / np.arange(1, len(sets) + 1)


def area_under_curve(coverage, purity):
    """Area under a purity-coverage curve from coverage 0, with the first purity there, to its last point; in [0, 1]."""
    if len(coverage) == 0:
        return 0.0
    return float(np.trapezoid(np.append(purity[:1], purity), np.append([0.0], coverage)))


def random_sets(sets, images, rng):
    """As many sets, each as large, of images drawn by chance: what purity is worth nothing."""
    return [rng.choice(images, len(members), replace=False).tolist() for members in sets]
