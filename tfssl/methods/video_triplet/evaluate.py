"""How often the crops of a track are nearer to each other than to crops of other clips, and what is nearest."""

from pathlib import Path

import numpy as np

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.record import method_record
from tfssl.methods.video_triplet.data import to_inputs
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_ANCHORS = 256  # crops whose distances to all are in memory at a time
_TILE = 96  # pixels of a crop on the sheet


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
    """Compare all triplets of some tracks: each crop, the other one of its track, each crop of another clip.

    Args:
        method: the :class:`~tfssl.methods.VideoTriplet` that the model belongs to.
        model: its model.
        data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        seed: of the weights of the network untrained, which is measured beside.
        batch_size: tracks that the network sees at a time.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``triplets``: fraction with D(x, x+) < D(x, x-), 0.5 by chance; beside it that of the same network untrained,
          and of the pixels less their mean color in the place of embeddings;
        - ``nearest``: fraction of crops that no crop of another clip is nearer to than their own track's, likewise;
        - ``loss``: mean of the margin loss over all triplets, beside the margin, that of equal embeddings;
        - ``dead``: fraction of crops whose embedding is 0, which learn nothing;
        - the counts ``images`` (tracks), ``images_skipped`` and ``clips``.

        NaN where all tracks are of one clip.
    """
    import keras

    source, skipped = method.open(data), Skipped()
    check_source(source)
    inputs, clips, found = [], [], []
    for batch, targets in method.measured(source, batch_size, skipped, limit=limit, progress=progress):
        found.append(np.asarray(model(batch, training=False)))
        inputs.append(np.asarray(batch))
        clips.append(np.asarray(targets[:, 0]))
    embeddings, inputs, clips = (np.concatenate(parts) for parts in (found, inputs, clips))
    if not np.isfinite(embeddings).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    keras.utils.set_random_seed(seed)
    fresh = method.model()
    starts = range(0, len(inputs), batch_size)
    untrained = np.concatenate([np.asarray(fresh(inputs[i : i + batch_size], training=False)) for i in starts])
    values = triplet_metrics(embeddings, clips, method.margin)
    for name, other in (("untrained", untrained), ("pixels", of_pixels(inputs))):
        beside = triplet_metrics(other, clips, method.margin)
        values |= {f"{name}_{key}": beside[key] for key in ("triplets", "nearest")}
    values |= {
        "chance": 0.5,
        "equal": method.margin,
        "dead": float((np.abs(embeddings).max(axis=-1) == 0).mean()),
        "images": float(len(inputs)),
        "images_skipped": float(len(skipped.reasons)),
        "clips": float(len(np.unique(clips))),
    }
    kinds = {
        "triplets": (
            "fraction", True, {"untrained": "untrained_triplets", "pixels": "pixels_triplets", "chance": "chance"}
        ),
        "nearest": ("fraction", True, {"untrained": "untrained_nearest", "pixels": "pixels_nearest"}),
        "loss": ("", False, {"equal embeddings": "equal"}),
        "dead": ("fraction", False, {}),
    }  # fmt: skip
    record = method_record(method, values, kinds, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def triplet_metrics(embeddings, clips, margin):
    """``triplets``, ``nearest``, ``loss`` of :func:`evaluate`, of embeddings (N, 2, D) of length 1 and clips (N,)."""
    everything, owners = embeddings.reshape(-1, embeddings.shape[-1]), np.repeat(clips, 2)
    partners = np.arange(len(owners)) ^ 1
    together = 1 - np.sum(everything * everything[partners], axis=-1)
    right = loss = triplets = nearest = anchors = 0
    for start in range(0, len(owners), _ANCHORS):
        part = slice(start, start + _ANCHORS)
        apart = 1 - everything[part] @ everything.T
        counts = owners[part, None] != owners[None]
        nearer = together[part, None] < apart
        triplets += int(counts.sum())
        right += int((nearer & counts).sum())
        loss += float((np.maximum(together[part, None] - apart + margin, 0) * counts).sum())
        nearest += int((nearer | ~counts).all(axis=1).sum())
        anchors += len(apart)
    if not triplets:
        return dict.fromkeys(("triplets", "nearest", "loss"), float("nan"))
    return {"triplets": right / triplets, "nearest": nearest / anchors, "loss": loss / triplets}


def of_pixels(inputs):
    """The pixels of crops (N, 2, s, s, 3) less the mean color of all, each crop of length 1: (N, 2, 3 s s)."""
    centered = (inputs - inputs.mean(axis=(0, 1, 2, 3))).reshape(*inputs.shape[:2], -1)
    return centered / np.maximum(np.linalg.norm(centered, axis=-1, keepdims=True), 1e-6)


def write_sheet(method, model, data, path, count=8):
    """Draw tracks of ``count`` items spread over the source, each first crop beside the second and the nearest others.

    Below stand distances from the first crop; the second one is framed in green where no other clip's crop is nearer.
    """

    def draw(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)

    drawn = spread_examples(method.open(data), 4 * count, draw)
    pairs, targets = (np.stack(part) for part in zip(*drawn, strict=True))
    embeddings, clips = np.asarray(model(to_inputs(pairs), training=False)), targets[:, 0]
    crops, everything = pairs.reshape(-1, *pairs.shape[2:]), embeddings.reshape(-1, embeddings.shape[-1])
    rows = []
    for number in np.linspace(0, len(pairs), min(count, len(pairs)), endpoint=False).astype(int).tolist():
        distance = 1 - everything @ embeddings[number, 0]
        own = distance[2 * number + 1]
        strangers = [i for i in np.argsort(distance, kind="stable") if clips[i // 2] != clips[number]][:4]
        right = not strangers or own < distance[strangers[0]]
        second = tile(pairs[number, 1], _TILE, text=f"{own:.2f}", frame=GOOD if right else BAD)
        others = [tile(crops[i], _TILE, text=f"{distance[i]:.2f}") for i in strangers]
        rows.append([tile(pairs[number, 0], _TILE), second, *others])
    titles = ["first", "last", "nearest", "of others"]
    columns = max(map(len, rows))
    picture_sheet(rows, path, titles=(titles + [""] * 2)[:columns], cell=_TILE + 20)
