"""How far predicted colors are from the true ones: numbers for one image, in NumPy.

Colors are compared as ab of CIE Lab (D65), images as 8-bit sRGB. No number tells the whole story: gray has a
small error, random vivid colors are colorful. Read AuC, rebalanced AuC and colorfulness together.
"""

import warnings

import numpy as np

from tfssl.ops.arguments import check_shapes

AUC_LIMIT = 150.0
"""Distance in ab units at which a pixel's score reaches zero (Zhang et al. 2016, section 3.1)."""

NEUTRAL_CHROMA = 5.0
"""Pixels of smaller chroma look neutral: white walls, snow, paper, shadows."""

LIGHTNESS_BANDS = (0.0, 25.0, 50.0, 75.0, 100.0)
"""Borders of the bands of L in which neutral pixels are told apart."""

VIVID_CHROMA = 35.0
"""Predicted chroma from which on a wrong red strikes the eye, see :func:`false_reds`."""

RED_A = 15.0
"""True a from which on a pixel may be called red."""

FALSE_RED_SHARE = 0.02
"""An image has false reds if they are more than this fraction of it."""

_MAX_8_BIT = 255.0
_SSIM_WINDOW = 11


def ab_error(true, predicted):
    """Euclidean distance ``d = |ab - ab'|`` of each pixel, float64 (...), of arrays (..., 2) in ab units."""
    check_shapes(true=(true, "... 2"), predicted=(predicted, "... 2"))
    difference = np.asarray(predicted, np.float64) - np.asarray(true, np.float64)
    return np.sqrt(np.sum(np.square(difference), axis=-1))


def auc_score(error):
    """Score of each pixel, ``max(0, 1 - d / 150)``, of distances d: its fraction of the area under the error curve."""
    return np.maximum(0.0, 1.0 - np.asarray(error, np.float64) / AUC_LIMIT)


def auc(error):
    """Area under the cumulative error curve: fraction of pixels with ``d <= t``, over t in [0, 150] / 150.

    The integral is exact: one pixel contributes a step at d, hence the mean of :func:`auc_score`. The published
    evaluations sum the curve at the 151 thresholds 0, 1, ..., 150 instead; by the trapezoid rule that differs by
    1/300 at most (d = 0, 10, 50, 200: 0.65 exactly, 0.651667 by trapezoids).

    Args:
        error: array of any shape, distances d in ab units.

    Returns:
        float in [0, 1]; 1 is perfect.

    Reference:
        R. Zhang, P. Isola, A. A. Efros: Colorful Image Colorization. ECCV 2016, section 3.1.
    """
    return float(np.mean(auc_score(error)))


def rmse(error):
    """Root mean square of distances, in ab units (neither ab / 110 nor the scaled space of Deshpande et al., 2015).

    The mean runs over pixels; the root mean square over pixels and both channels is smaller by sqrt(2).
    """
    return float(np.sqrt(np.mean(np.square(np.asarray(error, np.float64)))))


def neutral_chroma(lab, predicted):
    """Chroma that a prediction gives to truly neutral pixels, by lightness: what tints white walls and snow.

    Args:
        lab: true Lab (..., 3).
        predicted: ab (..., 2).

    Returns:
        float64 (2, 4): for each band of :data:`LIGHTNESS_BANDS` the sum of ``sqrt(a'^2 + b'^2)`` over the pixels whose
        true chroma is below :data:`NEUTRAL_CHROMA`, and their number. A gray image has sums of 0.
    """
    check_shapes(lab=(lab, "... 3"), predicted=(predicted, "... 2"))
    lab = np.asarray(lab, np.float64)
    neutral = np.hypot(lab[..., 1], lab[..., 2]) < NEUTRAL_CHROMA
    band = np.digitize(lab[..., 0][neutral], LIGHTNESS_BANDS[1:-1])
    chroma = np.hypot(*np.moveaxis(np.asarray(predicted, np.float64)[neutral], -1, 0))
    bands = len(LIGHTNESS_BANDS) - 1
    return np.stack([np.bincount(band, weights, minlength=bands) for weights in (chroma, np.ones_like(chroma))])


