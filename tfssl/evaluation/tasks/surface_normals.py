"""Surface normals: how well the direction of the surface seen at each pixel can be read from an encoder's maps.

As Wang, Fouhey and Gupta (CVPR 2015) did on NYUv2: directions are clustered to codewords and each pixel is classified.
"""

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.normals import normal_set
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.dense.codewords import codebook, expected_direction, nearest_word, unit
from tfssl.evaluation.dense.files import write_files
from tfssl.evaluation.dense.head import pixel_mean
from tfssl.evaluation.dense.normal_angles import NormalAngles
from tfssl.evaluation.dense.pictures import DensePictures
from tfssl.evaluation.dense.task import DenseTask, Protocol, baseline, run_all, summary
from tfssl.evaluation.labeled_sets import check_counts

SAMPLE = 20_000
"""Directions of the training set that are clustered, as many from each picture."""


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
    crop=192,
    batch_size=8,
    rate=None,
    seeds=3,
    compare=None,
    trained=True,
    pretext=None,
    pretext_weight=1.0,
    out=None,
    progress=None,
):
    """Train a head for surface normals on an encoder, and on the same network untrained, and test them.

    Args:
        encoder, taps, head, strategy, train_from, steps, crop, batch_size, rate, seeds, compare, trained, pretext,
            pretext_weight, progress: as :func:`tfssl.evaluation.tasks.segmentation.evaluate`.
        data: folder with ``SPLIT/`` and ``SPLITnormals/``, see :func:`tfssl.data.normals.normal_set`.
        train_split, test_split: names of the splits.
        predict: ``"codewords"``: each pixel is classified by the nearest codeword, and the answer is the normalized
            sum of the codewords weighted by their probabilities; ``"regression"``: three numbers, brought to length 1,
            with the loss 1 - cosine, half the squared distance of unit vectors.
        codewords: K of the k-means; 40 as in the benchmark of Goyal et al. (2019), 20 in Wang et al. (2015).
        out: folder for ``metrics.json``, ``runs.csv`` and ``pictures.png``; None writes nothing.

    Returns:
        ``{name: number or text}``: ``mean_angle``, ``median_angle`` (degrees, lower is better), ``within_11_25``,
        ``within_22_5`` and ``within_30`` (shares, higher is better) over all known pixels of the test set, means over
        the seeds, with ``NAME_std``; the same prefixed by ``untrained_``, and by ``mean_normal_`` for the mean normal
        of the training set everywhere; ``gain``, by how many degrees the mean angle is smaller than the untrained
        network's; ``taps``, counts of pictures, and ``skipped``, ``{file: reason}``.

    Raises:
        SourceError: if the pictures or normals are not what is needed.
        ConfigError: for a setting outside its range, or a tap that the encoder lacks.

    Reference:
        X. Wang, D. Fouhey, A. Gupta: Designing Deep Networks for Surface Normal Estimation. CVPR 2015.
        P. Goyal, D. Mahajan, A. Gupta, I. Misra: Scaling and Benchmarking Self-Supervised Visual Representation
        Learning. ICCV 2019.
    """
    protocol = Protocol(head, strategy, train_from, steps, crop, batch_size, rate, seeds)
    check_counts(codewords=codewords)
    if predict not in ("codewords", "regression"):
        raise ConfigError(f"`predict` must be 'codewords' or 'regression'. Received: predict={predict!r}")
    sets, skipped = [normal_set(data, split) for split in (train_split, test_split)], Skipped()
    pictures = [DensePictures(part.paths, part.read_normals, 0.0, mirrored) for part in sets]
    mean, sample = training_directions(pictures[0], skipped)
    words = codebook(sample, codewords) if predict == "codewords" else None
    task = regression_task(*pictures, mean) if words is None else codeword_task(*pictures, words)
    options = {"taps": taps, "trained": trained, "compare": compare, "progress": progress}
    runs = run_all(task, encoder, protocol, skipped=skipped, pretext=pretext, weight=pretext_weight, **options)
    numbers = summary(runs)
    numbers |= {f"mean_normal_{name}": value for name, value in baseline(task, mean, skipped).items()}
    if "untrained_mean_angle" in numbers:
        numbers["gain"] = numbers["untrained_mean_angle"] - numbers["mean_angle"]
    about = {"data": sets[0].root, "train_split": train_split, "test_split": test_split, "predict": predict}
    if words is not None:
        about |= {"codewords": codewords, "clustered_normals": len(sample), "codebook": words.tolist()}
    about |= protocol.record() | {"pretext_weight": pretext_weight if pretext is not None else None}
    about["mean_normal"] = mean.tolist()
    return write_files("surface_normals", task, runs, numbers, about, skipped, paint=painted, out=out)


