"""Angles between true and predicted directions, over any number of pixels."""

import numpy as np

_BINS_PER_DEGREE = 100

WITHIN = (11.25, 22.5, 30.0)
"""Degrees below which an angle counts as small (Fouhey, Gupta and Hebert, ICCV 2013)."""


class NormalAngles:
    """Statistics of angles that grow picture by picture; the median is exact to 0.005 degrees."""

    def __init__(self):
        self._sum, self._count = 0.0, 0
        self._within = np.zeros(len(WITHIN), np.int64)
        self._bins = np.zeros(180 * _BINS_PER_DEGREE, np.int64)

    def add(self, truth, predicted):
        """Count the pixels of a picture.

        Args:
            truth: float (H, W, 3), of length 1, or 0 where nothing is counted.
            predicted: float (H, W, 3), of length 1.
        """
        known = np.any(truth != 0, axis=-1)
        cosines = np.sum(truth[known].astype(np.float64) * predicted[known], axis=-1)
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        self._sum += float(angles.sum())
        self._count += angles.size
        self._within += [np.count_nonzero(angles < limit) for limit in WITHIN]
        bins = np.minimum((angles * _BINS_PER_DEGREE).astype(np.int64), len(self._bins) - 1)
        self._bins += np.bincount(bins, minlength=len(self._bins))

    def metrics(self):
        """``mean_angle`` and ``median_angle`` in degrees, lower is better; ``within_11_25``, ``within_22_5`` and
        ``within_30``, shares of the pixels in [0, 1], higher is better. NaN where nothing was counted.
        """
        if not self._count:
            return dict.fromkeys(("mean_angle", "median_angle", *map(_name, WITHIN)), np.nan)
        return {
            "mean_angle": self._sum / self._count,
            "median_angle": self._median(),
            **{_name(limit): float(n / self._count) for limit, n in zip(WITHIN, self._within, strict=True)},
        }

    def _median(self):
        ranks = ((self._count - 1) // 2, self._count // 2)  # the two in the middle, or one twice
        middle = np.searchsorted(np.cumsum(self._bins), ranks, side="right")
        return float((middle.mean() + 0.5) / _BINS_PER_DEGREE)


def _name(limit):
    return f"within_{limit:g}".replace(".", "_")
