"""The pictures that networks are shown: squares of one size, with classes where folders tell them."""

import dataclasses

import numpy as np

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.images import ImageSource, image_source
from tfssl.data.labeled import folder_labels
from tfssl.errors import SourceError


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Squares of one size.

    Args:
        images: uint8 (N, side, side, 3), sRGB: the center of each picture, its shorter side scaled to ``side``.
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

    @property
    def side(self):
        """Height and width in pixels."""
        return self.images.shape[1]

    def name(self, number):
        """What the source calls a picture."""
        return self.source.name(int(self.index[number]))

    def shown(self, number, side):
        """A picture for the reader's eyes, from its file: uint8 (side, side, 3)."""
        crop = Crop(side, resize=side, flip=False)
        return crop.apply(self.source.open(int(self.index[number]), min_side=side))


def read_pictures(data, *, side, limit=None, least=2, skipped=None):
    """Read pictures, spread evenly over a source, so that class folders are met alike.

    Args:
        data: see :func:`tfssl.data.images.image_source`; class folders give labels.
        side: height and width in pixels.
        limit: how many to take; None for all.
        least: how many are needed.
        skipped: a :class:`tfssl.data.pipeline.Skipped` that collects the unreadable ones.

    Returns:
        :class:`Pictures`.

    Raises:
        SourceError: if the source holds fewer readable pictures than ``least``.
    """
    source = image_source(data)
    skipped = Skipped() if skipped is None else skipped
    crop = Crop(side, resize=side, flip=False)
    images, index = [], []
    for number in np.linspace(0, len(source), min(limit or len(source), len(source)), endpoint=False).astype(int):
        try:
            images.append(crop.apply(source.open(int(number), min_side=crop.min_side)))
            index.append(number)
        except (ValueError, OSError) as error:
            skipped.add(source.name(int(number)), str(error))
    if len(images) < least:
        raise SourceError(f"`data` has {len(images)} readable pictures, {least} are needed; give more of them")
    names = folder_labels(source)
    if names is None:
        return Pictures(np.stack(images), np.array(index), source)
    classes, labels = np.unique([names[number] for number in index], return_inverse=True)
    return Pictures(np.stack(images), np.array(index), source, labels, tuple(classes.tolist()))
