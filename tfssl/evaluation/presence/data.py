"""Pictures in which several classes may occur, as squares of one size: centers, ten crops, random windows."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.images import ImageSource, decode_image
from tfssl.data.labeled import LabeledFolder, labeled_dataset
from tfssl.data.voc import IGNORE, boxed_set
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.labeled_sets import LabeledSets, ten_crops

SCALES = (0.5, 2.0)
"""Factors between which pictures are scaled for random windows (philkr/voc-classification)."""


@dataclasses.dataclass(frozen=True, eq=False)
class PresencePictures(ImageSource):
    """One split: picture files, and which classes occur in each.

    Args:
        root: the directory.
        split: name of the split.
        classes: their names.
        paths: picture files.
        presence: int32 (pictures, classes), 1, 0, or 255 where it counts for nothing.
    """

    root: str
    split: str
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    presence: np.ndarray

    def __len__(self):
        return len(self.paths)

    def open(self, index, min_side=None):
        """``(picture, presence (classes,))``; raises ValueError if the file cannot be read."""
        return decode_image(self.paths[index]), self.presence[index]

    def name(self, index):
        return self.paths[index]


def presence_pictures(root, train_split, test_split, *, classes=None):
    """Read the two splits of a VOC directory.

    Args:
        root, classes: as :func:`tfssl.data.voc.boxed_set`.
        train_split, test_split: names of the splits.

    Returns:
        Two :class:`PresencePictures`.

    Raises:
        SourceError: as :func:`~tfssl.data.voc.boxed_set`, or if a class is in no or in all training pictures.
        ConfigError: if both splits are one.
    """
    if train_split == test_split:
        raise ConfigError(f"`test_split` must not be the training set. Received: test_split={test_split!r}")
    found = [boxed_set(root, split, classes=classes) for split in (train_split, test_split)]
    train, test = (
        PresencePictures(f.root, f.split, f.classes, tuple(p.path for p in f.pictures), f.presence()) for f in found
    )
    for name, row in zip(train.classes, train.presence.T, strict=True):
        if not (row == 1).any() or not (row == 0).any():
            raise SourceError(f"`data`: class {name!r} is in none or in all pictures of split {train_split!r}")
    return train, test


def squares(train, test, *, side, crops=1):
    """Center squares of both splits, and ten crops of the test pictures, in the order of the pictures.

    Args:
        train, test: :class:`PresencePictures`.
        side: height and width in pixels.
        crops: 1 or 10, as :func:`tfssl.evaluation.labeled_sets.labeled_sets`.

    Returns:
        :class:`~tfssl.evaluation.labeled_sets.LabeledSets` whose labels are the numbers of the pictures.
    """
    # Without names of classes, for these labels are none.
    folders = tuple(LabeledFolder(p.root, p.paths, tuple(range(len(p))), ()) for p in (train, test))
    skipped, resize = Skipped(), side if crops == 1 else round(side * 256 / 227)
    batches = tuple(labeled_dataset(f, Crop(side, resize=resize, flip=False), skipped=skipped) for f in folders)
    if crops == 1:
        return LabeledSets(folders, batches, skipped, side)
    whole = labeled_dataset(folders[1], Crop(resize, resize=resize, flip=False), skipped=skipped)
    return LabeledSets(folders, batches, skipped, side, ten_crops(whole, resize, side))


@dataclasses.dataclass(frozen=True)
class RandomWindow:
    """A square window of a picture that was scaled by a random factor, perhaps mirrored.

    A sampler for :func:`tfssl.data.pipeline.crop_dataset` over :class:`PresencePictures`. The factor is uniform in
    :data:`SCALES`, and raised where the scaled picture would be smaller than the window. Without a random generator:
    the center square, scaled.

    Args:
        size: side in pixels.
        classes: their number.
        random_in_evaluation: whether test pictures are cut at random too.
    """

    size: int
    classes: int
    random_in_evaluation: bool = False

    min_side: ClassVar[None] = None

    @property
    def spec(self):
        """Types of what :meth:`apply` returns."""
        return tf.TensorSpec((self.size, self.size, 3), tf.uint8), tf.TensorSpec((self.classes,), tf.int32)

    def apply(self, pair, rng=None):
        """``(picture, presence)`` -> uint8 (size, size, 3) and the same presence."""
        image, presence = pair
        side = float(min(image.size))
        if rng is not None:
            side = min(side, self.size / rng.uniform(*SCALES))
        share = (0.5, 0.5) if rng is None else rng.random(2)
        left, top = ((extent - side) * part for extent, part in zip(image.size, share, strict=True))
        box = (left, top, min(left + side, image.width), min(top + side, image.height))  # rounding may lead out
        window = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)
        if rng is not None and rng.random() < 0.5:
            window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(window), presence


def known(presence):
    """Where a label counts, bool."""
    return presence != IGNORE
