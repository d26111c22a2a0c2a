"""How well pairs of one context are told from others, whether logits are PMI, affinities of images; a sheet."""

from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from sklearn.cluster import KMeans

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.average_precision import average_precision
from tfssl.evaluation.ranking import fraction_smaller
from tfssl.evaluation.record import method_record
from tfssl.methods.co_occurrence.data import to_inputs
from tfssl.options import at_least_one
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet, tile

_WORDS = 4  # mean colors that PMI is counted over
_LEAST = 20  # pairs of a kind, below which the log of their number says nothing
_CELL = 112


def evaluate(method, model, data, *, out=None, limit=None, repeats=4, seed=0, batch_size=64, progress=None):
    """Let the network tell pairs that are drawn as in training.

    Args:
        method: the :class:`~tfssl.methods.CoOccurrence` that the model belongs to.
        model: its model.
        data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        repeats: pairs drawn from each item, at least 1.
        seed: of the pairs; the same seed gives the same.
        batch_size: pairs that the network sees at a time. Pairs of different clips, photographs and images are taken
            from it.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``average_precision`` of "one context", beside that of the distance of pixels and of mean colors, and of
          chance;
        - ``separated``: fraction of all (pair of one context, pair of different ones) of which the first has the larger
          affinity, beside the same for both distances; 0.5 by chance;
        - ``accuracy`` of the sign of the logit, and ``accuracy_same``, ``accuracy_different`` of both kinds;
        - ``loss``, beside that of always answering the fraction of positives;
        - ``pmi_error``: images are sorted by mean color into four words; over pairs of words, each as often as it
          occurs, the mean difference in nats of the network's log odds and those that are counted, beside answering no
          PMI at all. NaN where no pair of words has 20 pairs of both kinds;
        - the counts ``images`` (items that pairs were drawn from), ``images_skipped`` and ``pairs``.
    """
    at_least_one(limit=limit, repeats=repeats)
    method = method.model_copy(update={"pairs_per_image": 1})  # `repeats` says how many
    source, skipped = method.open(data), Skipped()
    check_source(source)
    total, found = repeats * min(len(source), limit or len(source)), []
    options = {"training": False, "limit": limit, "skipped": skipped}
    done = 0
    for own_seed in range(seed, seed + repeats):
        for drawn in batches(source, method.sample, batch_size, seed=own_seed, **options):
            pairs, labels = (np.asarray(part) for part in to_inputs(method, *drawn))
            found.append(
                (told(model, pairs), labels[:, 0] > 0, pairs.mean(axis=(2, 3)), *plain_distances(pairs).values())
            )
            done += len(labels)
            if progress is not None:
                progress(done, total)
    probabilities, same, colors, *distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(probabilities).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    distances = dict(zip(("pixels", "colors"), distances, strict=True))
    values, kinds = context_metrics(probabilities, same, distances, method.baseline)
    values["pmi_error"], values["pmi_absent"] = pmi_errors(probabilities, same, colors, method.positives)
    kinds["pmi_error"] = ("nats", False, {"none": "pmi_absent"})
    values |= {"images": done / repeats, "images_skipped": float(len(skipped.reasons)), "pairs": float(done)}
    record = method_record(
        method, values, kinds, protocol={"repeats": repeats, "limit": limit}, skipped=skipped.reasons, seed=seed
    )
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def told(model, pairs):
    """Probability of one context of pairs (B, 2, s, s, 3) in [0, 1], the mean of both orders: float64 (B,)."""
    return np.mean([expit(np.asarray(model(both), np.float64)[:, 0]) for both in (pairs, pairs[:, ::-1])], axis=0)


def plain_distances(pairs):
    """What tells pairs (B, 2, s, s, 3) without learning: ``{"pixels": RMSE (B,), "colors": that of mean colors}``."""
    apart = pairs[:, 0] - pairs[:, 1]
    return {
        "pixels": np.sqrt(np.square(apart).mean(axis=(1, 2, 3))),
        "colors": np.sqrt(np.square(apart.mean(axis=(1, 2))).mean(axis=-1)),
    }


