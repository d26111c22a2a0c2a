"""What a colorizer makes of simple inputs: changed lightness, a gray color chart, places of one lightness.

Zhang, Isola and Efros (ECCV 2016, supplement) ask so whether their network uses more than low-level cues.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageFilter

from tfssl.color.photographs import Photograph

CHECKER = np.array([
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170),
    (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46),
    (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161),
    (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52),
], np.uint8)  # fmt: skip
"""The 24 patches of the Macbeth ColorChecker in sRGB, row by row (X-Rite's nominal values)."""

CELLS = 8
"""Rows and columns of cells of an image among which places of one lightness are looked for."""

LEAST_DIFFERENCE = 20.0
"""Distance in ab between the true mean colors of two cells from which on they make a pair."""

_PATCH, _GAP = 48, 8  # pixels of the chart


def checker():
    """The color chart as a :class:`~tfssl.color.photographs.Photograph`: four rows of six patches on black."""
    from skimage.color import rgb2lab

    step = _PATCH + _GAP
    rgb = np.full((4 * step + _GAP, 6 * step + _GAP, 3), 20, np.uint8)
    for i, color in enumerate(CHECKER):
        top, left = _GAP + i // 6 * step, _GAP + i % 6 * step
        rgb[top : top + _PATCH, left : left + _PATCH] = color
    return Photograph(0, "color checker", rgb, rgb2lab(rgb))


def perturbed(photograph):
    """The photograph in gray with another lightness: ``{name: Photograph}``.

    ``lighter`` and ``darker`` by 20 % of white, ``contrast`` halved about the mean, ``blurred`` by a Gaussian with a
    deviation of 2 % of the shorter side.
    """
    from skimage.color import rgb2lab

    gray = Image.fromarray(photograph.rgb).convert("L")
    levels = np.asarray(gray, np.float32)
    changed = {
        "lighter": levels + 51,
        "darker": levels - 51,
        "contrast": levels.mean() + 0.5 * (levels - levels.mean()),
        "blurred": np.asarray(gray.filter(ImageFilter.GaussianBlur(0.02 * min(gray.size))), np.float32),
    }
    found = {}
    for name, values in changed.items():
        rgb = np.repeat(np.rint(np.clip(values, 0, 255)).astype(np.uint8)[..., None], 3, axis=-1)
        found[name] = dataclasses.replace(photograph, rgb=rgb, lab=rgb2lab(rgb))
    return found


class IsoluminantPairs:
    """Places of the same lightness and different true colors: does a predictor tell them apart?

    Cells of all images, with their mean true L, mean true ab and mean predicted ab, are ordered by L; neighbors in this
    order whose true ab lie at least :data:`LEAST_DIFFERENCE` apart are pairs.
    """

    def __init__(self):
        self._places, self._lightness, self._true, self._predicted = [], [], [], {}

    def add(self, image, lab, fields):
        """Add an image: its number, Lab (H, W, 3), predicted ab ``{prefix: (H, W, 2)}``; none under 8 pixels a side."""
        if min(lab.shape[:2]) < CELLS:
            return
        true = _cells(lab)
        self._places.extend((image, *divmod(cell, CELLS)) for cell in range(CELLS * CELLS))
        self._lightness.extend(true[:, 0])
        self._true.extend(true[:, 1:])
        for prefix, ab in fields.items():
            self._predicted.setdefault(prefix, []).extend(_cells(ab))

    def result(self):
        """``({prefix: fraction}, number of pairs)``: how much of the true differences is predicted, by least squares.

        ``sum <d', d> / sum <d, d>`` of predicted and true differences d', d of ab: 1 is perfect, 0 a function of the
        lightness alone; NaN without pairs.
        """
        order, true = self._differences()
        pairs = np.hypot(*true.T) >= LEAST_DIFFERENCE
        whole = np.sum(np.square(true[pairs]))
        found = {}
        for prefix, cells in self._predicted.items():
            differences = np.diff(np.array(cells)[order], axis=0)
            found[prefix] = float(np.sum(differences[pairs] * true[pairs]) / whole) if whole else float("nan")
        return found, int(pairs.sum())

    def widest(self, count):
        """The ``count`` pairs whose true colors differ most, no image twice: ``[((image, row, column), ...), ...]``."""
        order, true = self._differences()
        distance, chosen, taken = np.hypot(*true.T), [], set()
        for i in np.argsort(-distance, kind="stable").tolist():
            pair = self._places[order[i]], self._places[order[i + 1]]
            images = {place[0] for place in pair}
            if len(chosen) < count and distance[i] >= LEAST_DIFFERENCE and len(images) == 2 and not images & taken:
                chosen.append(pair)
                taken |= images
        return chosen

    def _differences(self):
        """Order of the cells by lightness, and the true differences between neighbors in it."""
        order = np.argsort(self._lightness, kind="stable")
        return order, np.diff(np.array(self._true).reshape(-1, 2)[order], axis=0)


def cell(values, row, column):
    """The cell of an array (H, W, C) in this row and column of :data:`CELLS`."""
    (top, bottom), (left, right) = (
        np.linspace(0, n, CELLS + 1).astype(int)[i : i + 2] for n, i in zip(values.shape, (row, column), strict=False)
    )
    return values[top:bottom, left:right]


def _cells(values):
    """Means over 8 x 8 cells: (H, W, C) -> (64, C)."""
    rows = np.linspace(0, values.shape[0], CELLS + 1).astype(int)[:-1]
    columns = np.linspace(0, values.shape[1], CELLS + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    sizes = np.diff([*rows, values.shape[0]])[:, None] * np.diff([*columns, values.shape[1]])
    return (sums / sizes[..., None]).reshape(-1, values.shape[-1])
