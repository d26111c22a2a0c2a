"""Where objects could be: boxes proposed without knowing any class."""

import hashlib
import itertools
from pathlib import Path

import numpy as np

from tfssl.errors import ConfigError
from tfssl.evaluation.runner import check_choice
from tfssl.files import writing
from tfssl.ops.boxes import area, iou

SOURCES = ("selective_search", "sliding_windows")
"""Selective search (Uijlings et al. 2013), as in Fast R-CNN, needs OpenCV's contributed modules; windows nothing."""

EXTENTS = (0.2, 0.3, 0.45, 0.67, 1.0)  # widths and heights of windows, as fractions of the image's: steps of about 1.5
STEP = 0.3  # largest distance of neighboring windows, as a fraction of their extent
MAX_ASPECT = 3.5  # of windows, unless they span the whole image one way
SEARCH_WIDTH = 500  # pixels that images for selective search are reduced to (R-CNN's code also enlarges to it)
MIN_EXTENT = 0.04  # least extent of boxes of selective search, as a fraction of the image's width (R-CNN: 20 of 500)


def sliding_windows(width, height):
    """Windows of several sizes and aspects that cover an image of so many pixels evenly: float32 (N, 4), in pixels."""
    columns, rows = ([_starts_and_size(part, extent) for part in EXTENTS] for extent in (width, height))
    boxes = []
    for (xs, w), (ys, h) in itertools.product(columns, rows):
        if max(w / h, h / w) <= MAX_ASPECT or w >= width or h >= height:
            x, y = (grid.ravel() for grid in np.meshgrid(xs, ys))
            boxes.append(np.stack([x, y, x + w, y + h], axis=1))
    boxes = np.concatenate(boxes).astype(np.float32)
    return boxes[area(boxes) > 0]


def selective_search(image):
    """Regions that grow together from segments of even color and texture, in "fast" mode.

    Boxes, float32 (N, 4), in pixels of a ``PIL.Image``, without repetitions, in the order of their coordinates: OpenCV
    ranks them with random numbers that nobody seeds, so that the order means nothing and no part of them is taken.

    Reference:
        J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders: Selective Search for Object Recognition. IJCV 2013.
    """
    search = _search_class()()
    width = min(SEARCH_WIDTH, image.width)
    scaled = image.resize((width, max(1, round(image.height * width / image.width))))
    search.setBaseImage(np.ascontiguousarray(np.asarray(scaled)[..., ::-1]))
    search.switchToSelectiveSearchFast()
    corners = np.asarray(search.process(), np.float32).reshape(-1, 4)  # x, y, width, height
    corners = np.unique(corners[(corners[:, 2:] >= MIN_EXTENT * width).all(axis=1)], axis=0)
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    return (boxes * np.array([image.width / scaled.width, image.height / scaled.height] * 2)).astype(np.float32)


def choose_source(source=None):
    """The one of :data:`SOURCES` that was asked for; of None selective search where OpenCV has it, else windows."""
    if source is None:
        try:
            return choose_source("selective_search")
        except ConfigError:
            return "sliding_windows"
    check_choice(SOURCES, proposals=source)
    if source == "selective_search":
        _search_class()
    return source


def propose(image, source, cache=None):
    """Proposals for a ``PIL.Image`` from one of :data:`SOURCES`: boxes in pixels, float32 (N, 4).

    The folder ``cache`` keeps the boxes of selective search, a file for each image, named after its pixels and the
    constants above, so that another evaluation finds them again; made if missing. None keeps nothing.
    """
    if source == "sliding_windows":
        return sliding_windows(*image.size)
    if cache is None:
        return selective_search(image)
    about = repr((source, SEARCH_WIDTH, MIN_EXTENT, image.size)).encode()
    file = Path(cache).expanduser() / f"{hashlib.sha256(about + image.tobytes()).hexdigest()[:32]}.npy"
    if file.is_file():
        return np.load(file)
    boxes = selective_search(image)
    with writing(file) as opened:  # evaluations that run at the same time share a cache
        np.save(opened, boxes)
    return boxes


def recall(proposals, boxes, threshold=0.5):
    """Fraction of all objects that some proposal covers with an IoU of at least ``threshold``; NaN without objects."""
    found = [iou(b, p).max(axis=1, initial=0.0) >= threshold for p, b in zip(proposals, boxes, strict=True)]
    found = np.concatenate([np.zeros(0, bool), *found])
    return float(found.mean()) if found.size else float("nan")


def _starts_and_size(part, extent):
    size = part * extent
    count = int(np.ceil((extent - size) / (STEP * size) - 1e-9)) + 1
    return np.linspace(0, extent - size, count), size


def _search_class():
    try:
        from cv2 import ximgproc

        return ximgproc.segmentation.createSelectiveSearchSegmentation
    except (ImportError, AttributeError):
        raise ConfigError(
            "proposals='selective_search' needs OpenCV's contributed modules: pip install 'tfssl[detection]', or use "
            "proposals='sliding_windows'"
        ) from None
