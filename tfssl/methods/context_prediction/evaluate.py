"""How often the neighbor's grid cell is found on held-out images, by direction, and what the embedding is good for."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.examples import Skipped
from tfssl.data.labeled import folder_labels
from tfssl.data.source import check_source
from tfssl.discovery.embedding import baseline_descriptor, embed
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.record import method_record
from tfssl.methods.context_prediction.data import cut_patches
from tfssl.methods.context_prediction.sheets import write_confusion
from tfssl.ops.patches import DIRECTIONS, NO_PAIR, NUM_LABELS
from tfssl.visualization.neighbors import chance_purity, cosine_neighbors, purity_at_k
from tfssl.visualization.sheet import picture_sheet

BASELINES = ("untrained", "pixels")
PATCHES_PER_IMAGE = 4
MAX_IMAGES = 500

_BATCH = 8  # images
_SHOWN_QUERIES, _SHOWN_NEIGHBORS = 5, 6
_ACCURACIES = [f"accuracy_{name.replace(' ', '_')}" for name in DIRECTIONS]
_NEIGHBORS = ("neighbor_same_class", "neighbor_same_picture")
METRICS = {
    "accuracy": ("fraction", True, {"chance": "accuracy_chance", "constant": "accuracy_constant"}),
    "loss": ("nats", False, {"guessing": float(np.log(NUM_LABELS))}),
    **{name: ("fraction", True, {"chance": 1 / NUM_LABELS}) for name in _ACCURACIES},
    **{name: ("fraction", True, {other: f"{other}_{name}" for other in (*BASELINES, "chance")}) for name in _NEIGHBORS},
}
"""Unit, direction and baselines of the metrics."""


def evaluate(method, model, data, *, out=None, limit=None, progress=None):
    """Pretext accuracy, its table by direction, and nearest neighbors of patches.

    Patches are cut as in training (random area, grids and jitter, color dropping or projection), drawn from a
    generator seeded by the image's number, but none is blurred. Pairs count alike, so large images count more.

    Args:
        method: the :class:`~tfssl.methods.ContextPrediction` that the model belongs to.
        model, data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json``, ``confusion.png`` and ``neighbors.png``; None writes nothing.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``accuracy`` and ``loss`` of a pair, beside chance (1/8) and the
        commonest answer always; ``accuracy_above_left`` and so on by true direction; ``pairs``, ``images``,
        ``images_skipped``; what :func:`nearest_neighbors` returns.

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
    if images > 1:
        sheet = None if out is None else Path(out) / "neighbors.png"
        metrics |= nearest_neighbors(method, model, source, out=sheet, limit=limit)
    details = {"confusion": confusion.tolist(), "directions": list(DIRECTIONS)}
    about = {"skipped": skipped, "details": details, "source": f"{len(source)} images"}
    record = method_record(method, metrics, METRICS, **about)
    if out is not None:
        record.write(out)
        write_confusion(confusion, Path(out) / "confusion.png")
    return record


def count_answers(method, model, source, *, limit, progress=None):
    """Answers of a model to all pairs of the first ``limit`` images of a source that serve.

    Returns:
        ``(confusion, loss, images, skipped)``: int64 (8, 8), rows are true and columns predicted labels; mean
        cross-entropy of a pair; number of images; ``{name: reason}``.
    """
    skipped = Skipped()
    run = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True, autograph=False)
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
    """The metrics of :func:`evaluate` that follow from a confusion table, int (8, 8), and the mean loss of a pair."""
    of_label, right, pairs = confusion.sum(axis=1), np.diag(confusion), confusion.sum()
    table = dict(zip(_ACCURACIES, (right / np.maximum(of_label, 1)).tolist(), strict=True))
    return {
        "accuracy": float(right.sum() / pairs),
        "accuracy_chance": 1 / NUM_LABELS,
        "accuracy_constant": float(of_label.max() / pairs),
        "loss": float(loss),
        **table,
        "pairs": float(pairs),
    }


