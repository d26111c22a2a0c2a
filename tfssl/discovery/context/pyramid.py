"""An image as cells of gradient histograms at several scales, and the patches of 8 x 8 cells in it."""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.ops.felzenszwalb_hog import felzenszwalb_hog, gradient_energy

CELL = 8
"""Side of a cell in pixels of its level."""

SIDE = 8
"""Side of a patch in cells; with the border that normalizes these it is 80 pixels (official code)."""

LONGEST_SIDE = 256
"""Larger images are first brought to this longest side, in pixels."""

ENERGY = 9.0
"""A cell counts if the gradient energy of it and its eight neighbors sums up to more (official code)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """An image at one scale."""

    scale: tuple[float, float]  # pixels of the level for each pixel of the image, along x and y
    hog: np.ndarray  # float32 (rows, columns, 31)
    textured: np.ndarray  # which cells have enough gradient to count, bool (rows, columns)
    energy: np.ndarray  # mean squared gradient of each cell, float32 (rows, columns)

    @property
    def positions(self):
        """How many places a patch has, (rows, columns)."""
        return tuple(length - SIDE + 1 for length in self.textured.shape)

    def box(self, y, x):
        """Left, top, right, bottom of the 80 x 80 pixels of a patch, in pixels of the image."""
        edges = np.array([x, y, x + SIDE + 2, y + SIDE + 2]) * CELL
        return tuple((edges / (self.scale * 2)).tolist())

    def windows(self):
        """All patches, row by row, float32 (N, 1984)."""
        cut = np.lib.stride_tricks.sliding_window_view(self.hog, (SIDE, SIDE), axis=(0, 1))
        return cut.transpose(0, 1, 3, 4, 2).reshape(-1, SIDE * SIDE * self.hog.shape[-1])

    def spread(self, cells, size):
        """A map of the cells, float (rows, columns) in [0, 1], over an image of ``size`` (width, height): uint8.

        Pixels outside the cells take the value of the nearest.
        """
        padded = np.pad(np.round(255 * cells).astype(np.uint8), 1, mode="edge")
        covered = [max(1, round(length * CELL / s)) for length, s in zip(padded.shape[::-1], self.scale, strict=True)]
        enlarged = np.asarray(Image.fromarray(padded).resize(covered, Image.Resampling.BILINEAR))
        missing = [(0, max(0, wanted - length)) for wanted, length in zip(size[::-1], enlarged.shape, strict=True)]
        return np.pad(enlarged, missing, mode="edge")[: size[1], : size[0]]


@dataclasses.dataclass(frozen=True)
class Patch:
    """Where a patch lies: in which image of a list of pyramids, at which level, and its first cell."""

    image: int
    level: int
    y: int
    x: int


def working_size(size):
    """(width, height) of an image that is searched: at most :data:`LONGEST_SIDE` long."""
    zoom = min(1.0, LONGEST_SIDE / max(size))
    return tuple(max(1, round(length * zoom)) for length in size)


def pyramid(image, levels):
    """Cells of an image at several scales: twice its size first, ``levels`` to an octave, down to one patch.

    Args:
        image: ``PIL.Image`` in RGB.
        levels: levels of an octave (paper: 8).

    Returns:
        A tuple of :class:`Level`, the largest first.

    Raises:
        ValueError: if not even at twice its size a patch fits in.
    """
    found = []
    side = (SIDE + 2) * CELL
    while min(_level_size(image.size, levels, len(found))) >= side:
        size = _level_size(image.size, levels, len(found))
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        energy = gradient_energy(pixels, CELL)
        padded = np.pad(energy, 1)
        around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).sum(axis=(2, 3))
        scale = (size[0] / image.size[0], size[1] / image.size[1])
        found.append(Level(scale, felzenszwalb_hog(pixels, CELL), around > ENERGY, energy))
    if not found:
        raise ValueError(f"{image.width}x{image.height} pixels; context needs at least {side // 2} on each side")
    return tuple(found)


def _level_size(size, levels, number):
    return tuple(round(length * 2 * 2 ** (-number / levels)) for length in size)
