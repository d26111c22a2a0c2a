"""How far a filled hole is from what was there: error and sharpness of one image, in NumPy.

Conventions: values in [0, 1], the pixels of the hole only, each image by itself; then means over images. The mean
of the PSNR of images is at least the PSNR of their mean error, so both are reported.
"""

import math

import numpy as np

NAMES = ("l1", "l2", "psnr", "gradient_energy")
"""Keys of :func:`hole_metrics`."""

_SMALLEST = 1e-10  # of a squared error, in [0, 1]: a perfect fill has 100 dB


def hole_metrics(truth, filled, hole):
    """Errors of a filled image inside its hole.

    Args:
        truth: float array (H, W, 3) in [0, 1].
        filled: the same with the hole filled.
        hole: bool array (H, W).

    Returns:
        ``l1`` and ``l2``, mean absolute and mean squared error in per cent; ``psnr`` in dB, at most 100;
        ``gradient_energy`` of ``filled``, see :func:`gradient_energy`.
    """
    difference = np.asarray(filled, np.float64)[hole] - np.asarray(truth, np.float64)[hole]
    squared = float(np.mean(np.square(difference)))
    return {
        "l1": 100.0 * float(np.mean(np.abs(difference))),
        "l2": 100.0 * squared,
        "psnr": psnr(squared),
        "gradient_energy": gradient_energy(filled, hole),
    }


def psnr(squared_error):
    """Peak signal-to-noise ratio ``-10 log10(e)`` in dB of a mean squared error of values in [0, 1]."""
    return -10.0 * math.log10(max(squared_error, _SMALLEST))


def gradient_energy(image, hole):
    """Mean squared difference of neighboring pixels of a hole, over both directions and all channels.

    Compare it with that of the true image: less is blurred, more is noise.

    Args:
        image: float array (H, W, 3) in [0, 1].
        hole: bool array (H, W); pairs with both pixels inside count.

    Returns:
        float; 0 if no two neighbors lie inside.
    """
    image = np.asarray(image, np.float64)
    across = np.square(image[:, 1:] - image[:, :-1])[hole[:, 1:] & hole[:, :-1]]
    down = np.square(image[1:] - image[:-1])[hole[1:] & hole[:-1]]
    count = across.size + down.size
    return float((across.sum() + down.sum()) / count) if count else 0.0
