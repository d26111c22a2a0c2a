"""Shortcuts: what jigsaw and context prediction solve without any content, with each guard off and on.

Small networks are trained on the pictures of contentless.py, where nothing but one shortcut can tell how the pieces
belong together, and asked about other pictures of the same kind. An accuracy above chance is a leak.

    python benchmarks/shortcuts.py                            all rows, 12 minutes on two free cores at most
    python benchmarks/shortcuts.py --only jigsaw/borders      some of them; the others are kept as they were
"""

import argparse
import dataclasses
import functools
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contentless
import keras
import numpy as np
import tensorflow as tf
from machine import RESULTS, save

from tfssl.data.pipeline import batches
from tfssl.methods import ContextPrediction, Jigsaw

SIDE = 96  # pixels of a picture

# Tiles and patches of 12 pixels keep a row below half a minute. All guards are on that the shortcut of a row is not
# about; pictures are never scaled, so that nothing but the shortcut distinguishes places.
JIGSAW = {
    "resize": SIDE, "crop_size": 90, "tile": 12, "channel_jitter": 0, "gray_fraction": 0.0, "permutations": 8,
    "backbone": "small", "fc6": 64, "fc7": 256, "dropout": 0.0,
}  # fmt: skip
CONTEXT = {
    "area": (SIDE**2, SIDE**2), "patch_size": 12, "gap": 20, "jitter": 2, "patches_per_image": 18, "color": "none",
    "downsample_fraction": 0.0, "downsample_size": 4, "backbone": "small", "embedding": 64, "head": (256, 128),
}  # fmt: skip

red_blue = functools.partial(contentless.aberration, magnification=contentless.RED_BLUE)
strong = functools.partial(contentless.aberration, magnification=contentless.STRONG)
green = functools.partial(contentless.aberration, magnification=contentless.GREEN)
# Detail of a pixel instead of one and a half: the same displacement is larger against it.
fine = functools.partial(contentless.aberration, magnification=contentless.STRONG, width=1.0)


@dataclasses.dataclass(frozen=True)
class Row:
    """One network: what it learns from, and which guard is off or on.

    Args:
        method: ``"jigsaw"`` or ``"context_prediction"``.
        shortcut: what is left in the pictures.
        guard: what is done about it, in words; "none" leaves the shortcut open.
        pictures: (count, size, seed) -> uint8 array, of contentless.py.
        fields: of the method, where they differ from :data:`JIGSAW` and :data:`CONTEXT`.
        centered: False keeps the mean of the patches of context prediction, which no field of the method does.
    """

    method: str
    shortcut: str
    guard: str
    pictures: object
    fields: dict = dataclasses.field(default_factory=dict)
    centered: bool = True

    @property
    def name(self):
        """``METHOD/SHORTCUT/GUARD``."""
        return f"{self.method}/{self.shortcut}/{self.guard}"

    def build(self):
        """The method with its fields."""
        if self.method == "jigsaw":
            return Jigsaw(**JIGSAW | self.fields)
        return ContextPrediction(**CONTEXT | self.fields)


def _jigsaw(shortcut, pictures, guards):
    return [Row("jigsaw", shortcut, guard, pictures, fields) for guard, fields in guards.items()]


def _context(shortcut, pictures, guards):
    return [Row("context_prediction", shortcut, guard, pictures, fields) for guard, fields in guards.items()]


_JIGSAW_COLOR = {
    "none": {},
    "channel jitter": {"channel_jitter": 2},
    "projection": {"projection_fraction": 1.0},
    "gray": {"gray_fraction": 1.0},
}
_CONTEXT_COLOR = {color: {"color": color} for color in ("none", "projection", "dropping")}

ROWS = (
    *_jigsaw("borders", contentless.borders, {"none": {"crop_size": 36}, "gap": {}}),
    *_jigsaw("mean", contentless.ramps, {"none": {"normalization": "none"}, "normalization": {}}),
    *_jigsaw("aberration, red - blue", red_blue, _JIGSAW_COLOR),
    *_jigsaw("strong aberration, red - blue", strong, _JIGSAW_COLOR),
    *_jigsaw("strong aberration of fine noise, red - blue", fine, _JIGSAW_COLOR),
    *_jigsaw("aberration, green - magenta", green, _JIGSAW_COLOR),
    *_context("borders", contentless.borders, {"none": {"gap": 0, "jitter": 0}, "gap": {}}),
    Row("context_prediction", "mean", "none", contentless.ramps, centered=False),
    Row("context_prediction", "mean", "mean removed", contentless.ramps),
    *_context("aberration, red - blue", red_blue, _CONTEXT_COLOR),
    *_context("strong aberration, red - blue", strong, _CONTEXT_COLOR),
    *_context("strong aberration of fine noise, red - blue", fine, _CONTEXT_COLOR),
    *_context("aberration, green - magenta", green, _CONTEXT_COLOR),
)

STEPS = {"jigsaw": 200, "context_prediction": 200}
BATCH = {"jigsaw": 64, "context_prediction": 16}  # pictures; those of context prediction hold about 70 pairs each
HELD_OUT = {"jigsaw": 2000, "context_prediction": 400}