def context_metrics(probabilities, same, distances, baseline):
    """Numbers of :func:`evaluate` and what they are, of probabilities, truths and distances by name, (N,) each."""
    right = (probabilities > 0.5) == same
    nan = float("nan")
    both = same.any() and not same.all()
    clipped = np.clip(probabilities, 1e-12, 1 - 1e-12)
    values = {
        "average_precision": float(average_precision(probabilities, same)),
        "chance_precision": float(same.mean()),
        "separated": fraction_smaller(-probabilities[same], -probabilities[~same]) if both else nan,
        "accuracy": float(right.mean()),
        "commonest": float(max(same.mean(), 1 - same.mean())),
        "accuracy_same": float(right[same].mean()) if same.any() else nan,
        "accuracy_different": float(right[~same].mean()) if not same.all() else nan,
        "loss": float(-np.log(np.where(same, clipped, 1 - clipped)).mean()),
        "guessing": baseline,
        "chance": 0.5,
    }
    for name, distance in distances.items():
        values[f"{name}_precision"] = float(average_precision(-distance, same))
        values[f"{name}_separated"] = fraction_smaller(distance[same], distance[~same]) if both else nan
    precisions, orders = ({name: f"{name}_{what}" for name in distances} for what in ("precision", "separated"))
    return values, {
        "average_precision": ("fraction", True, precisions | {"chance": "chance_precision"}),
        "separated": ("fraction", True, orders | {"chance": "chance"}),
        "accuracy": ("fraction", True, {"commonest": "commonest"}),
        "accuracy_same": ("fraction", True, {}),
        "accuracy_different": ("fraction", True, {}),
        "loss": ("nats", False, {"guessing": "guessing"}),
    }


def pmi_errors(probabilities, same, colors, positives):
    """Mean difference of log odds and counted PMI, and mean PMI, both absolute and in nats.

    Args:
        probabilities, same: (N,).
        colors: mean colors of both images, (N, 2, 3).
        positives: the field of the method.
    """
    distinct = np.unique(colors.reshape(-1, 3).round(4), axis=0)
    words = KMeans(min(_WORDS, len(distinct)), n_init=1, random_state=0).fit_predict(colors.reshape(-1, 3))
    count = words.max() + 1
    pair = np.sort(words.reshape(-1, 2), axis=1) @ [count, 1]
    prior, differences, sizes, counts = logit(positives), [], [], []
    for cell in np.unique(pair):
        own = pair == cell
        together, apart = (own & same).sum(), (own & ~same).sum()
        if min(together, apart) < _LEAST:
            continue
        # Of a cell the mean probability is compared, not the mean logit: that is what counting gives.
        counted = np.log(together / apart) - prior
        told = logit(np.clip(probabilities[own].mean(), 1e-6, 1 - 1e-6)) - prior
        differences.append(abs(told - counted))
        sizes.append(abs(counted))
        counts.append(own.sum())
    if not counts:
        return float("nan"), float("nan")
    return tuple(float(np.average(part, weights=counts)) for part in (differences, sizes))


def write_sheet(method, model, data, path, count=8):
    """Draw pairs of ``count`` items spread over the source: of one context above, of different ones below.

    Below each pair stands the probability of one context; the frame is green where it is right.
    """

    together = method.model_copy(update={"positives": 1.0, "pairs_per_image": 1})
    apart = method.model_copy(update={"positives": 0.0, "pairs_per_image": 1})
    rows, titles = [], []
    for kind, same in ((together, True), (apart, False)):

        def draw(example, seed, kind=kind):
            return kind.sample(example, np.random.default_rng(seed), False)[0]

        drawn = spread_examples(method.open(data), count, draw)
        labels = np.full((len(drawn), 1), int(same), np.int32)
        pairs, labels = (np.asarray(part) for part in to_inputs(kind, np.stack(drawn), labels))
        given = expit(np.asarray(model(pairs))[:, 0])
        bytes_ = (pairs * 255).round().astype(np.uint8)
        rows.append([tile(first, _CELL, text=None) for first in bytes_[:, 0]])
        marks = [GOOD if (value > 0.5) == same else BAD for value in given]
        rows.append(
            [
                tile(second, _CELL, text=f"{value:.2f}", frame=mark)
                for second, value, mark in zip(bytes_[:, 1], given, marks, strict=True)
            ]
        )
        titles += ["one context", "with"] if same else ["different", "with"]
    picture_sheet(rows, path, labels=titles, cell=_CELL + 20)
