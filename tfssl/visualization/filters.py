"""Filters as one tiled picture."""

import numpy as np
from PIL import Image

from tfssl.visualization.sheet import save_png

_PAPER = 1.0


def filter_sheet(filters, path, *, columns=None, zoom=3, gap=1, stretched=True):
    """Draw filters side by side, each stretched from its own smallest to its largest value.

    Args:
        filters: float array (K, h, w), (K, h, w, 1) or (K, h, w, 3), drawn in this order, row by row.
        path: PNG to write; its folder is made.
        columns: tiles in a row; None: as many as make the sheet about square.
        zoom: pixels that a filter's pixel takes.
        gap: pixels between tiles, before enlarging.
        stretched: False draws values as they are, clipped to [0, 1].

    Returns:
        The sheet, a ``PIL.Image``.

    Raises:
        ValueError: for another shape.
    """
    filters = np.asarray(filters, np.float64)
    if filters.ndim == 4 and filters.shape[-1] == 1:
        filters = filters[..., 0]
    if filters.ndim not in (3, 4) or 0 in filters.shape or (filters.ndim == 4 and filters.shape[-1] != 3):
        raise ValueError(f"`filters` must be an array (K, h, w) or (K, h, w, 3). Received: shape={filters.shape}")
    count, height, width = filters.shape[:3]
    columns = min(count, columns or int(np.ceil(np.sqrt(count))))
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, *filters.shape[3:]), _PAPER)
    for number, tile in enumerate(filters):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = stretch(tile) if stretched else np.clip(tile, 0.0, 1.0)
    image = Image.fromarray(np.rint(sheet * 255.0).astype(np.uint8))
    image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    save_png(image, path)
    return image


def stretch(values, like=None):
    """Bring values linearly to [0, 1], from their own range or that of ``like``; constants become 1/2."""
    low, high = (float(f(values if like is None else like)) for f in (np.min, np.max))
    if high <= low:
        return np.full(np.shape(values), 0.5)
    return np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0)
