"""The two halves of a benchmark as pictures of one size, and the features that an encoder makes of them."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfssl.data.labelled import LabelledFolder, labelled_dataset, train_and_test
from tfssl.data.pipeline import Crop, Skipped
from tfssl.errors import ConfigError, SourceError
from tfssl.evaluation.features import tap_features


@dataclasses.dataclass(frozen=True)
class LabelledSets:
    """Training and test pictures.

    Args:
        folders: the training and the test :class:`~tfssl.data.labelled.LabelledFolder`.
        batches: for each of them, a dataset of uint8 (B, side, side, 3) and labels.
        skipped: collects the unreadable files of both as they are read.
        side: height and width in pixels: the centre square of the picture with its shorter side scaled to that.
    """

    folders: tuple[LabelledFolder, LabelledFolder]
    batches: tuple[tf.data.Dataset, tf.data.Dataset]
    skipped: Skipped
    side: int

    @property
    def classes(self):
        """Names of the classes."""
        return self.folders[0].classes

    def readable_labels(self, part):
        """Labels of the training (0) or test (1) pictures but those that turned out unreadable, int (N,)."""
        folder = self.folders[part]
        found = zip(folder.paths, folder.labels, strict=True)
        return np.array([label for path, label in found if path not in self.skipped.reasons], int)

    @contextlib.contextmanager
    def features(self, encoder, *, taps=None, pool=None):
        """Pool an encoder's taps for both sets, in files that last as long as the context.

        Args:
            encoder, taps, pool: as :func:`tfssl.evaluation.features.tap_features`.

        Yields:
            ``(train, test)``, two :class:`~tfssl.evaluation.features.Features`.
        """
        with tempfile.TemporaryDirectory(prefix="tfssl-features-", ignore_cleanup_errors=True) as folder:
            parts = []
            for name, batches in zip(("train", "test"), self.batches, strict=True):
                part = Path(folder) / name
                part.mkdir()
                parts.append(tap_features(encoder, batches, taps=taps, pool=pool, folder=part))
            train, test = parts
            missing = sorted(set(range(len(self.classes))) - set(train.labels.tolist()))
            if missing:
                raise SourceError(f"`data`: no picture of class {self.classes[missing[0]]!r} can be read")
            yield train, test


def labelled_sets(data, test=None, *, side=96):
    """Find the pictures of a benchmark.

    Args:
        data, test: as :func:`tfssl.data.labelled.train_and_test`.
        side: height and width in pixels.

    Returns:
        :class:`LabelledSets`.

    Raises:
        SourceError: as :func:`tfssl.data.labelled.labelled_folder`.
        ConfigError: for a side out of range.
    """
    if not isinstance(side, int) or not 8 <= side <= 2048:
        raise ConfigError(f"`side` must be an integer from 8 to 2048 pixels. Received: side={side!r}")
    folders = train_and_test(data, test)
    skipped = Skipped()
    crop = Crop(side, resize=side, flip=False)
    return LabelledSets(folders, tuple(labelled_dataset(f, crop, skipped=skipped) for f in folders), skipped, side)


def check_counts(**counts):
    """Raise ConfigError unless each value is a positive integer or None."""
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
