"""Colors that hold still: what a network predicts frame by frame, averaged over the neighboring frames of a shot.

A network that sees one frame at a time wavers between plausible colors. Each cell of its grid becomes the mean of the
same cell in nearby frames, weighted by nearness in time and by likeness in lightness (a bilateral filter over time):
what moves away takes its color along, what stays keeps one. No mean reaches over a cut.

References:
    Bennett and McMillan, Video Enhancement Using Per-Pixel Virtual Exposures, SIGGRAPH 2005 (bilateral filter over
    time). Tomasi and Manduchi, Bilateral Filtering for Gray and Color Images, ICCV 1998.
"""

import numpy as np

from tfssl.data.cuts import find_cuts
from tfssl.ops.arguments import check_shapes

RADIUS = 8
"""Frames on either side that a mean reaches to; what is farther away is never looked at."""

# Chosen on 24 clips of people and things, benchmarks/film.py measures on others.
_FRAMES = 6.0  # standard deviation in time
_LIGHTNESS = 8.0  # standard deviation in L; from 16 on colors of what has passed stay behind


def cell_lightness(lightness, stride):
    """Mean L around each cell of the network's grid, cell (i, j) at pixel (stride i, stride j).

    float (n, H, W) in [0, 100] -> float32 (n, ceil(H / stride), ceil(W / stride)).
    """
    check_shapes(lightness=(lightness, "n H W"))
    before, rows, columns = stride // 2, -(-lightness.shape[1] // stride), -(-lightness.shape[2] // stride)
    after = (rows * stride - lightness.shape[1], columns * stride - lightness.shape[2])
    padded = np.pad(lightness, ((0, 0), *((before, max(0, more)) for more in after)), mode="edge")
    blocks = padded[:, : rows * stride, : columns * stride].reshape(-1, rows, stride, columns, stride)
    return blocks.mean((2, 4), dtype=np.float32)


def steady(cells, lightness):
    """Average the colors of successive frames over time.

    ::

        w(t, s) = exp(-(s - t)^2 / (2 * 6^2)) exp(-(L'(s) - L'(t))^2 / (2 * 8^2)),   |s - t| <= 8, s in the shot of t

    with L' the lightness of the cell less the mean of its frame, which in old films pulses. The first and last
    :data:`RADIUS` frames of what is given lack neighbors that they may have in the film.

    Args:
        cells: float (n, h, w, 2), ab of ``n`` successive frames.
        lightness: float (n, h, w), from :func:`cell_lightness`.

    Returns:
        float32 (n, h, w, 2).
    """
    check_shapes(cells=(cells, "n h w 2"), lightness=(lightness, "n h w"))
    count = len(cells)
    shots = np.cumsum(find_cuts(lightness))
    lightness = lightness - lightness.mean((1, 2), keepdims=True)
    sums = np.array(cells, np.float32)
    weights = np.ones(cells.shape[:3], np.float32)
    for distance in range(1, min(RADIUS, count - 1) + 1):
        near, far = slice(0, count - distance), slice(distance, count)
        weight = np.exp(-0.5 * ((lightness[far] - lightness[near]) / _LIGHTNESS) ** 2 - 0.5 * (distance / _FRAMES) ** 2)
        weight *= (shots[far] == shots[near])[:, None, None]
        for here, there in ((near, far), (far, near)):
            sums[here] += weight[..., None] * cells[there]
            weights[here] += weight
    return sums / weights[..., None]