def codeword_task(train, test, words):
    """Normals by classification, a :class:`~tfssl.evaluation.dense.task.DenseTask`.

    Args:
        train, test: :class:`~tfssl.evaluation.dense.pictures.DensePictures` of normals.
        words: float32 (K, 3), the codebook.
    """

    def loss(targets, scores):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(nearest_word(targets, words), scores)
        return pixel_mean(losses, known_pixels(targets))

    answer = lambda scores: expected_direction(scores, words)  # noqa: E731
    return DenseTask(train, test, tf.TensorSpec((3,), tf.float32), len(words), loss, answer, NormalAngles)


def regression_task(train, test, mean):
    """Normals by regression, a :class:`~tfssl.evaluation.dense.task.DenseTask`; it starts from the mean normal."""
    bias = tuple(mean.tolist())
    return DenseTask(train, test, tf.TensorSpec((3,), tf.float32), 3, cosine_loss, unit, NormalAngles, bias)


def cosine_loss(targets, vectors):
    """1 - cosine of the angle, the mean over the known pixels: half the squared distance of the unit vectors.

    Args:
        targets: float (B, H, W, 3), of length 1, or 0 where nothing is known.
        vectors: float (B, H, W, 3), of any length.
    """
    return pixel_mean(1.0 - tf.reduce_sum(targets * unit(vectors), axis=-1), known_pixels(targets))


def known_pixels(targets):
    """Where a normal is known, bool (B, H, W)."""
    return tf.reduce_any(targets != 0, axis=-1)


def mirrored(normals):
    """The normals of the picture seen in a mirror: what pointed to the right points to the left."""
    return normals[:, ::-1] * np.array([-1, 1, 1], normals.dtype)


def training_directions(pictures, skipped, seed=0):
    """The mean normal of a set, and a sample of its normals.

    Args:
        pictures: :class:`~tfssl.evaluation.dense.pictures.DensePictures` of normals.
        skipped: collects unreadable files.
        seed: of the sample.

    Returns:
        float32 (3,), of length 1, and float32 (N, 3), N about :data:`SAMPLE` at most.

    Raises:
        SourceError: if no pixel has a normal.
    """
    random, total, sample = np.random.default_rng(seed), np.zeros(3), []
    each = -(-SAMPLE // len(pictures))
    for _, normals in pictures.targets(skipped):
        known = normals[np.any(normals != 0, axis=-1)]
        total += known.sum(axis=0, dtype=np.float64)
        sample.append(random.choice(known, min(each, len(known)), replace=False, shuffle=False))
    if not any(map(len, sample)):
        raise SourceError("`data`: no pixel of the training set has a normal")
    return (total / max(np.linalg.norm(total), 1e-12)).astype(np.float32), np.concatenate(sample)


def painted(normals):
    """Normals (H, W, 3) as colors, uint8: (n + 1) / 2, black where nothing is known."""
    colors = np.round((np.asarray(normals, np.float32) + 1.0) * 127.5).astype(np.uint8)
    return np.where(np.any(normals != 0, axis=-1, keepdims=True), colors, 0)
