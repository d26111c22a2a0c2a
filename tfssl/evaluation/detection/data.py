"""Pictures for a detector: scaled, with their objects and proposals; and the maps of a frozen trunk, kept on disk."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.data.images import decode_image
from tfssl.errors import ModelError, SourceError
from tfssl.evaluation.detection.proposals import propose
from tfssl.ops.boxes import area, clip, mirror

PIXEL_MEAN = (122.7717, 115.9465, 102.9801)
"""R, G, B that pads the smaller picture of a pair, in [0, 255]: Fast R-CNN's pixel means."""

_THREADS = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A picture as the detector sees it; all boxes are in pixels of the scaled picture.

    Args:
        path: of the file.
        size: (width, height) after scaling.
        boxes: float32 (N, 4), true objects.
        labels: int32 (N,), their classes.
        difficult: bool (N,).
        proposals: float32 (M, 4).
    """

    path: str
    size: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    proposals: np.ndarray

    def pixels(self, mirrored=False):
        """The scaled picture, RGB in [0, 1], float32 (H, W, 3), perhaps mirrored left to right."""
        image = _scaled(decode_image(self.path), self.size)
        pixels = np.asarray(image, np.float32) / np.float32(255)
        return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels

    def mirror(self):
        """The same boxes in the mirrored picture."""
        boxes, proposals = (mirror(b, self.size[0]) for b in (self.boxes, self.proposals))
        return dataclasses.replace(self, boxes=boxes, proposals=proposals)


def scaled_size(size, short_side, long_side):
    """The size of a scaled picture: its shorter side ``short_side``, but its longer one at most ``long_side``.

    Args:
        size: (width, height) in pixels.
        short_side: in pixels (paper: 600).
        long_side: in pixels (paper: 1000).

    Returns:
        (width, height), ints, the aspect ratio kept up to rounding.
    """
    scale = min(short_side / min(size), long_side / max(size))
    return tuple(max(1, round(side * scale)) for side in size)


def examples(boxed, *, short_side, long_side, source, cache=None, skipped=None, progress=None):
    """Read all pictures of a split once: sizes, objects, proposals.

    Args:
        boxed: :class:`tfssl.data.voc.BoxedSet`.
        short_side, long_side: see :func:`scaled_size`.
        source, cache: see :func:`tfssl.evaluation.detection.proposals.propose`.
        skipped: :class:`tfssl.data.pipeline.Skipped` that collects unreadable pictures.
        progress: called with the number of pictures done.

    Returns:
        list of :class:`Example`, without the unreadable ones.

    Raises:
        SourceError: if no picture can be read.
    """

    def read(picture):
        try:
            image = decode_image(picture.path)
        except (ValueError, OSError) as error:
            return picture.path, str(error)
        size = scaled_size(image.size, short_side, long_side)
        ratio = np.tile(np.divide(size, image.size), 2).astype(np.float32)
        # Windows depend on nothing but the size; regions are searched in the picture as it came.
        proposals = clip(propose(image, source, cache) * ratio, *size).astype(np.float32)
        boxes = clip(picture.boxes * ratio, *size).astype(np.float32)
        inside = area(boxes) > 0  # an annotation may lie beyond the picture
        kept = boxes[inside], picture.labels[inside], picture.difficult[inside]
        return Example(picture.path, size, *kept, proposals[area(proposals) > 0])

    found = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, result in enumerate(pool.map(read, boxed.pictures), start=1):
            if isinstance(result, Example):
                found.append(result)
            elif skipped is not None:
                skipped.add(*result)
            if progress is not None:
                progress(number)
    if not found:
        raise SourceError(f"`data`: no picture of split {boxed.split!r} of {boxed.root!r} can be read")
    return found


class Pictures:
    """The input of a detector whose trunk is trained too: the pictures themselves, decoded each time."""

    padding = np.array(PIXEL_MEAN, np.float32) / np.float32(255)
    """What fills the place beside the smaller picture of a batch."""

    channels = 3

    def __init__(self, found):
        self._examples = found

    def __call__(self, index, mirrored=False):
        """float32 (H, W, 3) in [0, 1]."""
        return self._examples[index].pixels(mirrored)


class StoredMaps:
    """The input of a detector whose trunk is frozen: its maps, computed once for each picture and its mirror image.

    They lie in one file, float32, row by row, so that memory does not grow with the number of pictures.

    Args:
        compute: function of a picture, float32 (1, H, W, 3) in [0, 1], that gives its map, (1, h, w, C).
        found: list of :class:`Example`.
        file: to write.
        mirrored: also store the maps of the mirrored pictures.
        progress: called without arguments after each picture.

    Raises:
        ModelError: if a map holds NaN or infinity.
    """

    padding = -np.inf  # cells that are not there: RoI pooling leaves them out

    def __init__(self, compute, found, file, *, mirrored, progress=None):
        self._file, self._places, offset = Path(file), {}, 0
        with open(self._file, "wb") as opened:
            for index, example in enumerate(found):
                for flipped in (False, True)[: 1 + mirrored]:
                    values = np.asarray(compute(example.pixels(flipped)[None]), np.float32)[0]
                    if not np.isfinite(values).all():
                        raise ModelError(f"the encoder's map of {example.path!r} holds NaN or infinity")
                    opened.write(np.ascontiguousarray(values))
                    self._places[index, flipped] = offset, values.shape
                    offset += values.size
                if progress is not None:
                    progress()
        self.channels = values.shape[-1]

    def __call__(self, index, mirrored=False):
        """float32 (h, w, C)."""
        offset, shape = self._places[index, mirrored]
        return np.fromfile(self._file, np.float32, int(np.prod(shape)), offset=4 * offset).reshape(shape)


def stack(arrays, padding):
    """Arrays (h, w, C) of different sizes as one float32 (B, H, W, C), padded at the lower and right border."""
    height, width = (max(a.shape[axis] for a in arrays) for axis in (0, 1))
    out = np.empty((len(arrays), height, width, arrays[0].shape[-1]), np.float32)
    out[:] = padding
    for place, array in zip(out, arrays, strict=True):
        place[: array.shape[0], : array.shape[1]] = array
    return out


def _scaled(image, size):
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
