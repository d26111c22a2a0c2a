"""Pictures with something to tell at every pixel: read, cropped and mirrored together with it."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfssl.data.images import ImageSource, decode_image
from tfssl.data.pipeline import crop_batches
from tfssl.errors import SourceError


@dataclasses.dataclass(frozen=True, eq=False)
class DensePictures(ImageSource):
    """Pictures and their targets.

    Args:
        paths: picture files.
        read_target: index -> array (H, W, ...), what is to be told of each pixel.
        unknown: value of a target where nothing is known.
        mirror: the target of the picture seen in a mirror, array -> array.
    """

    paths: tuple[str, ...]
    read_target: Callable
    unknown: float
    mirror: Callable

    def __len__(self):
        return len(self.paths)

    def open(self, index, min_side=None):
        """``(picture, target)``, uint8 (H, W, 3) and (H, W, ...). Raises ValueError if they cannot be read."""
        picture, target = np.asarray(decode_image(self.paths[index])), self.read_target(index)
        if picture.shape[:2] != target.shape[:2]:
            raise ValueError(f"the picture has {picture.shape[:2]} pixels, what belongs to it {target.shape[:2]}")
        return picture, target

    def name(self, index):
        return self.paths[index]

    def targets(self, skipped):
        """Yield ``(index, target)`` of all files that can be read; the others are added to ``skipped``."""
        return self._readable(self.read_target, skipped)

    def pairs(self, skipped):
        """Yield ``(index, picture, target)`` of all files that can be read; the others are added to ``skipped``."""
        for index, (picture, target) in self._readable(self.open, skipped):
            yield index, picture, target

    def _readable(self, read, skipped):
        count = 0
        for index in range(len(self)):
            try:
                found = read(index)
            except (ValueError, OSError) as error:
                skipped.add(self.name(index), str(error))
                continue
            count += 1
            yield index, found
        if not count:
            first = self.name(0)
            raise SourceError(f"`data`: no picture can be read; {first!r}: {skipped.reasons[first]}")


@dataclasses.dataclass(frozen=True)
class DenseCrop:
    """A random square of a picture and of its target, as a sampler for :func:`tfssl.data.pipeline.crop_batches`.

    A picture that is smaller than the square is continued by its border pixels, about which nothing is known.

    Args:
        size: side in pixels; nothing is scaled.
        pictures: the :class:`DensePictures` that are cropped.
        target: ``tf.TensorSpec`` of one target, its height and width left out.
    """

    size: int
    pictures: DensePictures
    target: tf.TensorSpec

    min_side: ClassVar[None] = None
    random_in_evaluation: ClassVar[bool] = False

    @property
    def spec(self):
        """Types of what :meth:`apply` returns."""
        square = (self.size, self.size)
        return tf.TensorSpec((*square, 3), tf.uint8), tf.TensorSpec((*square, *self.target.shape), self.target.dtype)

    def apply(self, pair, rng):
        """Cut and perhaps mirror: ``(picture, target)`` -> ``(crop, crop of the target)``."""
        rows, columns = (self._range(side, rng) for side in pair[0].shape[:2])
        picture, target = (array[rows, columns] for array in pair)
        missing = [(0, self.size - side) for side in picture.shape[:2]]
        picture = np.pad(picture, [*missing, (0, 0)], mode="edge")
        rest = [(0, 0)] * (target.ndim - 2)
        target = np.pad(target, [*missing, *rest], constant_values=self.pictures.unknown)
        if rng.random() < 0.5:
            picture, target = picture[:, ::-1], self.pictures.mirror(target)
        return picture, target.astype(self.target.dtype.as_numpy_dtype)

    def _range(self, side, rng):
        begin = rng.integers(max(side - self.size, 0) + 1)
        return slice(begin, begin + self.size)


def training_batches(crop, *, batch, steps, seed, skipped):
    """Batches of random crops, the same ones for the same seed.

    Args:
        crop: a :class:`DenseCrop`.
        batch: crops in each.
        steps: batches after which they repeat.
        seed: of order and crops.
        skipped: collects unreadable files.

    Returns:
        ``tf.data.Dataset`` of float32 (batch, size, size, 3) in [0, 1] and targets, without end.
    """
    batches = crop_batches(crop.pictures, crop, batch, training=True, seed=seed, count=steps, skipped=skipped)
    return batches.map(lambda rgb, target: (tf.cast(rgb, tf.float32) / 255.0, target)).prefetch(2).repeat()
