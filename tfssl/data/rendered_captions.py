"""Captioned images that are rendered: a colored shape on a ground, and words for it, some of them meaningless."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

COLORS = {"red": (205, 40, 35), "orange": (240, 150, 30), "yellow": (240, 225, 60), "blue": (45, 80, 205),
          "purple": (130, 50, 160), "black": (25, 25, 28)}  # fmt: skip
SHAPES = ("square", "circle", "triangle", "star")
SIZES = {"small": (0.10, 0.16), "large": (0.26, 0.34)}  # radius, fraction of the image
GROUNDS = {"grass": (70, 150, 60), "sand": (215, 190, 140), "snow": (235, 238, 245), "stone": (130, 130, 130)}
NOISE = ("today", "nice", "holiday", "canon", "friends", "family", "great", "trip", "old", "best")
"""What captions speak of; each word of :data:`NOISE` tells nothing of its image."""

GROUPS = {"color": tuple(COLORS), "shape": SHAPES, "size": tuple(SIZES), "ground": tuple(GROUNDS)}
"""The words that tell something, by what they tell; one of each group holds for an image."""

_SCALE = 4  # shapes are drawn so many times larger, for smooth edges


@dataclasses.dataclass(frozen=True, eq=False)
class CaptionedShapes(Source):
    """Rendered images with two captions each: ``{"image": PIL.Image, "captions": (str, str)}``.

    Everything of an item follows from the seed and its number. Make it by :func:`captioned_shapes`.
    """

    number: int
    size: int
    noise: float
    seed: int

    noun = "rendered images"

    def __len__(self):
        return self.number

    @property
    def captions(self):
        """The captions of all items, in order; nothing is drawn for them."""
        return tuple(self._captions(self.words(index), index) for index in range(len(self)))

    def words(self, index):
        """What is true of an item: ``{group: word}``, groups as in :data:`GROUPS`."""
        rng = np.random.default_rng([self.seed, index, 0])
        return {group: str(rng.choice(known)) for group, known in GROUPS.items()}

    def example(self, index):
        words = self.words(index)
        return {"image": self._image(words, index), "captions": self._captions(words, index)}

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def _captions(self, words, index):
        rng = np.random.default_rng([self.seed, index, 1])
        texts = (
            "a {size} {color} {shape} on {ground}".format(**words),
            "the {shape} is {color} and {size} , here is {ground}".format(**words),
        )
        return tuple(f"{text} {rng.choice(NOISE)}" if rng.random() < self.noise else text for text in texts)

    def _image(self, words, index):
        rng = np.random.default_rng([self.seed, index, 2])
        ground = np.array(GROUNDS[words["ground"]]) + rng.normal(0, 14, (self.size, self.size, 1))
        ground = Image.fromarray(np.clip(np.rint(ground), 0, 255).astype(np.uint8))
        radius = rng.uniform(*SIZES[words["size"]])
        center = rng.uniform(radius, 1 - radius, 2)
        color = np.clip(np.array(COLORS[words["color"]]) + rng.normal(0, 10, 3), 0, 255).astype(int)
        mask = Image.new("L", (_SCALE * self.size,) * 2)
        corners = _outline(words["shape"], rng.uniform(0, 2 * math.pi)) * radius + center
        ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners * _SCALE * self.size], fill=255)
        ground.paste(tuple(color.tolist()), mask=mask.resize(ground.size, Image.Resampling.BOX))
        return ground


def captioned_shapes(*, count=10_000, size=64, noise=0.3, seed=0):
    """A :class:`CaptionedShapes`.

    Args:
        count: number of images, at least 1.
        size: of the images in pixels, at least 16.
        noise: fraction of captions with a meaningless word, in [0, 1].
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(16, size=size)
    if not 0 <= noise <= 1:
        raise ConfigError(f"`noise` must be a fraction in [0, 1]. Received: noise={noise!r}")
    return CaptionedShapes(count, size, float(noise), seed)


def _outline(shape, angle):
    """Corners of a shape of radius 1 about 0, turned by an angle, float64 (n, 2)."""
    count = {"triangle": 3, "square": 4, "star": 10, "circle": 48}[shape]
    turns = angle + 2 * math.pi * np.arange(count) / count
    radius = np.where(np.arange(count) % 2, 0.4, 1.0) if shape == "star" else np.ones(count)
    return radius[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
