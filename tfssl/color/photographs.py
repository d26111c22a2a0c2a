"""True images to compare predictions with: decoded ahead in threads, bounded in size, with their Lab values."""

import collections
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

LONGEST_SIDE = 512
"""Images with a longer side are first reduced to it (pixels)."""

_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A decoded image.

    Args:
        index, name: its number in the source, and what the source calls it.
        rgb: uint8 array (H, W, 3), sRGB.
        lab: float64 array (H, W, 3), Lab.
        reason: why it could not be read; rgb and lab are then None.
    """

    index: int
    name: str
    rgb: np.ndarray | None = None
    lab: np.ndarray | None = None
    reason: str | None = None


def read_photograph(source, index, longest_side=LONGEST_SIDE):
    """The :class:`Photograph` ``index`` of an image source, at most ``longest_side`` pixels a side."""
    from skimage.color import rgb2lab

    name = source.name(index)
    try:
        image = source.example(index)["image"]
    except (ValueError, OSError) as error:
        return Photograph(index, name, reason=str(error))
    image.thumbnail((longest_side, longest_side), Image.Resampling.BICUBIC, reducing_gap=None)
    rgb = np.asarray(image)
    return Photograph(index, name, rgb, rgb2lab(rgb))


def read_photographs(source, indices, longest_side=LONGEST_SIDE):
    """Iterate over :func:`read_photograph` of ``indices``, in order, a few images ahead of the caller."""
    return map_ahead(lambda index: read_photograph(source, index, longest_side), indices)


def map_ahead(function, items):
    """``map`` in two threads that stay a few items ahead of the caller, unlike ``Executor.map``, which queues all."""
    with ThreadPoolExecutor(2) as pool:
        waiting = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
