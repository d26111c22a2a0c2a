"""How well clips are told backwards and on, beside the last frame that was read and the mean frame; a sheet, a plot."""

from pathlib import Path

import numpy as np
from scipy.special import expit, xlogy

from tfssl.data.examples import Skipped, spread_examples
from tfssl.data.source import check_source
from tfssl.errors import ModelError
from tfssl.evaluation.futures import FutureErrors, repeated
from tfssl.evaluation.record import method_record
from tfssl.methods.video_lstm.data import to_inputs
from tfssl.options import at_least_one
from tfssl.visualization.futures import futures_sheet
from tfssl.visualization.line_plot import line_plot

_LEVELS = 256
_COPYING, _MEAN, _TRUTH = "copying", "mean frame", "truth"


def evaluate(method, model, data, *, out=None, limit=None, seed=0, batch_size=64, progress=None):
    """Let the decoders tell clips, conditional ones from their own frames.

    Args:
        method: the :class:`~tfssl.methods.VideoLstm` that the model belongs to.
        model: its model.
        data, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`. Of moving digits, ``"builtin:test"``.
        out: folder for ``metrics.json``, ``sheet.png`` and ``steps.png``; None writes nothing.
        seed: of the places in clips that are longer than an example.
        batch_size: clips that the network sees at a time.

    Returns:
        :class:`~tfssl.evaluation.record.Record`:

        - ``future_loss``, of the method's field ``loss``, in nats a frame for cross-entropies; beside it that of
          ``copying``, of the ``mean frame``, and of the ``truth`` itself, which is not 0 where pixels are gray;
          ``future_loss_1`` ... of each step; ``reconstruction_loss`` likewise, step 1 is the last frame that was read.
        - of the future ``mse``, ``psnr`` and ``ssim``, see :class:`tfssl.evaluation.futures.FutureErrors`.
        - the counts ``images``, of clips, and ``images_skipped``.

        Copying answers each pixel of a step by the mean of those that had its level in the last frame that was read,
        among the clips that are measured: no function of that pixel alone does better. (As it is, a pixel of level 0
        or 1 that changes would cost infinitely much.) The mean frame is that of all steps of these clips. Percepts have
        no levels: they are copied as they are, and are no images, for ``mse`` and the rest.
    """
    at_least_one(limit=limit)
    source, skipped = method.open(data), Skipped()
    check_source(source)
    total, count = min(len(source), limit or len(source)), 0
    pixels = method.percepts is None
    telling = {name: _Telling(method.loss == "cross_entropy", pixels) for name in method.decoders}
    errors = FutureErrors() if pixels and "future" in method.decoders else None
    options = {"training": False, "limit": limit, "seed": seed, "skipped": skipped}
    for clips, targets in method.dataset(source, batch_size=batch_size, **options):
        clips = np.asarray(clips)
        last = clips[:, method.input_frames - 1]
        for name, outputs in model(clips, training=False).items():
            outputs, truth = np.asarray(outputs, np.float64), np.asarray(targets[name], np.float64)
            if not np.isfinite(outputs).all():
                raise ModelError("the model predicts NaN; its training has failed, start again with a lower rate")
            telling[name].add(last, truth, outputs)
            if name == "future" and errors:
                copied = repeated(clips[:, : method.input_frames], method.future_frames)
                frames = expit(outputs) if method.loss == "cross_entropy" else np.clip(outputs, 0, 1)
                errors.add(truth, model=frames, copying=copied)
        count += len(clips)
        if progress is not None:
            progress(count, total)
    values, kinds = {}, {}
    unit = "nats" if method.loss == "cross_entropy" else ""
    parts = [telling[name].record_parts(f"{name}_loss", unit) for name in sorted(telling)]  # the future before the rest
    for own_values, own_kinds in (*parts, *([errors.record_parts()] if errors else [])):
        values, kinds = values | own_values, kinds | own_kinds
    values |= {"images": float(count), "images_skipped": float(len(skipped.reasons))}
    record = method_record(method, values, kinds, skipped=skipped.reasons, seed=seed)
    if out is not None:
        record.write(out)
        write_sheet(method, model, source, Path(out) / "sheet.png")
        plot_steps(telling, Path(out) / "steps.png", unit)
    return record


