"""The images that a synthesis sees at one size, what it starts from, and what is known of its result."""

import math

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError
from tfssl.synthesis.recipe import LEAST_SIZE
from tfssl.synthesis.structure import symmetrized

BAND = 0.1
"""Fraction of a side that is known at each border where no mask is given; Berger's figures show 8 to 10 %."""


class Canvas:
    """The images of one octave, float32 (H, W, 3) in [0, 1], and what is known of the result.

    Where the images are gray they have one channel, and so does the result: three would first have to be made equal.
    """

    def __init__(self, recipe, reference, content, mask, octave):
        whole = reference if content is None else content
        scale = recipe.size / max(whole.size)
        size = tuple(round(scale * n / 2**octave) for n in whole.size)
        if recipe.task == "symmetric" and recipe.symmetry == "quarter-turn":
            size = (max(size), max(size))
        if recipe.reference_size is not None or recipe.of_task.content != "hole":
            scale = min(1.0, (recipe.reference_size or recipe.size) / max(reference.size))
        seen = tuple(round(scale * n / 2**octave) for n in reference.size)
        gray = all(_is_gray(image) for image in (reference, content) if image is not None)
        for name, (width, height) in (("size", size), ("reference", seen)):
            if min(width, height) < LEAST_SIZE:
                raise ConfigError(
                    f"`{name}` is too small: {LEAST_SIZE} pixels a side are needed at each octave; give a larger image "
                    f"or size, or fewer octaves. Received: {width}x{height} pixels at the smallest"
                )
        self.size = size
        self.reference = _to_array(reference, seen, gray)
        if recipe.task == "symmetric":
            self.reference = symmetrized(self.reference, recipe.symmetry)
        self.content = None if content is None else _to_array(content, size, gray)
        self.hole = None
        if recipe.of_task.content == "hole":
            self.hole = _band_mask(size) if mask is None else _scaled_mask(mask, size)
            if self.hole.all() or not self.hole.any():
                raise ConfigError("`mask` must leave something known, and something to fill")

    def noise(self, rng):
        """What the first octave starts from.

        White noise with the mean and deviation of each channel of the reference, within its range; in the hole only,
        where something is known; the content itself, where that is to be kept, as in the released code.
        """
        if self.content is not None and self.hole is None:
            return self.content
        mean, deviation = (of(self.reference, axis=(0, 1)) for of in (np.mean, np.std))
        drawn = rng.normal(mean, deviation, (*self.size[::-1], len(mean))).astype(np.float32)
        return self._within(np.clip(drawn, self.reference.min(axis=(0, 1)), self.reference.max(axis=(0, 1))))

    def enlarged(self, image):
        """What a further octave starts from."""
        return self._within(_to_array(to_image(image), self.size, image.shape[-1] == 1))

    def bounds(self):
        """Least and largest values of the result: those of the reference; the known ones; [0, 1] for a content."""
        if self.content is not None and self.hole is None:
            return 0.0, 1.0
        low, high = self.reference.min(axis=(0, 1)), self.reference.max(axis=(0, 1))
        if self.hole is None:
            return low, high
        return tuple(np.where(self.hole[..., None], bound, self.content) for bound in (low, high))

    def _within(self, image):
        return image if self.hole is None else np.where(self.hole[..., None], image, self.content)


def _band_mask(size):
    width, height = size
    across, down = (max(1, math.ceil(BAND * n)) for n in size)
    hole = np.zeros((height, width), bool)
    hole[down : height - down, across : width - across] = True
    return hole


def _scaled_mask(mask, size):
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _is_gray(image):
    pixels = np.asarray(image)
    return pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())


def _to_array(image, size, gray):
    image = image.convert("L") if gray else image
    image = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32).reshape(*size[::-1], -1) / 255.0


def to_image(image):
    """An array in [0, 1], (H, W, 1) or (H, W, 3), as a ``PIL.Image``, RGB."""
    levels = np.rint(image * 255.0).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(levels, (*levels.shape[:2], 3)).copy())
