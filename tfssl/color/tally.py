"""Color metrics over a set of images, in memory that does not grow with their number."""

import itertools
import math

import numpy as np

from tfssl.color import metrics as color_metrics
from tfssl.ops.ab_bins import NUM_BINS, nearest_bin

SAMPLING = 4
"""Distances of ab are measured at pixels 0, 4, 8, ... of both axes: one pixel of 16."""

MIN_PIXELS = 100
"""True pixels below which a bin's mean score is too uncertain to count in the macro average."""

IMAGE_METRICS = ("auc_raw", "rmse_ab", "mse", "psnr", "ssim", "ciede2000", "colorfulness")
"""What :meth:`ColorTally.add` returns for one image."""

NEUTRAL_BANDS = tuple(
    f"neutral_chroma_{low:.0f}_{high:.0f}" for low, high in itertools.pairwise(color_metrics.LIGHTNESS_BANDS)
)
"""Names of the mean predicted chroma of truly neutral pixels in each band of lightness."""


class RebalancedAuc:
    """AuC per pixel and per color, from totals over the 313 bins of the true colors.

    The score of a pixel is :func:`tfssl.color.metrics.auc_score`; its bin is the center nearest to its
    true color. The result depends neither on the order nor on the grouping of the pixels, up to rounding.
    """

    def __init__(self):
        self.pixels = np.zeros(NUM_BINS, np.int64)
        """True pixels in each bin."""
        self.scores = np.zeros(NUM_BINS, np.float64)
        """Sum of their scores."""

    def update(self, true, error):
        """Add pixels: their true ab (..., 2), and the distances (...) of :func:`tfssl.color.metrics.ab_error`."""
        bins = nearest_bin(true).ravel()
        scores = color_metrics.auc_score(error).ravel()
        self.pixels += np.bincount(bins, minlength=NUM_BINS)
        self.scores += np.bincount(bins, weights=scores, minlength=NUM_BINS)

    def raw(self):
        """Mean score of all pixels, in [0, 1]; NaN without pixels."""
        return _ratio(self.scores.sum(), self.pixels.sum())

    def macro(self, min_pixels=MIN_PIXELS):
        """Plain average, over the bins with at least ``min_pixels`` true pixels, of the mean score; NaN without any."""
        counted = self.counted(min_pixels)
        return _ratio(np.sum(self.scores[counted] / self.pixels[counted]), counted.sum())

    def counted(self, min_pixels=MIN_PIXELS):
        """Which bins :meth:`macro` averages over, bool (313,)."""
        return self.pixels >= max(1, min_pixels)

    def inverse_frequency(self, prior=None):
        """Mean score of all pixels, each weighted by 1 / p of its bin: ``sum_q S_q / p_q / sum_q N_q / p_q``.

        Zhang et al. (2016), section 3.1, weight so with the colors of their training set. ``prior`` None takes the
        frequencies of the evaluated pixels, ``p_q = N_q / N``, which makes every bin that occurs at all count the same,
        be it by one pixel. Bins of probability 0 are left out.
        """
        occurs = self.pixels > 0
        if prior is not None:
            occurs &= np.asarray(prior) > 0
        p = self.pixels if prior is None else np.asarray(prior, np.float64)
        return _ratio(np.sum(self.scores[occurs] / p[occurs]), np.sum(self.pixels[occurs] / p[occurs]))