def measure(row, *, steps=None, pictures=2000, held_out=None, learning_rate=2e-3, seed=0):
    """Train a network on content-free pictures and test it on others.

    Args:
        row: a :class:`Row`.
        steps: of training; None for :data:`STEPS`.
        pictures: to train on; puzzles and patches are drawn from them anew in each step.
        held_out: pictures to test on; None for :data:`HELD_OUT`.
        learning_rate: of Adam, at the start of a cosine schedule.
        seed: of pictures, weights and draws.

    Returns:
        ``{"accuracy", "low", "high", "chance", "answers"}``: share of right answers with its 95 % interval, see
        :func:`share_with_interval`; of this network, so it says nothing about other seeds of the training.
    """
    steps, held_out = steps or STEPS[row.method], held_out or HELD_OUT[row.method]
    keras.utils.set_random_seed(seed)
    method = row.build()
    model = method.model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)))
    batch = BATCH[row.method]
    model.fit(batches_of(row, method, row.pictures(pictures, SIDE, 2 * seed), batch, seed, steps * batch), verbose=0)
    right, truth = [], []
    for inputs, labels in batches_of(row, method, row.pictures(held_out, SIDE, 2 * seed + 1), 50, seed):
        labels = labels.numpy().reshape(len(labels), -1)  # one for each puzzle, or one for each pair of a picture
        found = np.argmax(model(inputs, training=False), axis=-1).reshape(labels.shape)
        right.append(((found == labels) & (labels >= 0)).sum(axis=1))
        truth.append(labels)
    truth = np.concatenate(truth)
    return share_with_interval(np.concatenate(right), (truth >= 0).sum(axis=1)) | {"chance": _chance(row, truth)}


def _chance(row, truth):
    """The best that an answer without looking can do: 1 / P, or the share of the commonest neighbor.

    Grids have more neighbors side by side than across corners.
    """
    if row.method == "jigsaw":
        return 1 / JIGSAW["permutations"]
    return float(np.bincount(truth[truth >= 0]).max() / np.sum(truth >= 0))


def batches_of(row, method, images, batch_size, seed, count=None):
    """Batches for training (``count`` pictures) or, without count, one pass for the test."""
    training = count is not None
    options = {"batch_size": batch_size, "training": training, "seed": seed}
    options |= {"start": 0, "count": count // batch_size} if training else {"start": None, "count": None}
    if row.centered:
        return method.dataset(images, **options)
    plain = type(method)(**{**method.model_dump(), "color": "none"})
    options = {"training": training, "seed": seed, "count": options["count"]}
    return batches(plain.open(images), plain.sample, batch_size, prepare=_uncentered, **options)


def _uncentered(planes, kept, starts, pairs, labels):
    """Patches as they are, in gray levels from the middle one."""
    patches = tf.transpose(tf.cast(planes, tf.float32), (0, 1, 3, 4, 2)) - 128.0
    return {"patches": patches, "pairs": pairs}, labels


def share_with_interval(right, answers):
    """Share of right answers, and the interval that 95 % of such tests would put the network's true share in.

    Answers about one picture are not independent (pairs come in both orders), pictures are: the standard error is that
    of a ratio of sums over pictures, ``sqrt(sum((r_i - p n_i)^2)) / sum(n_i)``.

    Args:
        right: int array (N,), right answers of each picture.
        answers: int array (N,), answers of each picture.

    Returns:
        ``{"accuracy": p, "low": p - 1.96 e, "high": p + 1.96 e, "answers": int}``.
    """
    share = right.sum() / answers.sum()
    half = 1.96 * np.sqrt(np.sum((right - share * answers) ** 2)) / answers.sum()
    return {
        "accuracy": float(share),
        "low": float(share - half),
        "high": float(share + half),
        "answers": int(answers.sum()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of names, METHOD/SHORTCUT/GUARD")
    parser.add_argument("--seed", type=int, default=0, help="of pictures, weights and draws")
    parser.add_argument("--out", default=str(RESULTS), help="folder of the results")
    arguments = parser.parse_args()
    config = {"seed": arguments.seed, "steps": STEPS, "batch": BATCH, "held_out": HELD_OUT, "side": SIDE}
    config |= {"magnification": {name: getattr(contentless, name) for name in ("RED_BLUE", "STRONG", "GREEN")}}
    config = json.loads(json.dumps(config | {"jigsaw": JIGSAW, "context_prediction": CONTEXT}))  # as it is read again
    known = _known(Path(arguments.out) / "shortcuts.json", config)
    for row in ROWS:
        if not row.name.startswith(tuple(arguments.only)):
            continue
        start = time.perf_counter()
        found = measure(row, seed=arguments.seed)
        seconds = round(time.perf_counter() - start, 1)
        about = {name: getattr(row, name) for name in ("method", "shortcut", "guard", "fields")}
        known[row.name] = {**about, **found, "seconds": seconds}
        interval = f"{found['low']:.3f} to {found['high']:.3f}"
        print(f"{row.name}: {found['accuracy']:.3f} ({interval}), {seconds} s", flush=True)
        _save(known, config, arguments.out)


def _known(path, config):
    """Rows that an earlier call with the same configuration has measured, by name."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if record.get("config") != config:
        return {}
    return {f"{row['method']}/{row['shortcut']}/{row['guard']}": row for row in record["rows"]}


def _save(known, config, out):
    rows = [known[row.name] for row in ROWS if row.name in known]
    save(
        "shortcuts",
        config=config,
        packages=("tensorflow", "keras", "numpy", "pillow"),
        seconds={f"{row['method']}/{row['shortcut']}/{row['guard']}": [row["seconds"]] for row in rows},
        comparisons=[],
        out=out,
        rows=rows,
    )


if __name__ == "__main__":
    main()
