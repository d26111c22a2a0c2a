"""Filling a hole with the same part of another image: the one whose visible surroundings look most alike."""

import numpy as np

CELLS = 8
"""Cells along a side of an image in which it is described."""


def hog_cells(images):
    """Histograms of oriented gradients of uint8 (N, S, S, 3), S at least 16 (Dalal and Triggs, 2005; scikit-image).

    Each cell by itself, so that none looks into its neighbor: float32 (N, c, c, 9), of length 1 or zero, c =
    :data:`CELLS` or a little more.
    """
    from skimage.feature import hog

    cell = (images.shape[1] // CELLS,) * 2
    options = {"orientations": 9, "pixels_per_cell": cell, "cells_per_block": (1, 1)}
    found = [hog(image, **options, feature_vector=False, channel_axis=-1)[:, :, 0, 0] for image in images]
    return np.stack(found).astype(np.float32)


def feature_cells(encoder, images, batch_size=32):
    """The maps ``"conv5"`` that an encoder makes of float32 (N, S, S, 3) in [0, 1], averaged to cells.

    float32 (N, c, c, channels), of length 1 or zero, c at most :data:`CELLS`.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        maps = np.asarray(encoder(images[start : start + batch_size], training=False)["conv5"], np.float32)
        parts.append(_average(maps))
    cells = np.concatenate(parts)
    length = np.linalg.norm(cells, axis=-1, keepdims=True)
    return np.divide(cells, length, out=np.zeros_like(cells), where=length > 0)


def _average(maps):
    for axis in (1, 2):
        edges = _edges(maps.shape[axis], min(CELLS, maps.shape[axis]))
        means = [np.mean(np.take(maps, range(a, b), axis=axis), axis=axis) for a, b in edges]
        maps = np.stack(means, axis=axis)
    return maps


def visible_cells(dropped, cells):
    """Which cells lie outside of holes (N, S, S), and at least a pixel from them: bool (N, cells, cells)."""
    size = dropped.shape[1]
    grown = [slice(max(a - 1, 0), min(b + 1, size)) for a, b in _edges(size, cells)]
    free = np.array([[~dropped[:, rows, columns].any(axis=(1, 2)) for columns in grown] for rows in grown])
    return free.transpose(2, 0, 1)


def _edges(length, count):
    marks = np.arange(count + 1) * length // count
    return list(zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True))


def nearest(queries, visible, bank, excluded=None):
    """Number in the bank (M, c, c, d) of the image that differs least from each query (N, c, c, d) where it is visible.

    ``visible``: bool (N, c, c); where nothing is, any image will do. ``excluded``: int (N,), which image of the bank a
    query is itself.
    """
    weights = visible.reshape(len(visible), -1).astype(np.float32)
    flat = (queries * visible[..., None]).reshape(len(queries), -1)
    # |q - b|^2 without |q|^2, which is the same for the whole bank.
    sizes = np.sum(np.square(bank), axis=-1).reshape(len(bank), -1)
    distances = weights @ sizes.T - 2.0 * (flat @ bank.reshape(len(bank), -1).T)
    if excluded is not None:
        distances[np.arange(len(queries)), excluded] = np.inf
    return distances.argmin(axis=1)
