"""From histograms to colors, by ``keras.ops``: quantile, expectation, mode or a draw; hue by its circular mean."""

import numpy as np
from keras import ops

from tfssl.layers.resizing import upsample
from tfssl.methods.hypercolumn_colorization.network import DENSE_STRIDE
from tfssl.ops.color import lightness_to_level, rgb_to_lab
from tfssl.ops.hue_chroma import even_centers, hcv_to_rgb, match_lightness, quantile_centers

FADING_BINS = 32
"""Bins of hue for which ``fading`` is meant."""


def decode(scores, lightness, *, target, decoder, bins=32, joint=False, temperature=1.0, fading=0.03, draw=(0.5, 0.5)):
    """Colors of the scores of a dense network.

    Args:
        scores: float tensor (B, H / 4, W / 4, C): logits of hue, then of chroma; of a, then of b, or of pairs of them;
            or ab.
        lightness: float tensor (B, H, W, 1), L in [0, 100].
        temperature: a number or a tensor that divides the logits.
        draw: two numbers in [0, 1), for hue and chroma, or a and b: the quantiles that the decoder ``"sample"`` takes.
        others: fields of :class:`~tfssl.methods.HypercolumnColorization`.

    Returns:
        ab, float32 (B, H, W, 2).
    """
    scores = ops.cast(scores, "float32")
    if target == "lab_regression":
        return upsample(scores, DENSE_STRIDE)
    parts = [scores] if joint else ops.split(scores, 2, axis=-1)
    # Probabilities are enlarged, not what is made of them: hues do not average, and edges of lightness stay sharp.
    parts = [upsample(ops.softmax(part / ops.cast(temperature, "float32"), axis=-1), DENSE_STRIDE) for part in parts]
    if joint:
        return _joint_ab(parts[0], bins, decoder, draw)
    first, second = parts
    if target == "lab_histogram":
        centers = quantile_centers(bins)
        parts = [point(p, centers, decoder, u) for p, u in zip((first, second), draw, strict=True)]
        return ops.concatenate(parts, axis=-1)
    hue, length = circular_mean(first)
    if decoder in ("mode", "sample"):
        hue = point(first, even_centers(bins), decoder, draw[0])
    chroma = point(second, even_centers(bins), decoder, draw[1])
    if fading:
        chroma = fade(chroma, length, fading * FADING_BINS / bins)
    return hue_chroma_to_ab(hue, chroma, lightness_to_level(ops.cast(lightness, "float32")))


def point(probabilities, centers, decoder, draw=0.5):
    """One number of each histogram: probabilities (..., K) of bins with these ``centers`` -> (..., 1).

    ``decoder``: ``"median"``, the first bin up to which the sum is at least a half, as the authors' code;
    ``"interpolated_median"``, as the paper, linear inside that bin; ``"expectation"``; ``"mode"``; ``"sample"``, the
    bin in which the sum reaches ``draw``: uniform draws give each bin as often as its probability.
    """
    centers = np.asarray(centers, np.float32)
    if decoder == "expectation":
        return ops.matmul(probabilities, centers[:, None])
    if decoder == "interpolated_median":
        return _between(quantile_position(probabilities, 0.5), centers)
    if decoder == "mode":
        index = ops.argmax(probabilities, axis=-1)
    else:
        below = ops.cast(cumulative(probabilities) < (draw if decoder == "sample" else 0.5), "int32")
        # Sums of all bins may fall short of 1 by rounding.
        index = ops.minimum(ops.sum(below, axis=-1), len(centers) - 1)
    return ops.take(centers, index, axis=0)[..., None]


def cumulative(probabilities):
    """Sums up to and with each bin, (..., K). A product, for phones: few have a running sum."""
    bins = probabilities.shape[-1]
    return ops.matmul(probabilities, np.triu(np.ones((bins, bins), np.float32)))


def quantile_position(probabilities, q):
    """How many bins, counted in fractions, lie below the ``q`` quantile of histograms (..., K): (..., 1)."""
    before = cumulative(probabilities) - probabilities
    inside = (q - before) / ops.maximum(probabilities, 1e-7)
    return ops.sum(ops.clip(inside, 0.0, 1.0), axis=-1, keepdims=True)


def _between(position, centers):
    """Values at positions counted in bins: bin k reaches from k to k + 1, its center lies at k + 1/2."""
    steps = np.diff(centers, prepend=centers[0] - (centers[1] - centers[0]), append=centers[-1])
    start = centers[0] - steps[0]
    passed = ops.clip(position + 0.5 - np.arange(len(steps), dtype=np.float32), 0.0, 1.0)
    return start + ops.matmul(passed, steps.astype(np.float32)[:, None])


def circular_mean(probabilities):
    """Mean direction of histograms of hue (..., K): hue in [0, 1), and the length |z| in [0, 1 / K], (..., 1) each.

    ``z = 1/K sum_k p_k exp(2 pi i (k + 1/2) / K)``. A mean of the numbers would call red, at both ends, cyan.
    """
    angles = 2 * np.pi * even_centers(probabilities.shape[-1])
    z = ops.matmul(probabilities, np.stack([np.cos(angles), np.sin(angles)], axis=-1) / len(angles))
    turns = ops.arctan2(z[..., 1:], z[..., :1]) / (2 * np.pi)
    length = ops.sqrt(ops.sum(ops.square(z), axis=-1, keepdims=True))
    return turns - ops.floor(turns), length


def fade(chroma, length, fading):
    """Chromatic fading, ``C min(|z| / eta, 1)``: where the hue is uncertain, less chroma (paper, section 5.3).

    The paper prints ``max``; its code clips. With 32 bins and eta 0.03 it begins where the mean of unit vectors is
    shorter than 0.96.
    """
    return chroma * ops.minimum(length / fading, 1.0)


def hue_chroma_to_ab(hue, chroma, gray):
    """ab, float32 (..., 2), of hue, chroma and the gray level in [0, 1], (..., 1) each, by V = gray + C / 2."""
    rgb = hcv_to_rgb(ops.concatenate([hue, chroma, gray + chroma / 2], axis=-1))
    return rgb_to_lab(match_lightness(ops.clip(rgb, 0.0, 1.0), gray))[..., 1:]


def _joint_ab(probabilities, bins, decoder, draw):
    """ab of histograms over pairs (..., bins^2), number ``bins`` i + j: of the pairs, or of a and b by themselves."""
    centers = quantile_centers(bins)
    if decoder in ("mode", "sample"):
        index = ops.cast(point(probabilities, np.arange(bins**2), decoder, draw[0]), "int32")[..., 0]
        pairs = np.stack(np.meshgrid(centers, centers, indexing="ij"), axis=-1).reshape(-1, 2)
        return ops.take(pairs, index, axis=0)
    first = np.repeat(np.eye(bins, dtype=np.float32), bins, axis=0)
    second = np.tile(np.eye(bins, dtype=np.float32), (bins, 1))
    parts = [point(ops.matmul(probabilities, total), centers, decoder) for total in (first, second)]
    return ops.concatenate(parts, axis=-1)
