"""Descriptors of patches that learned nothing, to hold the learned embedding against in object discovery."""

import numpy as np

_CELL = 8
_ORIENTATIONS = 9
_MAX_PIXELS_SIDE = 24


def pixel_descriptor(patches):
    """Colors with the mean of the patch removed: the cosine is then the normalized correlation.

    Patches of more than 24 pixels a side are first averaged down to at most that.

    Args:
        patches: uint8 array (N, s, s, 3).

    Returns:
        Unit vectors, float32 array (N, D).
    """
    block = -(-patches.shape[1] // _MAX_PIXELS_SIDE)
    side = patches.shape[1] // block
    cut = patches[:, : side * block, : side * block]
    pixels = cut.reshape(len(patches), side, block, side, block, 3).mean(axis=(2, 4), dtype=np.float32)
    return unit_length(pixels.reshape(len(patches), -1) - pixels.mean(axis=(1, 2, 3))[:, None])


def hog_descriptor(patches):
    """Histograms of oriented gradients: cells of 8 pixels, 9 unsigned orientations, blocks of 2 x 2 cells.

    Cells are smaller where the patch would hold less than 2 x 2. Central differences (0 at the border) of the channel
    with the largest gradient; magnitudes are summed in hard bins; each block is divided by its length, clipped at 0.2
    and divided again ("L2-Hys"). As ``skimage.feature.hog``, for all patches at once.

    Args:
        patches: uint8 array (N, s, s, 3).

    Returns:
        Unit vectors, float32 array (N, (c - 1)^2 * 36) with c = s // 8 cells a side, 2 at least.

    Reference:
        Dalal and Triggs: Histograms of Oriented Gradients for Human Detection. CVPR 2005, section 6.
    """
    cells = _cell_histograms(patches)
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (2, 2), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    blocks = blocks.reshape(*blocks.shape[:3], -1)
    blocks = np.minimum(blocks / np.sqrt(np.sum(np.square(blocks), axis=-1, keepdims=True) + 1e-10), 0.2)
    blocks = blocks / np.sqrt(np.sum(np.square(blocks), axis=-1, keepdims=True) + 1e-10)
    return unit_length(blocks.reshape(len(patches), -1))


def _cell_histograms(patches):
    """Mean gradient magnitude by orientation, float32 (N, c, c, 9)."""
    pixels = patches.astype(np.float32)
    dx, dy = np.zeros_like(pixels), np.zeros_like(pixels)
    dx[:, :, 1:-1] = pixels[:, :, 2:] - pixels[:, :, :-2]
    dy[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    strongest = np.argmax(np.hypot(dx, dy), axis=-1)[..., None]
    dx, dy = (np.take_along_axis(d, strongest, axis=-1)[..., 0] for d in (dx, dy))
    bins = (np.degrees(np.arctan2(dy, dx)) % 180 / (180 / _ORIENTATIONS)).astype(np.int8) % _ORIENTATIONS
    cell = min(_CELL, patches.shape[1] // 2)
    count = patches.shape[1] // cell
    cut = np.s_[:, : count * cell, : count * cell]
    shape = (len(patches), count, cell, count, cell)
    magnitude, bins = np.hypot(dx, dy)[cut].reshape(shape), bins[cut].reshape(shape)
    sums = [np.sum(magnitude, axis=(2, 4), where=bins == b) for b in range(_ORIENTATIONS)]
    return np.stack(sums, axis=-1) / cell**2


def unit_length(vectors):
    """Each row divided by its length, float32; a row of zeros stays zero and so matches nothing."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros(vectors.shape, np.float32), where=length > 0)
