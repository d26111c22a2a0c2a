"""Pictures without content that give the place of a piece of them away in one way only: borders, mean or aberration.

Everything random follows from the seed. All are noise, so whatever a network learns from them it learns from the
shortcut; and each is noise without preferred places, so that a piece alone says nothing but what the shortcut adds.
"""

import numpy as np

GREEN = (1.0, 1.005, 1.0)
"""Magnification of R, G and B: green against magenta, as Doersch, Gupta and Efros describe it (section 3.1)."""

RED_BLUE = (1.005, 1.0, 0.995)
"""Red and blue apart, green between them: what a simple lens does."""

STRONG = (1.01, 1.0, 0.99)
"""Red and blue twice as far apart."""

_MIDDLE, _CONTRAST = 128.0, 40.0  # gray levels: only one pixel in a thousand is cut off at 0 or 255


def borders(count, size, seed, width=3.0):
    """Gray noise whose neighboring pixels are alike: two pieces that touch match along their border.

    Args:
        count: number of pictures N.
        size: side S in pixels.
        seed: of the noise.
        width: w in pixels; pixels at distance d have the correlation ``exp(-(d / 2w)^2)``: 0.97 side by side, 0.1
            at 9 pixels, 1e-4 at 18 for w = 3.

    Returns:
        uint8 array (N, S, S, 3).
    """
    return _to_bytes(_noise(np.random.default_rng(seed), count, size, width))


def ramps(count, size, seed, rise=1.0, noise=15.0):
    """White gray noise on a ramp of brightness through mid-gray, of random direction: only means tell places apart.

    Args:
        count: number of pictures N.
        size: side S in pixels; at most 130 with the default rise, or the corners are cut off.
        seed: of noise and directions.
        rise: steepest ascent in gray levels a pixel; each picture's is uniform between half of it and all.
        noise: standard deviation in gray levels.

    Returns:
        uint8 array (N, S, S, 3).
    """
    rng = np.random.default_rng(seed)
    angle, steepness = rng.uniform(0, 2 * np.pi, count), rng.uniform(rise / 2, rise, count)
    offset = np.arange(size) - (size - 1) / 2
    along_x, along_y = (np.outer(steepness * part, offset) for part in (np.cos(angle), np.sin(angle)))  # (N, S)
    levels = _MIDDLE + along_y[:, :, None] + along_x[:, None, :]
    levels += noise * rng.standard_normal(levels.shape)
    return _in_three_channels(levels)


def aberration(count, size, seed, magnification=RED_BLUE, width=1.5):
    """Gray noise through a lens that magnifies the colors differently: their shift against each other tells places.

    Each channel is the same continuous field, seen at its own magnification about the picture's center: at distance r
    a channel is shifted by ``(m - 1) r``. The field is evaluated, not resampled, so that one channel alone is the same
    noise everywhere.

    Args:
        count: number of pictures N.
        size: side S in pixels.
        seed: of the noise.
        magnification: m of R, G and B.
        width: of the noise, see :func:`borders`.

    Returns:
        uint8 array (N, S, S, 3).
    """
    return _to_bytes(_noise(np.random.default_rng(seed), count, size, width, magnification))


def _noise(rng, count, size, width, magnification=(1.0,)):
    """Normal fields of variance 1 at the places that a magnified picture shows, float32 (N, S, S, channels)."""
    room = int(np.ceil(4 * width + size * abs(1 - 1 / min(magnification))))
    lattice = np.arange(-room, size + room)
    white = rng.standard_normal((count, lattice.size, lattice.size), dtype=np.float32)
    center = (size - 1) / 2
    fields = {}
    for m in set(magnification):
        places = center + (np.arange(size) - center) / m
        kernel = np.exp(-((places[:, None] - lattice) ** 2) / (2 * width**2))
        kernel /= np.sqrt(np.sum(kernel**2, axis=1, keepdims=True))  # variance 1 everywhere
        fields[m] = _along_last(_along_last(white, kernel), kernel)
    return np.stack([fields[m] for m in magnification], axis=-1)


def _along_last(arrays, kernel):
    """Filter the last axis and swap the last two; one large product, where one for each picture takes far longer."""
    count, rows, columns = arrays.shape
    filtered = arrays.reshape(-1, columns) @ kernel.T.astype(arrays.dtype)
    return np.ascontiguousarray(filtered.reshape(count, rows, -1).transpose(0, 2, 1))


def _to_bytes(fields):
    levels = _MIDDLE + _CONTRAST * fields
    return _in_three_channels(levels[..., 0]) if levels.shape[-1] == 1 else _rounded(levels)


def _in_three_channels(levels):
    return np.repeat(_rounded(levels)[..., None], 3, axis=-1)


def _rounded(levels):
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
