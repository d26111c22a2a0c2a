"""Nearest neighbors: how often the images that an encoder finds most alike are of the same class, tap by tap."""

import numpy as np

from tfssl.evaluation.features import NUMBERS, labeled_sets, plot_taps
from tfssl.evaluation.runner import Run, check_counts

NEIGHBORS = 20  # k: training images that vote
TEMPERATURE = 0.07  # a neighbor of cosine s votes with weight exp(s / 0.07), as in Wu et al. (2018)
_QUERIES, _BANK = 512, 2048  # rows that are held in memory at a time


def evaluate(
    encoder,
    data,
    *,
    test=None,
    taps=None,
    pool=None,
    image_size=96,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    out=None,
    progress=None,
):
    """Classify test images by a weighted vote of their 20 nearest training images.

    Each number of a vector is centered on its mean over the training set, and nearness is the cosine. Nothing is
    fitted, so the seeds only draw the weights of untrained networks. The reported tap is chosen on the training set,
    each image of which is classified by the others.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy``, and as :func:`tfssl.evaluation.runner.tap_metrics`.

    Reference:
        Z. Wu, Y. Xiong, S. Yu, D. Lin: Unsupervised Feature Learning via Non-Parametric Instance Discrimination.
        CVPR 2018, section 3.4.
    """
    check_counts(seeds=seeds, pool=pool)
    sets = labeled_sets(data, test, image_size=image_size, limit=limit, encoder=encoder)
    options = {"taps": taps, "pool": pool, "seeds": seeds, "compare": compare, "trained": trained, "progress": progress}
    runs = sets.measure(_vote_by_tap, encoder, **options)
    protocol = {
        **sets.protocol,
        "seeds": seeds,
        "neighbors": NEIGHBORS,
        "temperature": TEMPERATURE,
        "similarity": "cosine of vectors centered on the mean of the training set",
        "numbers": None if pool else NUMBERS,
        "pool": pool,
        "crops": "center",
    }
    return sets.finish(
        "knn",
        runs,
        protocol=protocol,
        by_tap="accuracy",
        baselines={"accuracy": {"chance": sets.chance}},
        out=out,
        draw=lambda folder: plot_taps(folder / "taps.png", runs, "accuracy", "accuracy on the test set"),
    )


def _vote_by_tap(name, seeds, train, test):
    for tap in train.rows:
        own, other = neighbor_accuracy(train, test, tap)
        yield from (Run(name, seed, {"accuracy": other}, tap, own, train.about(tap)) for seed in seeds)


def neighbor_accuracy(train, test, tap):
    """Accuracy of the vote, ``(on the training set, on the test set)``; a training image does not vote for itself."""
    mean = np.mean(train.rows[tap], axis=0, dtype=np.float64).astype(np.float32)
    bank, queries = (_Directions(part.rows[tap], mean) for part in (train, test))
    own = vote(bank, train.labels, bank, leave_one_out=True)
    return float(np.mean(own == train.labels)), float(np.mean(vote(bank, train.labels, queries) == test.labels))


def vote(bank, labels, queries, *, leave_one_out=False):
    """Class of each query (M, D) by the weighted vote of its nearest neighbors in the bank (N, D): int (M,).

    Both hold rows of length 1: arrays, or what gives one for each slice of it. With ``leave_one_out`` the queries are
    the bank itself, and row i does not vote for row i.
    """
    neighbors = min(NEIGHBORS, len(bank) - int(leave_one_out))
    answers = []
    for begin in range(0, len(queries), _QUERIES):
        rows = queries[begin : begin + _QUERIES]
        similarity = np.concatenate([rows @ bank[i : i + _BANK].T for i in range(0, len(bank), _BANK)], axis=1)
        index = np.arange(len(similarity))
        if leave_one_out:
            similarity[index, begin + index] = -np.inf
        nearest = np.argpartition(-similarity, neighbors - 1, axis=1)[:, :neighbors]
        votes = np.zeros((len(similarity), int(labels.max()) + 1), np.float64)
        weights = np.exp(np.take_along_axis(similarity, nearest, axis=1).astype(np.float64) / TEMPERATURE)
        np.add.at(votes, (index[:, None], labels[nearest]), weights)
        answers.append(votes.argmax(axis=1))
    return np.concatenate(answers)


class _Directions:
    """Rows less a mean, scaled to length 1, computed when a slice of them is asked for."""

    def __init__(self, rows, mean):
        self._rows, self._mean = rows, mean

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, part):
        rows = self._rows[part] - self._mean
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
