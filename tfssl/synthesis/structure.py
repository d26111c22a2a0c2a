"""How regular an image is: its autocorrelation, and how far it is from its own mirror image."""

import numpy as np

from tfssl.ops.arguments import check_integers, check_shapes

AXES = {"down": 0, "right": 1}


def autocorrelation(image, axis, lags=None):
    """Correlation of an image's gray levels with those of itself shifted: the part where both overlap.

    Args:
        image: (H, W, 3) or (H, W), any numbers.
        axis: ``"down"`` or ``"right"``.
        lags: largest shift in pixels; None for half the side.

    Returns:
        float64 (lags + 1,), 1 at the lag 0, at most 1; 0 where a part is even.
    """
    gray = _gray(image)
    gray = np.moveaxis(gray, AXES[axis], 0)
    lags = len(gray) // 2 if lags is None else lags
    check_integers(0, len(gray) - 1, lags=lags)
    found = np.ones(lags + 1)
    for lag in range(1, lags + 1):
        first, second = (part - part.mean() for part in (gray[lag:], gray[:-lag]))
        norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
        found[lag] = (first * second).sum() / norm if norm > 0 else 0.0
    return found


def period(profile, least=0.1):
    """The lag at which an autocorrelation first comes back; None where it does not.

    That is the first peak, behind the first valley, that has nine tenths of the highest one's value and at least
    ``least``: multiples of a period have peaks too.
    """
    profile = np.asarray(profile)
    rising = np.flatnonzero(np.diff(profile) > 0)
    if not len(rising):
        return None
    start = rising[0]
    peaks = [
        lag for lag in range(start + 1, len(profile) - 1) if profile[lag - 1] < profile[lag] >= profile[lag + 1]
    ]  # not the last lag: it may still rise
    highest = max((profile[lag] for lag in peaks), default=0.0)
    return next((lag for lag in peaks if profile[lag] >= max(least, 0.9 * highest)), None)


def mirror_error(image, flip):
    """Mean squared difference of an image from itself mirrored, of twice its variance: 0 symmetric, 1 unrelated.

    Args:
        image: float (H, W, 3).
        flip: a key of :data:`tfssl.ops.gram.FLIPS`.
    """
    check_shapes(image=(image, "H W 3"))
    image = np.asarray(image, np.float64)
    mirrored = _FLIPS[flip](image)
    variance = np.square(image - image.mean(axis=(0, 1))).mean()
    return float(np.square(image - mirrored).mean() / (2 * variance)) if variance > 0 else 0.0


def symmetrized(image, symmetry):
    """An image that has a symmetry, of one that need not: itself beside its mirror images.

    Args:
        image: (H, W, C).
        symmetry: ``"left-right"``: (H, 2 W, C); ``"up-down"``: (2 H, W, C); ``"both"``: (2 H, 2 W, C);
            ``"quarter-turn"``: four turned copies of the square in its middle.
    """
    if symmetry == "quarter-turn":
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        square = image[top : top + side, left : left + side]
        upper = np.concatenate([square, np.rot90(square, -1)], axis=1)
        return np.concatenate([upper, np.rot90(upper, 2)], axis=0)
    for flip, axis in (("left-right", 1), ("up-down", 0)):
        if symmetry in (flip, "both"):
            image = np.concatenate([image, _FLIPS[flip](image)], axis=axis)
    return image


_FLIPS = {
    "left-right": lambda image: image[:, ::-1],
    "up-down": lambda image: image[::-1],
    "half-turn": lambda image: image[::-1, ::-1],
    "quarter-turn": np.rot90,
}


def _gray(image):
    image = np.asarray(image, np.float64)
    return image.mean(axis=-1) if image.ndim == 3 else image
