"""Photographs that are stored turned (EXIF orientation), and what was annotated beside them: which way does it lie?

Images are read upright. An annotation was made on the pixels as they are stored, or on the upright image; which of the
two, only its size tells.
"""

import contextlib
import os

import numpy as np
from PIL import ExifTags, ImageOps

from tfssl.data.decode import open_image

# What makes the stored pixels upright: swap x and y, then mirror left to right, then top to bottom.
_TURNS = {
    **{1: (False, False, False), 2: (False, True, False), 3: (False, True, True), 4: (False, False, True)},
    **{5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True)},
}
_FIX = "save the image upright, without the tag, and its annotation to match"


def read_layout(path):
    """``((width, height) as stored, EXIF orientation 1..8)`` of an image file, without decoding it.

    ValueError with the reason if it cannot be opened. Orientations that do not exist count as 1.
    """
    with open_image(path) as image:
        orientation = _orientation(image)
        turned = image.format == "TIFF" and orientation > 4  # Pillow gives the upright size of these
        return image.size[::-1] if turned else image.size, orientation


def _orientation(image):
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block says nothing
        return 1
    return found if found in _TURNS else 1


def annotation_turn(path, size, what):
    """The orientation that an annotation of an image still has to be turned by, see :func:`turn`; 1 if it fits.

    Args:
        path: the image file.
        size: (width, height) that the annotation is made for; None where it does not say.
        what: the annotation, for messages.

    Raises:
        ValueError: if its size is neither the stored nor the upright one; or the image is stored turned and the size
            does not tell the two apart, as of squares and of images that are upside down or mirrored.
    """
    stored, orientation = read_layout(path)
    upright = stored[::-1] if _TURNS[orientation][0] else stored
    if size is not None and tuple(size) not in (stored, upright):
        raise ValueError(f"sizes differ: image is {_shown(upright)}, {what} is {_shown(size)}")
    if orientation == 1:
        return 1
    if size is None or stored == upright:
        without = "has no size" if size is None else f"is {_shown(size)} either way"
        raise ValueError(
            f"the image is stored turned (EXIF orientation {orientation}), and its {what} {without}: nothing tells "
            f"whether it is turned too; {_FIX}"
        )
    return orientation if tuple(size) == stored else 1


def _shown(size):
    return "{}x{}".format(*size)


def turn(values, orientation, *, vectors=False):
    """Turn a map (H, W, ...) of stored pixels upright; with ``vectors`` its directions (x right, y down, ...) too."""
    swap, mirror, flip = _TURNS[orientation]
    if swap:
        values = values.swapaxes(0, 1)
    values = values[:: -1 if flip else 1, :: -1 if mirror else 1]
    if vectors and orientation != 1:
        x, y = values[..., 0], values[..., 1]
        x, y = (y, x) if swap else (x, y)
        values = np.stack([-x if mirror else x, -y if flip else y, *np.moveaxis(values[..., 2:], -1, 0)], axis=-1)
    return np.ascontiguousarray(values)


def turn_boxes(boxes, orientation, size):
    """Turn boxes (N, 4), ``x_min, y_min, x_max, y_max`` in stored pixels, upright; ``size`` is the stored one."""
    swap, mirror, flip = _TURNS[orientation]
    width, height = size[::-1] if swap else size
    boxes = boxes[:, [1, 0, 3, 2]] if swap else boxes.copy()
    if mirror:
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    if flip:
        boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    return boxes


def upright(image):
    """An open ``PIL.Image`` of a map, turned as its own tag says."""
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing
        return ImageOps.exif_transpose(image)
    return image


def check_unturned(path, why):
    """Refuse an image that is stored turned where that cannot be made good: ValueError; ``why`` ends its message."""
    _, orientation = read_layout(path)
    if orientation != 1:
        raise ValueError(
            f"{os.path.basename(path)!r} is stored turned (EXIF orientation {orientation}), but {why}; {_FIX}"
        )
