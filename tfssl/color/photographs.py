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
        index: its place in the source.
        name: what the source calls it.
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
    """Decode one image at its own size, or reduced to ``longest_side`` pixels on its longer side.

    Args:
        source: a :class:`tfssl.data.images.ImageSource`.
        index: place in the source.
        longest_side: in pixels.

    Returns:
        A :class:`Photograph`; one with a ``reason`` if the image cannot be read.
    """
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
    with ThreadPoolExecutor(2) as pool:
        waiting = collections.deque()
        try:
            for index in indices:
                waiting.append(pool.submit(read_photograph, source, index, longest_side))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
