"""Examples of inpainting: crops of photographs -> (picture with a hole, what was there)."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.pipeline import crop_batches
from tfssl.errors import ConfigError
from tfssl.methods.context_encoder.network import FILL
from tfssl.ops.masks import center_mask, pattern_mask, pattern_noise, random_blocks, random_region

_UNLABELED = 255  # the border of objects in PASCAL VOC's masks
_SHAPE_SIDE = 128  # shapes are kept at this size (pixels)
_SMALLEST_SHAPE = 64  # pixels that a shape needs


@dataclasses.dataclass(frozen=True)
class MaskMaker:
    """Draws the masks of one kind.

    Args:
        kind: ``"center"``, ``"blocks"``, ``"regions"`` or ``"pattern"``.
        side: of the picture in pixels.
        overlap: of the central mask, see :func:`tfssl.ops.masks.center_mask`.
        shapes: folder of segmentation masks for ``"regions"``, see :func:`load_shapes`; None for blobs.
    """

    kind: str
    side: int
    overlap: int = 0
    shapes: str | None = None

    def __call__(self, rng):
        """A mask, bool (side, side), True where dropped; ``rng`` a ``numpy.random.Generator``."""
        if self.kind == "center":
            return center_mask(self.side, self.overlap)
        if self.kind == "blocks":
            return random_blocks(self.side, rng)
        if self.kind == "regions":
            return random_region(self.side, rng, load_shapes(self.shapes) if self.shapes else ())
        return pattern_mask(self.side, rng, pattern_noise())


@functools.lru_cache(maxsize=4)
def load_shapes(folder):
    """The shapes of objects in a folder of segmentation masks.

    Args:
        folder: searched recursively for PNG files whose pixels are class numbers (indexed or gray): 0 is background,
            255 unlabeled, as in PASCAL VOC's ``SegmentationClass`` and ``SegmentationObject``.

    Returns:
        Tuple of bool arrays (h, w), at most 128 pixels a side: one for each class in each mask.

    Raises:
        ConfigError: if there is no such folder, or no shape in it.
    """
    if not os.path.isdir(folder):
        raise ConfigError(f"`shapes` must be a folder of segmentation masks (PNG). Received: shapes={folder!r}")
    found = []
    for path in sorted(Path(folder).rglob("*.png")):
        try:
            with Image.open(path, formats=("PNG",)) as image:
                numbers = np.asarray(image if image.mode in ("P", "L") else image.convert("L"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"`shapes`: {str(path)!r} cannot be read: {' '.join(str(error).split())}") from None
        found += [_cut_out(numbers == k) for k in np.unique(numbers) if k not in (0, _UNLABELED)]
    found = tuple(shape for shape in found if shape.sum() >= _SMALLEST_SHAPE)
    if not found:
        raise ConfigError(
            f"`shapes`: no object in the PNG files of {folder!r}; their pixels must be class numbers, 0 for background"
        )
    return found


def _cut_out(shape):
    """The smallest box around the True pixels, reduced to at most 128 pixels a side."""
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    cut = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray(np.where(cut, np.uint8(255), np.uint8(0)))
    image.thumbnail((_SHAPE_SIDE, _SHAPE_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image) >= 128


@dataclasses.dataclass(frozen=True)
class HoleSampler:
    """Cuts one crop from a picture and draws its mask.

    Args:
        crop: how the crop is taken.
        masks: draws the mask; None where a whole batch shares one, which is drawn later.
        training: random crops and mirroring; otherwise the center. The mask is random in either case.
    """

    crop: Crop
    masks: MaskMaker | None
    training: bool

    random_in_evaluation: ClassVar[bool] = True
    """The mask of a picture in evaluation follows from its number."""

    @property
    def min_side(self):
        """Shorter side that decoding has to keep, in pixels."""
        return self.crop.min_side

    @property
    def spec(self):
        """Pixels uint8 (side, side, 3), mask bool (side, side)."""
        side = self.crop.size
        return tf.TensorSpec((side, side, 3), tf.uint8), tf.TensorSpec((side, side), tf.bool)

    def apply(self, image, rng):
        """Crop and mask of a ``PIL.Image``; arrays as in :attr:`spec`."""
        pixels = self.crop.apply(image, rng if self.training else None)
        mask = np.zeros(pixels.shape[:2], bool) if self.masks is None else self.masks(rng)
        return pixels, mask


def to_example(pixels, dropped, *, whole):
    """The network's input and target.

    Args:
        pixels: uint8 (B, S, S, 3), sRGB, of known S.
        dropped: bool (B, S, S).
        whole: whether the target is the whole picture, or its central half.

    Returns:
        ``(inputs, targets)``: float32 (B, S, S, 3), in [-1, 1] with the mean color where dropped; float32
        (B, T, T, 4), the true colors and 1 where dropped.
    """
    truth = tf.cast(pixels, tf.float32) / 127.5 - 1.0
    hole = tf.cast(dropped, tf.float32)[..., None]
    inputs = tf.where(hole > 0, tf.constant(FILL), truth)
    return inputs, target_part(tf.concat([truth, hole], axis=-1), whole=whole)


def target_part(pictures, *, whole):
    """What of pictures (B, S, S, C) the network predicts: all of it, or the central half."""
    if whole:
        return pictures
    side = pictures.shape[1]
    return pictures[:, side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2]


def inpainting_dataset(
    source, crop, masks, *, whole, shared_mask, batch_size, training, seed, start, count, skipped, limit=None
):
    """Batches of (inputs, targets), see :func:`to_example`; arguments as :meth:`tfssl.methods.base.Method.dataset`.

    Args:
        crop: a :class:`tfssl.data.pipeline.Crop`.
        masks: a :class:`MaskMaker`.
        whole: whether the whole picture is predicted.
        shared_mask: in training one mask for each batch, as the released code, instead of one for each picture.
        limit: use the first so many readable pictures; None for all.
    """
    shared = shared_mask and training
    batches = crop_batches(
        source,
        HoleSampler(crop, None if shared else masks, training),
        batch_size,
        training=training,
        seed=seed,
        start=start,
        count=count,
        skipped=skipped,
        limit=limit,
    )

    def draw(number):
        # The batch number, not a generator's state, makes the mask the same after a resume.
        return masks(np.random.default_rng((seed, 2, int(number))))

    def example(number, pair):
        pixels, dropped = pair
        if shared:
            mask = tf.numpy_function(draw, [number], tf.bool, stateful=False)
            dropped = tf.broadcast_to(tf.ensure_shape(mask, dropped.shape[1:]), tf.shape(dropped))
        return to_example(pixels, dropped, whole=whole)

    batches = batches.enumerate(start or 0).map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)