class ColorTally:
    """All color metrics of one predictor over a set of images.

    AuC, rebalanced AuC, RMSE and the chroma of neutral pixels are of the ab field before it is clipped to the sRGB
    gamut, pooled over the sampled pixels of all images (every :data:`SAMPLING`-th in both directions). PSNR, SSIM,
    CIEDE2000 (at the same pixels) and colorfulness are of the clipped 8-bit image, whose L is the true one, and
    averaged over images.
    """

    def __init__(self):
        self.auc = RebalancedAuc()
        self._squares = 0.0
        self._neutral = np.zeros((2, len(NEUTRAL_BANDS)))
        self._sums, self._counts = {}, {}  # of the finite values of each metric

    def add(self, rgb, lab, predicted):
        """Add an image: uint8 (H, W, 3), the same in Lab, and predicted ab, float (H, W, 2).

        Returns:
            Metrics of this image, ``{name: float}`` with the names :data:`IMAGE_METRICS`.
        """
        from skimage.color import rgb2lab

        grid = np.s_[::SAMPLING, ::SAMPLING]
        true = lab[grid]
        error = color_metrics.ab_error(true[..., 1:], predicted[grid])
        self.auc.update(true[..., 1:], error)
        self._squares += float(np.sum(np.square(error)))
        self._neutral += color_metrics.neutral_chroma(true, predicted[grid])
        result = color_metrics.join_lab(lab[..., 0], predicted)
        squared = color_metrics.mse(rgb, result)
        color, true_color = color_metrics.colorfulness(result), color_metrics.colorfulness(rgb)
        row = {
            "auc_raw": color_metrics.auc(error),
            "rmse_ab": color_metrics.rmse(error),
            "mse": squared,
            "psnr": color_metrics.psnr(squared),
            "ssim": color_metrics.ssim(rgb, result),
            "ciede2000": color_metrics.ciede2000(true, rgb2lab(result[grid])),
            "colorfulness": color,
        }
        reds = color_metrics.false_reds(true[..., 1:], predicted[grid]) > color_metrics.FALSE_RED_SHARE
        beside = {
            "colorfulness_true": true_color,
            "colorfulness_error": abs(color - true_color),
            "false_reds": float(reds),
        }
        for name, value in (row | beside).items():
            if math.isfinite(value):  # an infinite PSNR or the SSIM of a tiny image is not
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1
        return row

    def result(self, prior=None):
        """Metrics of all images added so far; ``prior``: probabilities of the bins, (313,), for ``auc_inverse_prior``.

        Returns:
            ``{name: float}``: ``auc_raw``, ``auc_macro`` (:meth:`RebalancedAuc.macro`), ``auc_inverse_frequency``
            (p of the evaluated pixels), ``auc_inverse_prior`` (p given), ``rmse_ab``; ``neutral_chroma``, mean
            predicted chroma of truly neutral pixels, and the same in each of :data:`NEUTRAL_BANDS`; means over images
            ``psnr`` (of the finite ones; ``psnr_infinite`` counts the others), ``psnr_of_mean_mse``, ``ssim``,
            ``ciede2000``, ``colorfulness`` and ``colorfulness_error`` (mean of |M' - M|);
            ``colorfulness_ratio``, mean predicted over mean true; and ``false_reds``, the fraction of images of which
            more than :data:`tfssl.color.metrics.FALSE_RED_SHARE` is.
        """
        images = self._counts.get("mse", 0)
        infinite = images - self._counts.get("psnr", 0)
        given = {} if prior is None else {"auc_inverse_prior": self.auc.inverse_frequency(prior)}
        return {
            "auc_raw": self.auc.raw(),
            "auc_macro": self.auc.macro(),
            "auc_inverse_frequency": self.auc.inverse_frequency(),
            **given,
            "rmse_ab": math.sqrt(_ratio(self._squares, self.auc.pixels.sum())),
            "neutral_chroma": _ratio(*self._neutral.sum(axis=1)),
            **{name: _ratio(*band) for name, band in zip(NEUTRAL_BANDS, self._neutral.T, strict=True)},
            "psnr": math.inf if infinite == images > 0 else self._mean("psnr"),
            "psnr_infinite": float(infinite),
            "psnr_of_mean_mse": color_metrics.psnr(self._mean("mse")) if images else math.nan,
            **{name: self._mean(name) for name in ("ssim", "ciede2000", "colorfulness", "colorfulness_error")},
            "colorfulness_ratio": _ratio(self._mean("colorfulness"), self._mean("colorfulness_true")),
            "false_reds": self._mean("false_reds"),
        }

    def _mean(self, name):
        return _ratio(self._sums.get(name, 0.0), self._counts.get(name, 0))


def _ratio(numerator, denominator):
    return float(numerator / denominator) if denominator else math.nan
