"""How far predicted frames are from those that came, step by step, beside repeating the last frame that was seen."""

import numpy as np
from skimage.metrics import structural_similarity

from tfssl.errors import ModelError
from tfssl.ops.arguments import check_shapes

HIGHEST_PSNR = 100.0
"""dB that equal frames count as: an infinite number would be the mean of all."""

METRICS = {"mse": ("", False), "psnr": ("dB", True), "ssim": ("", True)}
"""Units and directions of what :meth:`FutureErrors.values` gives."""

_SSIM_WINDOW = 11


def repeated(context, steps):
    """The trivial prediction: the last frame of ``context``, (B, T, ...), ``steps`` times, (B, steps, ...)."""
    return np.repeat(np.asarray(context)[:, -1:], steps, axis=1)


def psnr(mse):
    """``10 log10(1 / mse)`` of frames in [0, 1], in dB, at most :data:`HIGHEST_PSNR`; float64, the shape of ``mse``."""
    return np.minimum(-10 * np.log10(np.maximum(np.asarray(mse, np.float64), 1e-300)), HIGHEST_PSNR)


def ssim(truth, predicted):
    """Structural similarity of two frames (H, W, C) in [0, 1] as Wang et al. have it: a Gaussian window, sigma 1.5.

    NaN for frames smaller than the window of 11 pixels.
    """
    if min(truth.shape[:2]) < _SSIM_WINDOW:
        return float("nan")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(truth, predicted, data_range=1.0, channel_axis=-1, **options))


class FutureErrors:
    """Errors of predicted frames, collected over the batches of an evaluation.

    ``errors.add(truth, model=..., copying=...)`` for each batch, then :meth:`record_parts`.

    Args:
        similarity: whether SSIM is measured, which takes longer than all else.
    """

    def __init__(self, similarity=True):
        self._similarity = similarity
        self._squares, self._similarities = {}, {}

    def add(self, truth, **predictions):
        """Compare frames with the true ones, both float (B, steps, H, W, C) in [0, 1]; ModelError for NaN.

        The same predictors every time, by name.
        """
        truth = np.asarray(truth, np.float64)
        for name, predicted in predictions.items():
            check_shapes(truth=(truth, "B T H W C"), **{name: (predicted, "B T H W C")})
            predicted = np.asarray(predicted, np.float64)
            squares = np.square(predicted - truth).mean(axis=(2, 3, 4))
            if not np.isfinite(squares).all():
                raise ModelError("the model predicts NaN; its training has failed, start again with a lower rate")
            self._squares.setdefault(name, []).append(squares)
            if self._similarity:
                rows = [
                    [ssim(*pair) for pair in zip(*frames, strict=True)] for frames in zip(truth, predicted, strict=True)
                ]
                self._similarities.setdefault(name, []).append(np.array(rows))

    def steps(self, name):
        """``{metric: float64 (steps,)}`` of a predictor. PSNR is that of the mean MSE over all clips."""
        mse = np.concatenate(self._squares[name]).mean(axis=0)
        found = {"mse": mse, "psnr": psnr(mse)}
        return found | ({"ssim": np.concatenate(self._similarities[name]).mean(axis=0)} if self._similarity else {})

    def record_parts(self):
        """``(values, kinds)`` for :func:`tfssl.evaluation.record.method_record`, the first predictor beside the others.

        ``mse``, ``psnr`` and ``ssim`` are means over the steps, ``mse_1`` ... those of each step.
        """
        found = {name: self.steps(name) for name in self._squares}
        ours, *others = found
        values, kinds = {}, {}
        for number in (None, *range(len(found[ours]["mse"]))):
            for metric, (unit, higher) in METRICS.items():
                if metric not in found[ours]:
                    continue
                key = metric if number is None else f"{metric}_{number + 1}"

                def number_of(name, metric=metric, number=number):
                    steps = found[name][metric]
                    return float(steps.mean() if number is None else steps[number])

                values[key] = number_of(ours)
                kinds[key] = (unit, higher, {name: number_of(name) for name in others})
        return values, kinds
