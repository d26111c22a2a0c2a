"""Histograms of oriented gradients in the form of Felzenszwalb et al.: 31 numbers a cell."""

import numpy as np

from tfssl.ops.arguments import check_shapes

CHANNELS = 31
"""18 signed orientations, 9 unsigned ones, 4 texture energies."""

_ORIENTATIONS = 9  # unsigned, over 180 degrees
_TRUNCATED = 0.2
_EPSILON = 1e-4
_UNSIGNED, _ENERGY = 0.5, 0.2357  # weights of the sums over the four normalizations


def felzenszwalb_hog(image, cell=8):
    """Histograms of oriented gradients of an image's cells, without the border cells, whose norms lack a side.

    The gradient of the strongest channel is snapped to one of 18 signed orientations and shared bilinearly by the four
    nearest cells. Each cell is normalized by the energy of the four blocks of 2 x 2 cells that hold it, truncated at
    0.2 and summed over these: orientations 0 to 17 are signed (0 is a gradient to the right, counted clockwise on the
    screen, in steps of 20 degrees), 18 to 26 unsigned, 27 to 30 the energies by block.

    Args:
        image: uint8 or float array (H, W, C) of levels in [0, 255].
        cell: side of a cell in pixels (paper: 8).

    Returns:
        float32 (H // cell - 2, W // cell - 2, 31), each number in [0, 0.8485]; an axis of too few cells has length 0.

    Reference:
        Felzenszwalb, Girshick, McAllester and Ramanan: Object Detection with Discriminatively Trained Part-Based
        Models. PAMI 2010, section 6.
    """
    check_shapes(image=(image, "H W C"))
    rows, columns = image.shape[0] // cell, image.shape[1] // cell
    if min(rows, columns) < 3:
        return np.zeros((max(rows - 2, 0), max(columns - 2, 0), CHANNELS), np.float32)
    signed = _histograms(np.asarray(image[: rows * cell, : columns * cell], np.float32), cell)
    unsigned = signed[..., :_ORIENTATIONS] + signed[..., _ORIENTATIONS:]
    energy = np.square(unsigned).sum(axis=-1)
    blocks = energy[:-1, :-1] + energy[:-1, 1:] + energy[1:, :-1] + energy[1:, 1:]
    scale = 1 / np.sqrt(blocks + _EPSILON)
    scales = np.stack([scale[1:, 1:], scale[:-1, 1:], scale[1:, :-1], scale[:-1, :-1]])[..., None]
    signed, unsigned = signed[1:-1, 1:-1], unsigned[1:-1, 1:-1]
    truncated = np.minimum(signed * scales, _TRUNCATED)
    parts = (
        _UNSIGNED * truncated.sum(axis=0),
        _UNSIGNED * np.minimum(unsigned * scales, _TRUNCATED).sum(axis=0),
        _ENERGY * np.moveaxis(truncated.sum(axis=-1), 0, -1),
    )
    return np.concatenate(parts, axis=-1).astype(np.float32, copy=False)


def _histograms(pixels, cell):
    """Magnitudes by signed orientation of all cells, float32 (rows, columns, 18)."""
    dy, dx = np.zeros_like(pixels), np.zeros_like(pixels)
    dy[1:-1], dx[:, 1:-1] = pixels[2:] - pixels[:-2], pixels[:, 2:] - pixels[:, :-2]
    dy[:, [0, -1]], dx[[0, -1]] = 0, 0  # the outermost pixels have no gradient in both axes and do not vote
    strongest = np.argmax(dx * dx + dy * dy, axis=-1)[..., None]
    dy, dx = (np.take_along_axis(part, strongest, axis=-1)[..., 0] for part in (dy, dx))
    turns = np.arctan2(dy, dx) * (_ORIENTATIONS / np.pi)
    orientation = np.floor(turns + 0.5).astype(np.int64) % (2 * _ORIENTATIONS)  # np.round rounds halves both ways
    magnitude = np.hypot(dx, dy)

    rows, columns = pixels.shape[0] // cell, pixels.shape[1] // cell
    (y, y_weights), (x, x_weights) = _shared(pixels.shape[0], cell), _shared(pixels.shape[1], cell)
    votes = np.zeros((rows + 2) * (columns + 2) * 2 * _ORIENTATIONS)
    for down in (0, 1):
        for right in (0, 1):
            place = ((y + down)[:, None] * (columns + 2) + x + right) * 2 * _ORIENTATIONS + orientation
            weights = magnitude * (y_weights[down][:, None] * x_weights[right])
            votes += np.bincount(place.ravel(), weights.ravel(), votes.size)
    return votes.reshape(rows + 2, columns + 2, -1)[1:-1, 1:-1].astype(np.float32)


def _shared(length, cell):
    """The two cells that each pixel votes for, and its weights: (first + 1, (weights of the first, of the second))."""
    position = (np.arange(length) + 0.5) / cell - 0.5
    first = np.floor(position).astype(np.int64)
    return first + 1, (first + 1 - position, position - first)


def gradient_energy(image, cell=8):
    """Mean squared gradient of the pixels of each cell of :func:`felzenszwalb_hog`, float32 (rows, columns).

    The squares of the central differences in both axes, averaged over the channels, in levels of 0 to 255.
    """
    check_shapes(image=(image, "H W C"))
    rows, columns = image.shape[0] // cell, image.shape[1] // cell
    if min(rows, columns) < 3:
        return np.zeros((max(rows - 2, 0), max(columns - 2, 0)), np.float32)
    dy, dx = np.gradient(np.asarray(image[: rows * cell, : columns * cell], np.float32), axis=(0, 1))
    energy = (dy * dy + dx * dx).mean(axis=-1)
    return energy.reshape(rows, cell, columns, cell).mean(axis=(1, 3))[1:-1, 1:-1]
