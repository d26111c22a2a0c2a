"""How far predicted frames are from those that came, whether actions count, what masks cover; sheets of both."""

import math
from pathlib import Path

import numpy as np

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.pipeline import batches
from tfssl.data.source import check_source
from tfssl.evaluation.futures import FutureErrors, repeated
from tfssl.evaluation.record import method_record
from tfssl.methods.video_prediction.data import to_batch, window
from tfssl.methods.video_prediction.network import unrolled
from tfssl.options import at_least_one
from tfssl.visualization.futures import colored_masks, futures_sheet
from tfssl.visualization.sheet import picture_sheet

_SHOWN, _SHOWN_STEPS = 4, 10  # clips, and predicted frames of each, on the sheets


def evaluate(method, model, data, *, out=None, limit=None, steps=None, seed=0, batch_size=16, progress=None):
    """Predict what follows the first frames of a window of each clip, with the true actions and with their opposites.

    Args:
        method: the :class:`~tfssl.methods.VideoPrediction` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        out: folder for ``metrics.json``, ``sheet.png`` and ``masks.png``; None writes nothing.
        steps: frames to predict, at least 1; None for as many as in training. The network goes on with its own.
        seed: of the windows.
        batch_size: clips that the network sees at a time.

    Returns:
        :class:`~tfssl.evaluation.record.Record`: ``mse``, ``psnr`` and ``ssim``, means over the predicted frames, and
        ``mse_1`` ... of each, see :class:`tfssl.evaluation.futures.FutureErrors`; beside repeating the last frame that
        was seen (``copying``) and, with actions, predicting with all actions negated (``negated``): as good as with the
        true ones means that the network does not look at them. With states ``state_mse`` of the last one, beside the
        first one (``unchanged``). ``background``: mean of the mask of what stays; ``mask_entropy``: of the masks at a
        pixel, in nats, beside that of equal ones (``even``). The counts ``images`` (clips) and ``images_skipped``.

    Raises:
        SourceError: if no clip is readable.
        ConfigError: if limit or steps is below 1.
        ModelError: if the model predicts NaN.
    """
    at_least_one(limit=limit, steps=steps)
    method = _lasting(method, steps)
    source, skipped = method.open(data), Skipped()
    check_source(source)
    total, errors, parts = min(len(source), limit or len(source)), FutureErrors(), []
    options = {"training": False, "limit": limit, "skipped": skipped, "seed": seed}
    for drawn in batches(source, method.sample, batch_size, **options):
        inputs, targets = to_batch(method, *(np.asarray(part) for part in drawn))
        found = predicted(method, model, inputs)
        others = {"copying": repeated(inputs["frames"][:, : method.context], method.steps)}
        if method.actions:
            others["negated"] = predicted(method, model, {**inputs, "actions": -inputs["actions"]})["frames"]
        errors.add(targets["frames"], model=found["frames"], **others)
        parts.append(_row_values(method, found, inputs))
        if progress is not None:
            progress(sum(len(part["background"]) for part in parts), total)
    values, kinds = errors.record_parts()
    means = {name: float(np.concatenate([part[name] for part in parts]).mean()) for name in parts[0]}
    values |= means | {"even": math.log(method.masks + 1)}
    kinds |= {"mask_entropy": ("nats", None, {"even": "even"}), "background": ("fraction", None, {})}
    if method.states:
        kinds["state_mse"] = ("", False, {"unchanged": "state_mse_unchanged"})
    values |= {
        "images": float(sum(len(part["background"]) for part in parts)),
        "images_skipped": float(len(skipped.reasons)),
    }
    protocol = {"context": method.context, "steps": method.steps, "psnr": "of the mean squared error over all clips"}
    record = method_record(method, values, kinds, protocol=protocol, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        shown = _shown(method, model, source)
        _draw_futures(method, shown, Path(out) / "sheet.png")
        _draw_masks(method, shown, Path(out) / "masks.png")
    return record


def predicted(method, model, inputs):
    """What the network makes of a batch, its own predictions from the end of the context on, as NumPy arrays.

    Args:
        method: says how many frames are seen, and by ``frames`` how many there are in all.
        model: of :func:`~tfssl.methods.video_prediction.network.build_network`, of any number of frames.
        inputs: ``{"frames", "actions", "states"}`` as :func:`~tfssl.methods.video_prediction.data.to_batch` gives them.

    Returns:
        ``{"frames", "masks", "states"}``, see :func:`~tfssl.methods.video_prediction.network.unrolled`.
    """
    from keras import ops

    tensors = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
    frames = tensors.pop("frames")
    found = unrolled(model.get_layer("step"), frames, context=method.context, steps=method.steps, **tensors)
    return {name: ops.convert_to_numpy(value) for name, value in found.items()}


def write_sheet(method, model, data, path):
    """Draw futures of clips spread over the source: true, predicted, with negated actions; and masks in colors."""
    _draw_futures(method, _shown(method, model, method.open(data)), path)


def _lasting(method, steps):
    """The method with windows that hold so many frames to predict."""
    return method if steps is None else method.model_copy(update={"frames": method.context + steps})


def _row_values(method, found, inputs):
    """What is averaged over clips: ``{name: (B,)}``."""
    masks = found["masks"].astype(np.float64)
    entropy = -(masks * np.log(np.maximum(masks, 1e-12))).sum(axis=-1)
    values = {"background": masks[..., 0].mean(axis=(1, 2, 3)), "mask_entropy": entropy.mean(axis=(1, 2, 3))}
    if method.states:
        last, first = inputs["states"][:, -1], inputs["states"][:, 0]
        values["state_mse"] = np.square(found["states"][:, -1] - last).mean(axis=1)
        values["state_mse_unchanged"] = np.square(first - last).mean(axis=1)
    return values


def _shown(method, model, source):
    """``(inputs, predictions, predictions with negated actions or None)`` of a few clips."""

    def cut(example, seed):
        return window(method, example, np.random.default_rng(seed))

    drawn = spread_examples(source, _SHOWN, cut)
    inputs, _ = to_batch(method, *(np.stack(part) for part in zip(*drawn, strict=True)))
    found, other = predicted(method, model, inputs), None
    if method.actions:
        other = predicted(method, model, {**inputs, "actions": -inputs["actions"]})
    return inputs, found, other


def _draw_futures(method, shown, path):
    inputs, found, other = shown
    clips, last = [], method.context + _SHOWN_STEPS
    for number, frames in enumerate(inputs["frames"]):
        rows = {"true": frames[:last], "predicted": found["frames"][number][:_SHOWN_STEPS]}
        if other is not None:
            rows["actions\nnegated"] = other["frames"][number][:_SHOWN_STEPS]
        rows["masks"] = colored_masks(found["masks"][number][:_SHOWN_STEPS])
        clips.append(rows)
    futures_sheet(clips, path, context=method.context)


def _draw_masks(method, shown, path):
    """The first predicted frame of each clip, and the masks that it is blended by."""
    inputs, found, _ = shown
    moved = [f"way {number}" for number in range(1, method.masks + (method.motion == "dna"))]
    titles = ["last", "next", "predicted", "stays", *([] if method.motion == "dna" else ["new"]), *moved]
    rows = []
    for number, frames in enumerate(inputs["frames"]):
        seen = frames[method.context - 1 : method.context + 1]
        masks = np.moveaxis(found["masks"][number, 0], -1, 0)
        rows.append([*seen, found["frames"][number, 0], *masks])
    picture_sheet(rows, path, titles=titles, cell=96, margin=4)