def nearest_neighbors(method, model, data, *, out=None, limit=None, seed=0):
    """Look for the nearest neighbor of each patch by the cosine of fc6, as section 4.1 of the paper.

    Patches are :data:`PATCHES_PER_IMAGE` of each of the first images, that do not overlap (cells of one grid), at most
    :data:`MAX_IMAGES` images. Two fractions say how good neighbors are: that come from the same image, among all other
    patches; and, where the source has a folder for each class, from an image of the same class, among the patches of
    all other images. An untrained network of the same kind (its weights from ``seed``) and the pixels are compared.

    Returns:
        ``{name: float}``: ``neighbor_same_picture``, with classes ``neighbor_same_class``; the same prefixed by
        ``untrained_``, ``pixels_`` and ``chance_`` (of a patch drawn blindly); and ``neighbor_patches``, their number.
        ``out``, a PNG, shows a few patches and their neighbors by each descriptor.

    Raises:
        SourceError: if fewer than two images serve.
    """
    source = method.open(data)
    patches, owner = sample_patches(method, source, min(limit or MAX_IMAGES, MAX_IMAGES))
    names = folder_labels(source)
    labels = None if names is None else np.unique(names, return_inverse=True)[1][owner]
    descriptors = {"": embed(method, model)} | {f"{n}_": baseline_descriptor(n, method, seed) for n in BASELINES}
    single, metrics, found = np.arange(len(patches)), {}, {}
    shown = min(_SHOWN_NEIGHBORS, len(patches) - int(np.bincount(owner).max()))
    for prefix, descriptor in descriptors.items():
        vectors = descriptor(patches)
        metrics[f"{prefix}neighbor_same_picture"] = purity_at_k(cosine_neighbors(vectors, 1, groups=single)[0], owner)
        found[prefix], _ = cosine_neighbors(vectors, shown, groups=owner)
        if labels is not None:
            metrics[f"{prefix}neighbor_same_class"] = purity_at_k(found[prefix][:, :1], labels)
    metrics["chance_neighbor_same_picture"] = chance_purity(owner)
    if labels is not None:
        metrics["chance_neighbor_same_class"] = chance_purity(labels, owner)
    if out is not None:
        _write_sheet(patches, found, out, seed)
    return {**metrics, "neighbor_patches": float(len(patches))}


def sample_patches(method, source, images):
    """Patches of the first ``images`` images that serve, without augmentation and with their colors.

    Returns:
        ``(patches, owner)``: uint8 (N, s, s, 3), and the number of the image in the source of each, int (N,).
    """
    patches, owner = [], []
    for number in range(len(source)):
        if len(patches) == images:
            break
        try:
            image, rng = source.example(number)["image"], np.random.default_rng((0, 1, number))
            cut, _, _, pairs, labels = cut_patches(method, image, rng, training=False, colors=True)
        except (ValueError, OSError):
            continue
        first = _first_grid(pairs[labels >= 0])
        patches.append(cut[first[:PATCHES_PER_IMAGE]].transpose(0, 2, 3, 1))
        owner.append(np.full(len(patches[-1]), number))
    if len(patches) < 2:
        raise SourceError(f"`data` has {len(patches)} images that serve among {len(source)}; give at least 2")
    return np.concatenate(patches), np.concatenate(owner)


def _first_grid(pairs):
    """Numbers of the patches of the first grid that has pairs: those connected with the first one of them."""
    reached = {int(pairs[0, 0])} if len(pairs) else {0}
    while True:
        more = reached | {int(b) for a, b in pairs if int(a) in reached}
        if more == reached:
            return sorted(reached)
        reached = more


def _write_sheet(patches, found, path, seed):
    chosen = np.random.default_rng(seed).choice(len(patches), min(_SHOWN_QUERIES, len(patches)), replace=False)
    names = {"": "fc6"} | {f"{name}_": name for name in BASELINES}
    rows, labels = [], []
    for query in chosen.tolist():
        for prefix, name in names.items():
            rows.append([patches[query] if not prefix else None, *patches[found[prefix][query]]])
            labels.append(name)
    titles = ["query", *(str(n + 1) for n in range(len(rows[0]) - 1))]
    picture_sheet(rows, path, titles=titles, labels=labels, cell=72, margin=4)
