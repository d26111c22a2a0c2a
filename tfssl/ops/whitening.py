"""Whitening of natural images by one small fixed filter."""

import functools

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_floating, check_shapes

MARGIN = 4
"""Pixels that :func:`whiten` takes off each side."""

FLAT = {"standardize": 0.01, "whiten": 0.005}
"""Standard deviation, of images in [0, 1], below which a patch counts as flat and is not stretched to 1."""

_CUTOFF = 0.4  # cycles a pixel: Olshausen and Field's 200 cycles of an image of 512 pixels
_GRID = 64  # frequencies on which the filter is given


@functools.lru_cache(maxsize=1)
def whitening_kernel():
    """The filter ``R(f) = f exp(-(f / f0)^4)`` as a kernel of 9x9 pixels, f0 = 0.4 cycles a pixel: float32, read-only.

    The power of natural images falls as 1 / f^2: multiplied by f it is flat, and the exponential keeps noise near the
    sampling limit down. The inverse transform is cut by a Hann window and freed of its mean, so that even areas give
    exactly zero. (f0 is recalled from Olshausen and Field 1997, not checked; there the filter acts on the whole image.)
    """
    frequencies = np.fft.fftfreq(_GRID)
    radius = np.hypot(frequencies[:, None], frequencies)
    kernel = np.fft.fftshift(np.fft.ifft2(radius * np.exp(-((radius / _CUTOFF) ** 4))).real)
    around = slice(_GRID // 2 - MARGIN, _GRID // 2 + MARGIN + 1)
    window = np.outer(*[np.hanning(2 * MARGIN + 3)[1:-1]] * 2)
    kernel = kernel[around, around] * window
    kernel = (kernel - window * kernel.sum() / window.sum()).astype(np.float32)
    kernel.flags.writeable = False
    return kernel


def whiten(images):
    """Filter gray images: float32 (B, H, W, 1), H and W at least 9 -> (B, H - 8, W - 8, 1), mean about 0."""
    check_shapes(images=(images, "B H W 1"))
    check_floating(images=images)
    check_room(images.shape)
    kernel = whitening_kernel()
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape, axis=(1, 2))  # (B, h, w, 1, 9, 9)
    return np.tensordot(windows, kernel, 2)


def check_room(shape):
    """Raise ConfigError if images (B, H, W, 1) are smaller than the filter; sizes may be None."""
    if any(n is not None and n <= 2 * MARGIN for n in shape[1:3]):
        raise ConfigError(f"`images` must be at least {2 * MARGIN + 1} pixels wide and high. Received: {tuple(shape)}")
