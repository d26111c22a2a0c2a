"""The two halves of a benchmark as pictures of one size, and the features that an encoder makes of them."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.crop import Crop
from tfssl.data.examples import Skipped
from tfssl.data.labeled import LabeledFolder, labeled_dataset, train_and_test
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import tap_features


@dataclasses.dataclass(frozen=True)
class LabeledSets:
    """Training and test pictures.

    Args:
        folders: the training and the test :class:`~tfssl.data.labeled.LabeledFolder`.
        batches: for each of them, a dataset of uint8 (B, side, side, 3) and labels.
        skipped: collects the unreadable files of both as they are read.
        side: height and width in pixels: the center square of the picture with its shorter side scaled to that, or
            to 256 / 227 of it where there are ten crops.
        ten_crops: of the test pictures, see :func:`ten_crops`; () where only the center is measured.
    """

    folders: tuple[LabeledFolder, LabeledFolder]
    batches: tuple[tf.data.Dataset, tf.data.Dataset]
    skipped: Skipped
    side: int
    ten_crops: tuple[tf.data.Dataset, ...] = ()

    @property
    def classes(self):
        """Names of the classes."""
        return self.folders[0].classes

    def readable_labels(self, part):
        """Labels of the training (0) or test (1) pictures but those that turned out unreadable, int (N,)."""
        folder = self.folders[part]
        read = (i for i in range(len(folder)) if folder.name(i) not in self.skipped.reasons)
        return np.array([folder.labels[i] for i in read], int)

    @contextlib.contextmanager
    def features(self, encoder, *, taps=None, pool=None):
        """Pool an encoder's taps for both sets, in files that last as long as the context.

        Args:
            encoder, taps, pool: as :func:`tfssl.evaluation.features.tap_features`.

        Yields:
            ``(train, test, *crops)``, two :class:`~tfssl.evaluation.features.Features` and those of the ten crops.
        """
        with tempfile.TemporaryDirectory(prefix="tfssl-features-", ignore_cleanup_errors=True) as folder:
            parts = []
            for number, batches in enumerate((*self.batches, *self.ten_crops)):
                part = Path(folder) / str(number)
                part.mkdir()
                parts.append(tap_features(encoder, batches, taps=taps, pool=pool, folder=part))
            train = parts[0]
            missing = sorted(set(range(len(self.classes))) - set(train.labels.tolist()))
            if missing:
                raise SourceError(f"`data`: no picture of class {self.classes[missing[0]]!r} can be read")
            yield tuple(parts)


def labeled_sets(data, test=None, *, side=96, crops=1):
    """Find the pictures of a benchmark.

    Args:
        data, test: as :func:`tfssl.data.labeled.train_and_test`.
        side: height and width in pixels.
        crops: 1, or 10 to test on ten crops too: then the shorter side is scaled to 256 / 227 of ``side``, as it is
            for AlexNet's crops of 227 pixels.

    Returns:
        :class:`LabeledSets`.

    Raises:
        SourceError: as :func:`tfssl.data.labeled.labeled_folder`.
        ConfigError: for a side out of range.
    """
    if not isinstance(side, int) or not 8 <= side <= 2048:
        raise ConfigError(f"`side` must be an integer from 8 to 2048 pixels. Received: side={side!r}")
    if crops not in (1, 10):
        raise ConfigError(f"`crops` must be 1 or 10. Received: crops={crops!r}")
    folders = train_and_test(data, test)
    skipped = Skipped()
    resize = side if crops == 1 else round(side * 256 / 227)
    crop = Crop(side, resize=resize, flip=False)
    batches = tuple(labeled_dataset(folder, crop, skipped=skipped) for folder in folders)
    if crops == 1:
        return LabeledSets(folders, batches, skipped, side)
    whole = labeled_dataset(folders[1], Crop(resize, resize=resize, flip=False), skipped=skipped)
    return LabeledSets(folders, batches, skipped, side, ten_crops(whole, resize, side))


def ten_crops(batches, whole, side):
    """Four corners and the center, and their mirror images (Krizhevsky et al., 2012).

    Args:
        batches: dataset of pictures (B, whole, whole, 3) and labels.
        whole: their height and width in pixels.
        side: of the crops.

    Returns:
        Ten datasets of pictures (B, side, side, 3) and labels.
    """
    far, middle = whole - side, (whole - side) // 2
    corners = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))

    def cut(top, left, step):
        return lambda images, labels: (images[:, top : top + side, left : left + side][:, :, ::step], labels)

    return tuple(batches.map(cut(top, left, step)) for top, left in corners for step in (1, -1))


def check_counts(**counts):
    """Raise ConfigError unless each value is a positive integer or None."""
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
