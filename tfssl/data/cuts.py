"""Where one shot of a film ends and the next begins."""

import numpy as np

from tfssl.ops.arguments import check_shapes

CUT_CORRELATION = 0.5
"""Two successive frames whose lightness correlates less belong to different shots."""


def find_cuts(lightness):
    """Where a new shot begins: float (n, h, w) in [0, 100] -> bool (n,), True for the first frame of each shot but 0.

    By the correlation of successive frames, which fades, flashes and the pulsing exposure of old film leave high.
    """
    check_shapes(lightness=(lightness, "n h w"))
    flat = lightness.reshape(len(lightness), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    # +1: frames without any contrast, black ones between two shots, are all alike.
    power = (flat**2).mean(axis=1) + 1
    products = (flat[1:] * flat[:-1]).mean(axis=1) + 1
    return np.concatenate([[False], products < CUT_CORRELATION * np.sqrt(power[1:] * power[:-1])])
