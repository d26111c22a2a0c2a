"""Surface normals: how well the direction of the surface seen at each pixel can be read from an encoder's maps."""

import numpy as np
import tensorflow as tf

from tfssl.data.copies import warn_of_copies
from tfssl.data.examples import Skipped
from tfssl.data.normals import normals_images
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.dense.head import pixel_mean
from tfssl.evaluation.dense.task import DenseTask, DenseTraining, evaluate_dense, readable
from tfssl.evaluation.runner import check_counts, limited

SAMPLE = 20_000  # directions of the training set that are clustered, as many from each image
WITHIN = (11.25, 22.5, 30.0)  # degrees below which an angle counts as small (Fouhey, Gupta and Hebert, ICCV 2013)

_BINS_PER_DEGREE = 100


def evaluate(
    encoder,
    data,
    *,
    train_split="train",
    test_split="test",
    predict="codewords",
    codewords=40,
    taps=None,
    head="32s",
    strategy="freeze",
    train_from=None,
    steps=500,
    crop_size=192,
    batch_size=8,
    learning_rate=None,
    seeds=3,
    limit=None,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a head for surface normals on an encoder, and on the same network untrained, and test them.

    Args:
        data: folder with ``SPLIT/`` and ``SPLITnormals/``, see :func:`tfssl.data.normals.normals_images`.
        predict: ``"codewords"``: each pixel is classified by the nearest codeword, and the answer is the normalized
            sum of the codewords weighted by their probabilities; ``"regression"``: three numbers, brought to length 1,
            with the loss 1 - cosine, half the squared distance of unit vectors.
        codewords: K of the k-means, at least 2; 40 as in the benchmark of Goyal et al. (2019), 20 in Wang et al.
            (2015).
        head: ``"32s"`` scores the deepest tap, ``"16s"`` adds the scores of the next finer one, ``"8s"`` of two.
        crop_size: of the random training crops, in pixels, rounded up to a multiple of the deepest tap's stride.
        learning_rate: above 0; None: 0.1 for ``"freeze"``, where the head alone is trained, 0.01 for the others.

    Returns:
        :class:`~tfssl.evaluation.record.Record` of :meth:`NormalAngles.metrics` over all known pixels of the test set,
        beside them the mean normal of the training set everywhere (``mean_normal``); the training loss; counts.

    Reference:
        X. Wang, D. Fouhey, A. Gupta: Designing Deep Networks for Surface Normal Estimation. CVPR 2015.
        P. Goyal, D. Mahajan, A. Gupta, I. Misra: Scaling and Benchmarking Self-Supervised Visual Representation
        Learning. ICCV 2019.
    """
    training = DenseTraining(
        strategy, train_from, steps, batch_size, learning_rate, seeds, pretext, pretext_weight, trained, head, crop_size
    )
    check_counts(codewords=codewords)
    if predict not in ("codewords", "regression"):
        raise ConfigError(f"`predict` must be 'codewords' or 'regression'. Received: predict={predict!r}")
    train, test = (limited(normals_images(data, split), limit) for split in (train_split, test_split))
    warn_of_copies(train, test)
    skipped = Skipped()
    mean, sample = training_directions(train, skipped)
    about = {"predict": predict, "mean_normal": mean.tolist()} | ({} if limit is None else {"limit": limit})
    if predict == "codewords":
        words = codebook(sample, codewords)
        about |= {"codewords": codewords, "clustered_normals": len(sample), "codebook": words.tolist()}
        task = codeword_task(train, test, words)
    else:
        task = regression_task(train, test, mean)
    return evaluate_dense(
        task,
        encoder,
        training,
        skipped=skipped,
        constants={"mean_normal": mean},
        about=about,
        kinds={"mean_angle": ("degrees", False), "median_angle": ("degrees", False)},
        taps=taps,
        compare=compare,
        out=out,
        progress=progress,
    )


class NormalAngles:
    """Statistics of angles that grow image by image; the median is exact to 0.005 degrees."""

    def __init__(self):
        self._sum, self._count = 0.0, 0
        self._within = np.zeros(len(WITHIN), np.int64)
        self._bins = np.zeros(180 * _BINS_PER_DEGREE, np.int64)

    def add(self, truth, predicted):
        """Count the pixels of an image: unit vectors, float (H, W, 3); nothing where the truth is 0."""
        known = np.any(truth != 0, axis=-1)
        cosines = np.sum(truth[known].astype(np.float64) * predicted[known], axis=-1)
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        self._sum += float(angles.sum())
        self._count += angles.size
        self._within += [np.count_nonzero(angles < limit) for limit in WITHIN]
        bins = np.minimum((angles * _BINS_PER_DEGREE).astype(np.int64), len(self._bins) - 1)
        self._bins += np.bincount(bins, minlength=len(self._bins))

    def metrics(self):
        """``mean_angle`` and ``median_angle`` in degrees, lower is better; ``within_11_25``, ``within_22_5`` and
        ``within_30``, fractions of the pixels, higher is better. NaN where nothing was counted.
        """
        count = self._count or np.nan
        fractions = (float(number / count) for number in self._within)
        within = {f"within_{limit:g}".replace(".", "_"): n for limit, n in zip(WITHIN, fractions, strict=True)}
        ranks = ((self._count - 1) // 2, self._count // 2)  # the two in the middle, or one twice
        middle = np.searchsorted(np.cumsum(self._bins), ranks, side="right")
        median = float((middle.mean() + 0.5) / _BINS_PER_DEGREE) if self._count else np.nan
        return {"mean_angle": self._sum / count, "median_angle": median, **within}


def codeword_task(train, test, words):
    """Normals by classification: of :class:`tfssl.data.normals.NormalsImages`, with a codebook (K, 3)."""

    def loss(targets, scores):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(nearest_word(targets, words), scores)
        return pixel_mean(losses, known_pixels(targets))

    return _task(train, test, len(words), loss, lambda scores: expected_direction(scores, words))


def regression_task(train, test, mean):
    """Normals by regression; it starts from the mean normal."""
    return _task(train, test, 3, cosine_loss, unit, bias=tuple(mean.tolist()))


def codebook(directions, count, seed=0):
    """Centers of k-means, the best of four starts, brought to length 1: unit vectors (N, 3) -> float32 (K, 3)."""
    from sklearn.cluster import KMeans

    different = len(np.unique(directions, axis=0))
    if not 2 <= count <= different:
        raise ConfigError(
            f"`codewords` must be from 2 to the number of different normals, {different}. Received: codewords={count!r}"
        )
    centers = KMeans(count, n_init=4, random_state=seed).fit(directions).cluster_centers_
    return (centers / np.linalg.norm(centers, axis=1, keepdims=True)).astype(np.float32)


def nearest_word(directions, words):
    """Number of the codeword at the smallest angle: float (..., 3) and (K, 3), of length 1 -> int32 (...)."""
    return tf.argmax(tf.einsum("...c,kc->...k", directions, words), axis=-1, output_type=tf.int32)


def expected_direction(scores, words):
    """The normalized sum of the codewords (K, 3), each weighted by its probability: logits (..., K) -> (..., 3)."""
    return unit(tf.einsum("...k,kc->...c", tf.nn.softmax(scores), words))


def unit(vectors):
    """Vectors (..., 3) brought to length 1; of length 0 stay so, with finite gradients."""
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors**2, axis=-1, keepdims=True), 1e-12))


def cosine_loss(targets, vectors):
    """1 - cosine of the angle, half the squared distance of unit vectors: the mean over pixels with a target."""
    return pixel_mean(1.0 - tf.reduce_sum(targets * unit(vectors), axis=-1), known_pixels(targets))


def known_pixels(targets):
    """Where a normal is known, bool (B, H, W)."""
    return tf.reduce_any(targets != 0, axis=-1)


def training_directions(train, skipped, seed=0):
    """The mean normal of a set, (3,), of length 1, and a sample of its normals, (N, 3), about :data:`SAMPLE`."""
    rng, total, sample = np.random.default_rng(seed), np.zeros(3), []
    each = -(-SAMPLE // len(train))
    for _, annotation in readable(train, skipped, train.annotation):
        normals = annotation["normals"]
        known = normals[np.any(normals != 0, axis=-1)]
        total += known.sum(axis=0, dtype=np.float64)
        sample.append(rng.choice(known, min(each, len(known)), replace=False, shuffle=False))
    if not any(map(len, sample)):
        raise SourceError("`data`: no pixel of the training set has a normal")
    return (total / max(np.linalg.norm(total), 1e-12)).astype(np.float32), np.concatenate(sample)


def painted(normals):
    """Normals (H, W, 3) as colors, uint8: (n + 1) / 2, black where nothing is known."""
    colors = np.round((np.asarray(normals, np.float32) + 1.0) * 127.5).astype(np.uint8)
    return np.where(np.any(normals != 0, axis=-1, keepdims=True), colors, 0)


def _task(train, test, outputs, loss, answer, bias=None):
    return DenseTask("surface_normals", "normals", train, test, outputs, loss, answer, NormalAngles, painted, bias)
