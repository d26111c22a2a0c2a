"""How often the neighbor's grid cell is found on held-out images, by direction, and what the embedding is good for."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.source import check_source
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.record import method_record
from tfssl.methods.context_prediction.neighbors import nearest_neighbors
from tfssl.methods.context_prediction.sheets import write_confusion
from tfssl.ops.patches import DIRECTIONS, NO_PAIR, NUM_LABELS

_BATCH = 8  # images


_NEIGHBORS = ("neighbor_same_class", "neighbor_same_picture")
METRICS = {
    "accuracy": ("fraction", True, {"chance": "accuracy_chance", "constant": "accuracy_constant"}),
    "loss": ("nats", False, {"guessing": float(np.log(NUM_LABELS))}),
    **{f"accuracy_{name.replace(' ', '_')}": ("fraction", True, {"chance": 1 / NUM_LABELS}) for name in DIRECTIONS},
    **{
        name: ("fraction", True, {other: f"{other}_{name}" for other in ("untrained", "pixels", "chance")})
        for name in _NEIGHBORS
    },
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, progress=None):
    """Pretext accuracy, its table by direction, and nearest neighbors of patches.

    Patches are cut as in training (random area, grids and jitter, color dropping or projection), drawn from a
    generator seeded by the image's number, but none is blurred. Pairs count alike, so large images count more.

    Args:
        method: the :class:`~tfssl.methods.ContextPrediction` that the model belongs to.
        model: its network.
        data: photographs that it was not trained on, see :func:`tfssl.data.images.image_source`.
        out: folder for ``metrics.json``, ``confusion.png`` and ``neighbors.png``; None writes nothing.
        limit: use only the first so many images that serve; None for all.
        progress: called with (images done, images in all) after each batch.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` and ``loss`` of a pair, beside chance (1/8) and the
        commonest answer always; ``accuracy_above_left`` and so on by true direction; ``pairs``, ``images``,
        ``images_skipped``; what :func:`~tfssl.methods.context_prediction.neighbors.nearest_neighbors` returns.

    Raises:
        SourceError: if no image serves, or the source is mostly unreadable.
        ConfigError: if the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"`limit` must be at least 1 image. Received: limit={limit}")
    source = method.open(data)
    check_source(source)
    total = len(source) if limit is None else min(limit, len(source))
    confusion, loss, images, skipped = count_answers(method, model, source, limit=total, progress=progress)
    if not confusion.sum():
        raise SourceError(f"`data` has no image that holds a pair of patches among {total}; give larger images")
    metrics = accuracy_metrics(confusion, loss)
    metrics |= {"images": float(images), "images_skipped": float(len(skipped))}
    folder = None if out is None else Path(out)
    sheet = None if folder is None else folder / "neighbors.png"
    if images > 1:
        metrics |= nearest_neighbors(method, model, source, out=sheet, limit=limit)
    details = {"confusion": confusion.tolist(), "directions": list(DIRECTIONS)}
    about = {"skipped": skipped, "details": details, "source": f"{len(source)} images"}
    record = method_record(method, metrics, METRICS, **about)
    if folder is not None:
        record.write(folder)
        write_confusion(confusion, folder / "confusion.png")
    return record


def count_answers(method, model, source, *, limit, progress=None):
    """Answers of a model to all pairs of a source.

    Args:
        method: a :class:`~tfssl.methods.ContextPrediction`.
        model: its network.
        source: an :class:`tfssl.data.images.ImageSource`.
        limit: number of images to take, of those that serve.
        progress: as :func:`evaluate`.

    Returns:
        ``(confusion, loss, images, skipped)``: int64 (8, 8), rows are true and columns predicted labels; mean
        cross-entropy of a pair; number of images; ``{name: reason}``.
    """
    skipped = Skipped()
    run = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    confusion, total_loss, done = np.zeros((NUM_LABELS, NUM_LABELS), np.int64), 0.0, 0
    for inputs, targets in method.dataset(source, batch_size=_BATCH, training=False, skipped=skipped, limit=limit):
        logits, labels = run(inputs), targets.numpy()
        valid = labels != NO_PAIR
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits).numpy()
        total_loss += float(loss[valid].sum(dtype=np.float64))
        np.add.at(confusion, (labels[valid], np.argmax(logits, axis=-1)[valid]), 1)
        done += len(labels)
        if progress is not None:
            progress(min(done + len(skipped.reasons), limit), limit)
    return confusion, total_loss / max(confusion.sum(), 1), done, dict(skipped.reasons)


def accuracy_metrics(confusion, loss):
    """The figures that follow from a confusion table.

    Args:
        confusion: int (8, 8), rows are true and columns predicted labels.
        loss: mean cross-entropy of a pair.

    Returns:
        ``{name: float}``, see :func:`evaluate`.
    """
    of_label = confusion.sum(axis=1)
    right = np.diag(confusion)
    table = {
        f"accuracy_{name.replace(' ', '_')}": float(n / max(of, 1))
        for name, n, of in zip(DIRECTIONS, right, of_label, strict=True)
    }
    pairs = confusion.sum()
    return {
        "accuracy": float(right.sum() / pairs),
        "accuracy_chance": 1 / NUM_LABELS,
        "accuracy_constant": float(of_label.max() / pairs),
        "loss": float(loss),
        **table,
        "pairs": float(pairs),
    }
