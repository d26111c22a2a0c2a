"""How often each component of the motion is told, how far off it is, whether slow maps know near from far; pictures."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.special import logsumexp

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.ranking import fraction_smaller
from tfssl.evaluation.record import method_record
from tfssl.methods.egomotion.data import motion_classes, motion_of, to_inputs
from tfssl.options import at_least_one
from tfssl.visualization.sheet import BAD, GOOD, picture_sheet

UNITS = {"x": "px", "y": "px", "angle": "degrees"}, {"x": "m", "z": "m", "yaw": "rad"}
"""Units of the components of moved crops, and of posed frames."""

_PANEL, _STEP = 192, 6  # pixels: side of a drawn motion, and of one of its pixels of shift


def evaluate(method, model, data, *, out=None, limit=None, repeats=1, seed=0, batch_size=64, progress=None):
    """Let the network tell the motions of pairs that are drawn as in training.

    Args:
        method: the :class:`~tfssl.methods.Egomotion` that the model belongs to.
        model: its model.
        data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        repeats: pairs drawn from each image or frame, at least 1.
        seed: of the pairs; the same seed gives the same.
        batch_size: pairs that the network sees at a time. Slowness takes far pairs of photographs from it.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - of ego-motion ``accuracy``, the mean of ``accuracy_x`` ...: fraction of pairs whose class of that component is
          told, beside always saying the commonest; ``error_x`` ...: mean absolute error of the middle of that class, in
          the component's unit, beside always saying the median; ``loss``, beside that of guessing;
        - of slowness ``near_first``: probability that a near pair has the smaller distance of a near and a far one, 0.5
          by chance; ``near_distance``, ``far_distance``, ``loss``;
        - the counts ``images`` (of frames, those that pairs were drawn from), ``images_skipped`` and ``pairs``.
    """
    at_least_one(limit=limit, repeats=repeats)
    source, skipped = method.open(data), Skipped()
    check_source(source)
    total, found = repeats * min(len(source), limit or len(source)), []
    options = {"training": False, "limit": limit, "skipped": skipped}
    for own_seed in range(seed, seed + repeats):
        for drawn in batches(source, method.sample, batch_size, seed=own_seed, **options):
            pairs, labels, motions = (np.asarray(part) for part in drawn)
            inputs, labels = to_inputs(method, pairs, labels)
            outputs = np.asarray(model(inputs, training=False), np.float64)
            found.append((outputs, np.asarray(labels), motions))
            if progress is not None:
                progress(sum(len(part[0]) for part in found), total)
    outputs, labels, motions = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(outputs).all():
        raise ModelError("the model predicts NaN; its training has failed, start again with a lower learning_rate")
    if method.objective == "slowness":
        values, kinds = slowness_metrics(outputs[:, 0], labels[:, 0], method.margin)
    else:
        values, kinds = motion_metrics(method, outputs, labels, motions)
    count = len(labels)
    values |= {
        "images": count / repeats,
        "images_skipped": float(len(skipped.reasons)),
        "pairs": float(count),
    }
    record = method_record(method, values, kinds, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
    return record


def motion_metrics(method, logits, labels, motions):
    """Numbers of :func:`evaluate` and what they are, of logits (N, n), classes (N, k) and motions (N, 2 or 3)."""
    guesses = told(method, logits)
    middles = motion_of(method, guesses)
    values, kinds, losses = {}, {"accuracy": ("fraction", True, {"commonest": "commonest"})}, []
    ends = np.cumsum(list(method.heads.values()))
    for number, (name, unit) in enumerate(UNITS[method.pairs == "posed"].items()):
        if name not in method.heads:
            continue
        true = labels[:, number]
        part = logits[:, ends[number] - method.heads[name] : ends[number]]
        losses.append(np.mean(logsumexp(part, axis=1) - part[np.arange(len(part)), true]))
        motion = motions[:, number]
        values |= {
            f"accuracy_{name}": float(np.mean(guesses[:, number] == true)),
            f"commonest_{name}": float(np.bincount(true).max() / len(true)),
            f"error_{name}": float(np.abs(middles[:, number] - motion).mean()),
            f"median_{name}": float(np.abs(np.median(motion) - motion).mean()),
        }
        kinds |= {
            f"accuracy_{name}": ("fraction", True, {"commonest": f"commonest_{name}"}),
            f"error_{name}": (unit, False, {"median": f"median_{name}"}),
        }
    for name in ("accuracy", "commonest"):
        values[name] = float(np.mean([values[f"{name}_{head}"] for head in method.heads]))
    values |= {"loss": float(sum(losses)), "guessing": method.baseline}
    return values, kinds | {"loss": ("nats", False, {"guessing": "guessing"})}


def slowness_metrics(distances, near, margin):
    """Numbers of :func:`evaluate` and what they are, of distances (N,) and nearness (N,)."""
    near = near.astype(bool)
    close, far = distances[near], distances[~near]
    values = {"near_first": float("nan"), "near_distance": float("nan"), "far_distance": float("nan")}
    if near.any() and not near.all():
        values = {"near_first": fraction_smaller(close, far), "near_distance": close.mean()}
        values["far_distance"] = far.mean()
    losses = np.concatenate([close**2, np.maximum(margin - far, 0) ** 2])
    values = {name: float(value) for name, value in values.items()} | {"loss": float(losses.mean()), "chance": 0.5}
    return values, {
        "near_first": ("fraction", True, {"chance": "chance"}),
        "loss": ("", False, {"equal maps": float(margin**2 * np.mean(~near))}),
    }


def told(method, logits):
    """Classes of the largest logits, int64 (N, components)."""
    parts = np.split(logits, np.cumsum(list(method.heads.values()))[:-1], axis=1)
    return np.stack([part.argmax(axis=1) for part in parts], axis=1)


def write_sheet(method, model, data, path, count=8):
    """Draw pairs of ``count`` items spread over the source, and below each its motion, true and as it was told.

    A motion is a square that moves with the content, or a camera seen from above, its front marked; the true one is
    filled. Of slowness it is a bar as long as the distance, with the margin's mark, green for near pairs.
    """

    def draw(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)

    drawn = spread_examples(method.open(data), count, draw)
    pairs, labels, motions = (np.stack(part) for part in zip(*drawn, strict=True))
    inputs, labels = to_inputs(method, pairs, labels)
    outputs, inputs, labels = (np.asarray(part) for part in (model(inputs, training=False), inputs, labels))
    if method.objective == "slowness":
        panels = [_bar(float(d), bool(n), method.margin) for d, n in zip(outputs[:, 0], labels[:, 0], strict=True)]
        text = "distance"
    else:
        guesses, truth = (motion_of(method, part) for part in (told(method, outputs), motion_classes(method, motions)))
        scale = _STEP if method.pairs == "moved" else 0.35 * _PANEL / max(np.abs(motions[:, :2]).max(), 1e-6)
        panels = [_panel(method, true, told_, scale) for true, told_ in zip(truth, guesses, strict=True)]
        text = "motion: true\n(filled)\nand told"
    picture_sheet([list(inputs[:, 0]), list(inputs[:, 1]), panels], path, labels=["first", "second", text], cell=128)


def _panel(method, true, guess, scale):
    """Both motions as squares, drawn at the size of a picture."""
    panel = Image.new("RGB", (_PANEL, _PANEL), "white")
    draw = ImageDraw.Draw(panel)
    draw.line((_PANEL / 2, 0, _PANEL / 2, _PANEL), "#dddddd")
    draw.line((0, _PANEL / 2, _PANEL, _PANEL / 2), "#dddddd")
    for motion, color, filled in ((true, GOOD, True), (guess, BAD, False)):
        right, down, *angle = motion
        angle = np.radians(angle[0]) if angle else 0.0
        if method.pairs == "posed":  # seen from above: forward is up, and a turn to the right is clockwise
            down, angle = -down, -motion[2]
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = _PANEL / 2 + scale * right, _PANEL / 2 + scale * down
        half = 0.22 * _PANEL
        corners = ((-1, -1), (0, -1.35), (1, -1), (1, 1), (-1, 1))
        points = [(x + half * (cos * u + sin * v), y + half * (cos * v - sin * u)) for u, v in corners]
        draw.polygon(points, fill="#b8e6d6" if filled else None, outline=color, width=4)
    return panel


def _bar(distance, near, margin):
    """A distance as a bar, the margin as a line at two thirds of the picture."""
    panel = Image.new("RGB", (_PANEL, _PANEL // 4), "white")
    draw = ImageDraw.Draw(panel)
    length = min(distance / margin * _PANEL * 2 / 3, _PANEL - 1)
    draw.rectangle((0, _PANEL // 16, length, _PANEL * 3 // 16), fill=GOOD if near else BAD)
    draw.line((_PANEL * 2 / 3, 0, _PANEL * 2 / 3, _PANEL // 4), "black", 2)
    return panel
