"""Images for a detector: scaled, with their objects and proposals; and the maps of a frozen trunk, kept on disk."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tfssl.errors import ModelError, SourceError
from tfssl.evaluation.detection.proposals import propose
from tfssl.ops.boxes import area, clip

PIXEL_MEAN = (122.7717, 115.9465, 102.9801)  # R, G, B of 255 that pads smaller images, as in Fast R-CNN
_THREADS = 2


def scaled_size(size, short_size, long_size):
    """(width, height) whose shorter one is ``short_size``, but the longer one at most ``long_size``."""
    scale = min(short_size / min(size), long_size / max(size))
    return tuple(max(1, round(extent * scale)) for extent in size)


def scaled_images(source, *, short_size, long_size, proposals, cache, skipped, progress):
    """Read all images of a :class:`tfssl.data.voc.BoxedImages` once: sizes, objects, proposals.

    Images are scaled by :func:`scaled_size`; ``proposals`` and ``cache`` are as
    :func:`tfssl.evaluation.detection.proposals.propose` takes them. Returns :class:`ScaledImages` of those that can be
    read; the others are added to ``skipped``. ``progress()`` is called after each image.
    """

    def read(index):
        try:
            example = source.example(index)
        except (ValueError, OSError) as error:
            return str(error)
        image = example["image"]
        size = scaled_size(image.size, short_size, long_size)
        ratio = np.tile(np.divide(size, image.size), 2).astype(np.float32)
        # Windows depend on nothing but the size; regions are searched in the image as it came.
        proposed = clip(propose(image, proposals, cache) * ratio, *size).astype(np.float32)
        boxes = clip(example["boxes"] * ratio, *size).astype(np.float32)
        inside = area(boxes) > 0  # an annotation may lie beyond the image
        kept = {"boxes": boxes[inside]} | {field: example[field][inside] for field in ("label", "difficult")}
        found = {"index": index, "name": source.name(index), "size": size, "proposals": proposed[area(proposed) > 0]}
        return found | kept

    found = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for index, result in enumerate(pool.map(read, range(len(source)))):
            if isinstance(result, dict):
                found.append(result)
            else:
                skipped.add(source.name(index), result)
            progress()
    if not found:
        raise SourceError(f"`data`: no image of split {source.split!r} of {source.root!r} can be read")
    return ScaledImages(source, found)


class ScaledImages:
    """The input of a detector whose trunk is trained too: the images themselves, decoded each time.

    Args:
        examples: list of dicts, all boxes in pixels of the scaled image: ``index`` in the source, ``name``, ``size``
            (width, height) after scaling, ``boxes`` float32 (N, 4), ``label`` int32 (N,), ``difficult`` bool (N,) and
            ``proposals`` float32 (M, 4).
    """

    padding = np.array(PIXEL_MEAN, np.float32) / np.float32(255)
    channels = 3

    def __init__(self, source, examples):
        self._source, self.examples = source, examples
        self.canvas = tuple(max(example["size"][axis] for example in examples) for axis in (1, 0))
        """Height and width that every input fits into."""

    def __call__(self, index, mirrored=False):
        """RGB in [0, 1], float32 (H, W, 3), of example ``index``, perhaps mirrored left to right."""
        example = self.examples[index]
        image = self._source.images.example(example["index"])["image"]
        if image.size != example["size"]:
            image = image.resize(example["size"], Image.Resampling.BILINEAR)
        pixels = np.asarray(image, np.float32) / np.float32(255)
        return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


class StoredMaps:
    """The input of a detector whose trunk is frozen: its maps, computed once for each image and its mirror image.

    They lie in one file, float32, row by row, so that memory does not grow with the number of images. ``compute`` is a
    function of an image of :class:`ScaledImages`, (1, H, W, 3), that gives its map, (1, h, w, C).
    """

    padding = -np.inf  # cells that are not there: RoI pooling leaves them out

    def __init__(self, compute, images, file, mirrored, *, progress):
        self._file, self._parts, offset = Path(file), {}, 0
        with open(self._file, "wb") as opened:
            for index, example in enumerate(images.examples):
                for flipped in (False, True)[: 1 + mirrored]:
                    values = np.asarray(compute(images(index, flipped)[None]), np.float32)[0]
                    if not np.isfinite(values).all():
                        raise ModelError(f"the encoder's map of {example['name']!r} holds NaN or infinity")
                    opened.write(np.ascontiguousarray(values))
                    self._parts[index, flipped] = offset, values.shape
                    offset += values.size
                progress()
        self.channels = values.shape[-1]
        self.canvas = tuple(max(shape[axis] for _, shape in self._parts.values()) for axis in (0, 1))

    def __call__(self, index, mirrored=False):
        """float32 (h, w, C)."""
        offset, shape = self._parts[index, mirrored]
        return np.fromfile(self._file, np.float32, int(np.prod(shape)), offset=4 * offset).reshape(shape)
