"""Lab of 8-bit images in NumPy, by tables: for the host, where data is prepared.

The same definition as :mod:`tfssl.ops.color`, about four times as fast on a CPU.
"""

import functools
import threading

import numpy as np

from tfssl.ops.ab_bins import GRAY_THRESHOLD
from tfssl.ops.arguments import check_bytes, check_floating, check_shapes

WHITE_D65 = (0.95047, 1.0, 1.08883)
"""XYZ of the reference white (D65, 2 degree observer)."""

XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
"""Linear sRGB -> XYZ, rows X, Y, Z."""

RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)

# CIE 1976 f(): a cube root above 0.008856, a line below. Both meet at f = 24/116.
KNEE_CUBED = np.float32((24 / 116) ** 3)
SLOPE = np.float32(7.787)

# Pixels to one NumPy operation. NumPy lets go of the interpreter lock inside each, but another thread needs tens of
# microseconds to take it: with smaller steps threads do not overlap. Larger ones leave the processor's cache.
_STEP = 1 << 17


def lightness(pixels):
    """L in [0, 100] of 8-bit sRGB: uint8 (..., 3) -> float32 (...)."""
    check_shapes(pixels=(pixels, "... 3"))
    check_bytes(pixels=pixels)
    flat = pixels.reshape(-1, 3)
    result = np.empty(len(flat), np.float32)
    for start in range(0, len(flat), _STEP):
        part = result[start : start + _STEP]
        (fy,) = _xyz_f(flat[start : start + _STEP], rows=(1,))
        np.multiply(fy, 116, out=part)
        part -= 16
    return result.reshape(pixels.shape[:-1])


def mean_lightness(pixels):
    """L in [0, 100] of the gray image whose level is the mean of R, G and B: uint8 (..., 3) -> float32 (...)."""
    check_shapes(pixels=(pixels, "... 3"))
    check_bytes(pixels=pixels)
    return _lightness_of_sums()[pixels.sum(axis=-1, dtype=np.intp)]


@functools.lru_cache(maxsize=1)
def _lightness_of_sums():
    """L of the gray image of each sum of R, G and B, 0 to 765."""
    return 116 * lab_f(_linear(np.arange(766) / 765).astype(np.float32)) - 16


def ab(pixels):
    """a and b of 8-bit sRGB: uint8 (..., 3) -> float32 (..., 2)."""
    check_shapes(pixels=(pixels, "... 3"))
    check_bytes(pixels=pixels)
    flat = pixels.reshape(-1, 3)
    result = np.empty((len(flat), 2), np.float32)
    for start in range(0, len(flat), _STEP):
        part = result[start : start + _STEP]
        fx, fy, fz = _xyz_f(flat[start : start + _STEP], rows=(0, 1, 2))
        fx -= fy
        fy -= fz
        np.multiply(fx, 500, out=part[:, 0])
        np.multiply(fy, 200, out=part[:, 1])
    return result.reshape(*pixels.shape[:-1], 2)


def is_gray(pixels):
    """Whether |a| and |b| nowhere exceed 5 in 8-bit sRGB, uint8 (..., 3): nothing to learn colors from."""
    return bool(np.abs(ab(pixels)).max() <= GRAY_THRESHOLD)


def lab_f(relative):
    """CIE f() of X, Y or Z relative to white, float32."""
    check_floating(relative=relative)
    result = relative.copy()
    _apply_f(result, np.empty_like(result))
    return result


@functools.lru_cache(maxsize=1)
def channel_shares():
    """What each value of R, G, B adds to X, Y, Z relative to white: float32 (3, 3, 256), [row, channel, value]."""
    linear = _linear(np.arange(256) / 255)
    return ((XYZ_FROM_RGB / np.array(WHITE_D65)[:, None])[..., None] * linear).astype(np.float32)


def _linear(srgb):
    return np.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)


class _Workspace(threading.local):
    """Intermediate results of one thread. Fresh memory for each step would cost as much as the sums in it."""

    def __init__(self):
        self.indices = np.empty(_STEP, np.intp)  # the platform's own size: np.take would make a copy of any other
        self.part = np.empty(_STEP, np.float32)
        self.rows = np.empty((3, _STEP), np.float32)


_workspace = _Workspace()


def _xyz_f(pixels, rows):
    """f() of the given rows of XYZ, for (N, 3) pixels, N at most _STEP; valid until this thread's next call."""
    count = len(pixels)
    indices, part = _workspace.indices[:count], _workspace.part[:count]
    totals = [_workspace.rows[row, :count] for row in rows]
    for channel in range(3):
        np.copyto(indices, pixels[:, channel])
        for row, total in zip(rows, totals, strict=True):
            # "wrap" spares the check of the bounds, which bytes cannot leave, and with it a copy of the result.
            np.take(channel_shares()[row, channel], indices, out=total if channel == 0 else part, mode="wrap")
            if channel:
                total += part
    for total in totals:
        _apply_f(total, part)
    return totals


def _apply_f(relative, above):
    """f() in place; ``above`` is space for as many numbers."""
    np.clip(relative, KNEE_CUBED, np.inf, out=above)  # several times as fast as np.maximum with a number
    relative -= above
    relative *= SLOPE
    np.cbrt(above, out=above)
    relative += above