class _Telling:
    """Losses of a decoder and of what stands beside it, step by step, collected over batches."""

    def __init__(self, binary, pixels=True):
        self._binary, self._pixels, self.clips = binary, pixels, 0
        self._model, self._truth, self._copied, self._frame = 0.0, 0.0, 0.0, 0.0

    def add(self, last, truth, outputs):
        """The last frame that was read (B, H, W, C), true frames and outputs (B, T, H, W, C)."""
        self.clips += len(truth)
        within = (0, 2, 3, 4)
        if self._binary:
            pixels = np.logaddexp(0, outputs) - outputs * truth
            self._truth = self._truth + _entropy(truth).sum(axis=within)
        else:
            pixels = 0.5 * np.square(outputs - truth)
            self._truth = np.zeros(truth.shape[1])
        self._model = self._model + pixels.sum(axis=within)
        self._frame = self._frame + np.stack([truth, np.square(truth)]).sum(axis=1)
        if not self._pixels:
            self._copied = self._copied + 0.5 * np.square(truth - last[:, None]).sum(axis=within)
            return
        levels = np.rint(last * (_LEVELS - 1)).astype(int).ravel()
        steps = truth.swapaxes(0, 1).reshape(truth.shape[1], -1)
        counts = [[np.bincount(levels, step**power, _LEVELS) for power in range(3)] for step in steps]
        self._copied = self._copied + np.array(counts)

    def steps(self):
        """``{name: float64 (T,)}``: nats, or half squares, of a frame."""
        copied = self._copied
        if self._pixels:
            copied = self._answered(*copied.transpose(1, 0, 2)).sum(axis=1)
        number = len(copied) * self.clips  # of frames, of which each pixel has the mean of all
        mean = self._answered(number, *self._frame.sum(axis=1)).sum() / len(copied)
        found = {"model": self._model, _COPYING: copied, _MEAN: np.full(len(copied), mean), _TRUTH: self._truth}
        return {name: values / self.clips for name, values in found.items()}

    def _answered(self, number, total, squares):
        """Losses of groups of so many pixels that are answered by their mean, given their sums and those of squares."""
        mean = total / np.maximum(number, 1)
        return number * _entropy(mean) if self._binary else 0.5 * (squares - mean * total)

    def record_parts(self, name, unit):
        """``(values, kinds)`` for :func:`tfssl.evaluation.record.method_record`."""
        steps = self.steps()
        values, kinds = {}, {}
        for number in range(len(steps["model"]) + 1):
            key, of_step = (f"{name}_{number}", np.s_[number - 1]) if number else (name, np.s_[:])
            found = {who: float(np.mean(losses[of_step])) for who, losses in steps.items()}
            values[key] = found.pop("model")
            kinds[key] = (unit, False, found)
        return values, kinds


def _entropy(probability):
    """Of a yes or no of that probability, in nats."""
    probability = np.clip(probability, 0, 1)  # sums of many pixels round
    return -xlogy(probability, probability) - xlogy(1 - probability, 1 - probability)


def write_sheet(method, model, data, path, count=6):
    """Draw ``count`` clips spread over the source, and below each what the decoders tell, in the order of time.

    The numbers of a percept are drawn as a square, white the largest of its clip.
    """

    def cut(example, seed):
        return method.sample(example, np.random.default_rng(seed), False)[0]

    clips, _ = to_inputs(method, np.stack(spread_examples(method.open(data), count, cut)))
    told = {name: np.asarray(outputs) for name, outputs in model(clips, training=False).items()}
    if method.loss == "cross_entropy":
        told = {name: expit(outputs) for name, outputs in told.items()}
    clips, examples = np.asarray(clips), []
    for number, clip in enumerate(clips):
        draw = _square(clip.max()) if method.percepts else lambda frame: np.clip(frame, 0, 1)
        row = [None] * method.input_frames
        if "reconstruction" in told:
            row = [draw(frame) for frame in told["reconstruction"][number, ::-1]]
        row += [draw(frame) for frame in told["future"][number]] if "future" in told else []
        examples.append({"true": [draw(frame) for frame in clip], "told": row})
    futures_sheet(examples, path, context=method.input_frames, cell=64)


def _square(largest):
    """Function that makes an image (n, n) of the numbers of a frame, white for the largest."""

    def draw(frame):
        side = int(np.ceil(np.sqrt(frame.size)))
        padded = np.pad(frame.ravel(), (0, side**2 - frame.size)).reshape(side, side)
        return np.clip(padded / max(largest, 1e-6), 0, 1)

    return draw


def plot_steps(telling, path, unit):
    """Draw the losses over time, 0 being the last frame that was read."""
    curves = {}
    for name, part in telling.items():
        steps = part.steps()
        times = range(1, len(steps["model"]) + 1) if name == "future" else range(0, -len(steps["model"]), -1)
        for other, values in steps.items():
            title = name if other == "model" else other
            x, y = curves.get(title, ([], []))
            order = np.argsort(times)
            curves[title] = ([*x, *np.array(times)[order].tolist()], [*y, *values[order].tolist()])
    label = f"loss a frame ({unit})" if unit else "loss a frame"
    options = {"x_range": None, "y_range": None, "dashed": {_TRUTH: None}}
    line_plot(curves, path, x_label="frame; 0 is the last that was read", y_label=label, **options)
