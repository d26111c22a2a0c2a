"""Hue and chroma of sRGB images, the color space that Larsson et al. (2016) predict, and bins of such numbers.

With M and m the largest and the smallest of R, G and B, all sRGB-encoded in [0, 1]: value V = M, chroma C = M - m, and
hue H in [0, 1) is that of HSV; of gray it is 0. HSV with chroma in place of saturation is a bicone: hue and saturation
of HSL are unstable at black and white, chroma is small there.
"""

import statistics

import numpy as np

from tfssl.ops.arguments import check_floating, check_integers, check_shapes


def rgb_to_hcv(rgb):
    """Hue in [0, 1), chroma and value in [0, 1] of sRGB in [0, 1], NumPy: (..., 3) -> (..., 3), the same dtype."""
    check_shapes(rgb=(rgb, "... 3"))
    check_floating(rgb=rgb)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    value = rgb.max(axis=-1)
    chroma = value - rgb.min(axis=-1)
    divisor = np.where(chroma > 0, chroma, 1)
    sixths = np.select(
        [chroma <= 0, value == red, value == green],
        [0, (green - blue) / divisor % 6, (blue - red) / divisor + 2],
        (red - green) / divisor + 4,
    )
    return np.stack([sixths / 6 % 1, chroma, value], axis=-1).astype(rgb.dtype)


def hcv_to_rgb(hcv):
    """sRGB (..., 3), not clipped, of hue (any number, 1 is a turn), chroma and value, float tensor (..., 3)."""
    from keras import ops

    check_shapes(hcv=(hcv, "... 3"))
    check_floating(hcv=hcv)
    hcv = ops.convert_to_tensor(hcv)
    hue, chroma, value = hcv[..., 0:1], hcv[..., 1:2], hcv[..., 2:3]
    # Each channel is V - C times a trapezoid of the hue: 0 where it is the largest, 1 where it is the smallest.
    sixths = 6 * hue + ops.cast(np.array([5.0, 3.0, 1.0]), hcv.dtype)
    sixths = sixths - 6 * ops.floor(sixths / 6)
    return value - chroma * ops.clip(ops.minimum(sixths, 4 - sixths), 0, 1)


def match_lightness(rgb, gray):
    """Add to all three channels what the mean of them lacks to ``gray``, then clip to [0, 1].

    Hue and chroma come back with V = gray + C / 2, which takes gray for the mean of the largest and the smallest
    channel; the gray that networks see is the mean of all three. The authors' code repairs it so.

    Args:
        rgb: float tensor (..., 3), sRGB.
        gray: float tensor (..., 1), level in [0, 1].
    """
    from keras import ops

    check_shapes(rgb=(rgb, "... 3"), gray=(gray, "... 1"))
    return ops.clip(rgb + (gray - ops.mean(rgb, axis=-1, keepdims=True)), 0, 1)


def even_bin(values, bins):
    """Number of the bin of values in [0, 1], NumPy: ``min(floor(bins v), bins - 1)``, int64 (...)."""
    check_integers(1, bins=bins)
    return np.minimum((np.asarray(values) * bins).astype(np.int64), bins - 1)


def even_centers(bins):
    """Centers of :func:`even_bin`, float32 (bins,)."""
    check_integers(1, bins=bins)
    return ((np.arange(bins) + 0.5) / bins).astype(np.float32)


AB_DEVIATION = 25.0
"""Standard deviation, in ab units, of the Gaussian whose quantiles divide the axes a and b."""


def quantile_edges(bins):
    """Borders between ``bins`` intervals of a or b with equal probability under a Gaussian, float64 (bins - 1,).

    Mean 0, deviation :data:`AB_DEVIATION`; of 4 bins: -16.862, 0, 16.862.
    """
    check_integers(1, bins=bins)
    gaussian = statistics.NormalDist(0.0, AB_DEVIATION)
    return np.array([gaussian.inv_cdf(i / bins) for i in range(1, bins)])


def quantile_centers(bins):
    """The quantiles in the middle of the intervals of :func:`quantile_edges`, float32 (bins,), ab units."""
    check_integers(1, bins=bins)
    gaussian = statistics.NormalDist(0.0, AB_DEVIATION)
    return np.array([gaussian.inv_cdf((i + 0.5) / bins) for i in range(bins)], np.float32)