def false_reds(true, predicted):
    """Fraction of pixels that a prediction makes vividly red or orange, and that are not red.

    Those with a predicted chroma of at least :data:`VIVID_CHROMA`, a hue angle between -30 and 60 degrees, and a true a
    under :data:`RED_A`: the mistake that strikes people first.

    Args:
        true, predicted: ab (..., 2).

    Returns:
        float in [0, 1].
    """
    check_shapes(true=(true, "... 2"), predicted=(predicted, "... 2"))
    a, b = np.moveaxis(np.asarray(predicted, np.float64), -1, 0)
    hue = np.degrees(np.arctan2(b, a))
    vivid_red = (np.hypot(a, b) >= VIVID_CHROMA) & (hue > -30) & (hue < 60)
    return float(np.mean(vivid_red & (np.asarray(true)[..., 0] < RED_A)))


def mse(true, predicted):
    """Mean squared difference of images, uint8 (H, W, 3), over pixels and channels, in squared levels."""
    check_shapes(true=(true, "H W 3"), predicted=(predicted, "H W 3"))
    return float(np.mean(np.square(np.asarray(true, np.float64) - np.asarray(predicted, np.float64))))


def psnr(squared_error):
    """Peak signal-to-noise ratio ``10 log10(255^2 / MSE)`` in dB of what :func:`mse` gives; infinite for 0."""
    return float(10.0 * np.log10(_MAX_8_BIT**2 / squared_error)) if squared_error > 0 else float("inf")


def ssim(true, predicted):
    """Structural similarity with Wang's window: 11 x 11 Gaussian, sigma 1.5, K1 = 0.01, K2 = 0.03.

    Mean over the R, G and B channels of uint8 (H, W, 3) and over the positions at which the window lies inside the
    image, in [-1, 1]; NaN for an image with a side below 11 pixels, which has no such position.

    Reference:
        Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment. IEEE TIP 2004.
    """
    from skimage.metrics import structural_similarity

    check_shapes(true=(true, "H W 3"), predicted=(predicted, "H W 3"))
    if min(true.shape[:2]) < _SSIM_WINDOW:
        return float("nan")
    # scikit-image's defaults are another metric: a 7 x 7 uniform window and the sample covariance.
    value = structural_similarity(
        true,
        predicted,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=_MAX_8_BIT,
        channel_axis=-1,
    )
    return float(value)


def colorfulness(rgb):
    """Colorfulness M: spread plus 0.3 times mean offset of the opponent colors ``R - G`` and ``(R + G) / 2 - B``.

    In 8-bit levels, of sRGB (H, W, 3) in [0, 255]: 0 is a gray image; 15 slightly, 33 moderately, 59 quite, 109
    extremely colorful. Compare it with the true image's: more is not better.

    Reference:
        D. Hasler, S. Suesstrunk: Measuring colorfulness in natural images. SPIE 2003.
    """
    check_shapes(rgb=(rgb, "H W 3"))
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2.0 - blue
    spread = np.hypot(np.std(red_green), np.std(yellow_blue))
    return float(spread + 0.3 * np.hypot(np.mean(red_green), np.mean(yellow_blue)))


def ciede2000(true, predicted):
    """Mean CIEDE2000 color difference of Lab (..., 3); about 1 is just noticeable (CIE 142:2001, scikit-image)."""
    from skimage.color import deltaE_ciede2000

    check_shapes(true=(true, "... 3"), predicted=(predicted, "... 3"))
    return float(np.mean(deltaE_ciede2000(np.asarray(true, np.float64), np.asarray(predicted, np.float64))))


def join_lab(lightness, ab):
    """L (H, W) in [0, 100] and ab (H, W, 2) as an image, uint8 (H, W, 3), clipped to the sRGB gamut."""
    from skimage.color import lab2rgb

    check_shapes(lightness=(lightness, "H W"), ab=(ab, "H W 2"))
    with warnings.catch_warnings():
        # Said of each image with a strong blue outside the gamut; clipping is what is wanted here.
        warnings.filterwarnings("ignore", message=".*negative Z values")
        rgb = lab2rgb(np.concatenate([np.asarray(lightness, np.float64)[..., None], ab], axis=-1))
    return np.rint(rgb * _MAX_8_BIT).astype(np.uint8)
