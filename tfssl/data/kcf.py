# LEAD: cv2 is installed in the venv now (see AAA_MESSAGE_FROM_LEAD.txt): use OpenCV instead of this file.
"""A tracker of boxes in clips: kernelized correlation filters, in NumPy.

Reference:
    J. Henriques, R. Caseiro, P. Martins, J. Batista: High-speed tracking with kernelized correlation filters. TPAMI
    2015; values are those of its released code for HOG, in whose place slopes in four directions stand here.
"""

import numpy as np
from scipy import fft, ndimage

_CELLS = 64  # numbers along a side of what is compared, whatever the box has
_PADDING = 1.5  # how much larger than the box the window is that is searched: a factor of 2.5
_TARGET = 0.1  # deviation of the wanted response, in boxes
_KERNEL = 0.5  # deviation of the Gaussian kernel
_REGULARIZATION = 1e-4
_NEIGHBORHOOD = 3.0  # cells, deviation of the Gaussian over which slopes are divided by their mean size
_FLAT = 1e-4  # what is added to that, squared levels in [0, 1]
_FORGETTING = 0.02  # weight of the newest frame in what is compared with


class CorrelationTracker:
    """Follow a box of fixed size from frame to frame.

    A ridge regression on all shifts of the window around the box tells how much each place in the next frame looks like
    the box; by the Fourier transform it takes a few milliseconds.

    Args:
        frame: float (H, W), levels in [0, 1].
        box: x_min, y_min, x_max, y_max in pixels.
    """

    def __init__(self, frame, box):
        box = np.asarray(box, np.float64)
        self._center, self._size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        self._step = self._size * (1 + _PADDING) / _CELLS  # pixels from cell to cell, x and y
        place = np.arange(_CELLS) - _CELLS // 2
        deviation = _TARGET * _CELLS / (1 + _PADDING)
        wanted = np.exp(-0.5 * (place / deviation) ** 2)
        self._wanted = fft.rfft2(fft.ifftshift(np.outer(wanted, wanted)))
        taper = np.hanning(_CELLS + 2)[1:-1]
        self._taper = np.outer(taper, taper)
        self._template = self._alpha = None
        self._learn(frame, 1.0)

    @property
    def box(self):
        """Where the box is, float64 (4,)."""
        return np.concatenate([self._center - self._size / 2, self._center + self._size / 2])

    def update(self, frame):
        """Find the box in the next frame, and learn what it looks like there.

        Returns:
            How sure that is: the highest response, about 1 where nothing has changed, near 0 where nothing is alike.
        """
        seen = fft.rfft2(self._window(frame))
        response = fft.irfft2(self._alpha * fft.rfft2(self._kernel(seen, self._template)), (_CELLS, _CELLS))
        row, column = np.unravel_index(response.argmax(), response.shape)
        peak = float(response[row, column])
        shift = [_between(response[:, column], row), _between(response[row], column)]
        self._center = self._center + np.array(shift[::-1]) * self._step
        self._learn(frame, _FORGETTING)
        return peak

    def _learn(self, frame, weight):
        seen = fft.rfft2(self._window(frame))
        alpha = self._wanted / (fft.rfft2(self._kernel(seen, seen)) + _REGULARIZATION)
        if self._template is None:
            self._template, self._alpha = seen, alpha
        else:
            self._template = (1 - weight) * self._template + weight * seen
            self._alpha = (1 - weight) * self._alpha + weight * alpha

    def _window(self, frame):
        place = np.arange(_CELLS) - _CELLS // 2
        columns, rows = (self._center[axis] - 0.5 + self._step[axis] * place for axis in (0, 1))
        # Smoothed as far as it is made smaller, so that fine texture does not flicker.
        image = ndimage.gaussian_filter(frame, 0.5 * np.maximum(self._step[::-1] - 1, 0))
        values = ndimage.map_coordinates(image, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
        down, right = (ndimage.sobel(values, axis, mode="nearest") for axis in (0, 1))
        energy = ndimage.gaussian_filter(down**2 + right**2, _NEIGHBORHOOD)
        slopes = np.stack([down, -down, right, -right]).clip(0) / np.sqrt(energy + _FLAT)
        return slopes * self._taper

    @staticmethod
    def _kernel(first, second):
        """Gaussian kernel of one window with all shifts of another, both as their Fourier transforms."""
        count = _CELLS**2
        products = fft.irfft2(np.sum(first * np.conj(second), axis=0), (_CELLS, _CELLS))
        # Of half a spectrum, all but the first and last column stand for two.
        double = np.full(first.shape[-1], 2.0)
        double[[0, -1]] = 1.0
        energy = sum(float(np.sum(double * np.abs(part) ** 2)) / count for part in (first, second))
        return np.exp(-np.maximum(energy - 2 * products, 0) / (_KERNEL**2 * count * len(first)))


def _between(values, index):
    """Where the peak of three neighboring values lies, by the parabola through them; cells, negative ones too."""
    low, middle, high = (values[(index + step) % len(values)] for step in (-1, 0, 1))
    curve = low - 2 * middle + high
    place = index + (0.5 * (low - high) / curve if curve < 0 else 0.0)
    return place - len(values) if place > len(values) / 2 else place
