"""The images that networks are shown: squares of one size, with classes where folders tell them."""

import dataclasses

import numpy as np

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.images import ImageSource, image_source
from tfssl.data.labeled import folder_labels
from tfssl.errors import SourceError


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Squares of one size.

    Args:
        images: uint8 (N, image_size, image_size, 3), sRGB: the center of each, its shorter side scaled.
        index: the number of each in the source, int (N,).
        source: the :class:`tfssl.data.images.ImageSource` they come from.
        labels: class number of each, int (N,), or None.
        classes: names of the classes.
    """

    images: np.ndarray
    index: np.ndarray
    source: ImageSource
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def __len__(self):
        return len(self.images)

    def shown(self, number, size):
        """An image for the reader's eyes, from its file: uint8 (size, size, 3)."""
        source = self.source.sized(size)
        return Crop(size, resize=size, flip=False).apply(source.example(int(self.index[number]))["image"])


def read_images(data, *, image_size, limit=None, least=2, skipped=None):
    """Read images, spread evenly over a source, so that class folders are met alike.

    Args:
        data: see :func:`tfssl.data.images.image_source`; class folders give labels.
        image_size: height and width in pixels.
        limit: how many to take; None for all.
        least: how many are needed.
        skipped: a :class:`tfssl.data.examples.Skipped` that collects the unreadable ones.

    Returns:
        :class:`ImageSet`.

    Raises:
        SourceError: if the source holds fewer readable images than ``least``.
    """
    crop = Crop(image_size, resize=image_size, flip=False)
    source, skipped = image_source(data, crop.min_size), Skipped() if skipped is None else skipped
    images, index = [], []
    for number in np.linspace(0, len(source), min(limit or len(source), len(source)), endpoint=False).astype(int):
        try:
            images.append(crop.apply(source.example(int(number))["image"]))
            index.append(number)
        except (ValueError, OSError) as error:
            skipped.add(source.name(int(number)), str(error))
    if len(images) < least:
        raise SourceError(f"`data` has {len(images)} readable images, {least} are needed; give more of them")
    names = folder_labels(source)
    if names is None:
        return ImageSet(np.stack(images), np.array(index), source)
    classes, labels = np.unique([names[number] for number in index], return_inverse=True)
    return ImageSet(np.stack(images), np.array(index), source, labels, tuple(classes.tolist()))
