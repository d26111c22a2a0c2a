"""Labeled images that are rendered: discs, rectangles, triangles and gratings, whose outlines and not colors differ."""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.labeled import LabeledImages
from tfssl.data.source import Source
from tfssl.ops.arguments import check_integers

CLASSES = ("disc", "grating", "rectangle", "triangle")

_SCALE = 4  # shapes are drawn so many times larger, for smooth edges
_NOISE = 4.0  # levels, deviation of the noise of each pixel


@dataclasses.dataclass(frozen=True, eq=False)
class RenderedShapes(Source):
    """``{"image": PIL.Image}``: the class follows from the number of an item, all else from that and the seed."""

    number: int
    size: int
    seed: int

    noun = "rendered images"

    def __len__(self):
        return self.number

    def example(self, index):
        rng = np.random.default_rng([self.seed, index])
        # Two colors of any brightness, apart enough to be seen.
        ground = rng.uniform(40, 215, 3)
        color = ground + rng.choice([-1, 1]) * rng.uniform(30, 80) + rng.normal(0, 10, 3)
        mask = _mask(CLASSES[index % len(CLASSES)], self.size, rng)[..., None]
        slope = np.linspace(-1, 1, self.size) * rng.uniform(-25, 25)  # of the light
        light = slope[:, None] if rng.random() < 0.5 else slope[None]
        levels = ground + (color - ground) * mask + light[..., None] + rng.normal(0, _NOISE, (self.size, self.size, 1))
        return {"image": Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))}

    def check(self, index):
        """Nothing to find out: everything is drawn."""


def labeled_shapes(*, count=200, size=96, seed=0):
    """Images of four classes, in turn: a :class:`~tfssl.data.labeled.LabeledImages`, which tasks take as ``data``.

    Position, size, direction, colors, light and noise are drawn; gratings fill the image.

    Args:
        count: number of images, at least 4.
        size: of the images in pixels, at least 16.
        seed: of everything: another one for the test set.

    Raises:
        ConfigError: for a value outside its range.

    Example:
        >>> encoder = tfssl.load_encoder("local:sift-bow")
        >>> linear_probe.evaluate(encoder, labeled_shapes(seed=0), test=labeled_shapes(seed=1))
    """
    check_integers(len(CLASSES), count=count)
    check_integers(16, size=size)
    check_integers(0, seed=seed)
    labels = tuple(index % len(CLASSES) for index in range(count))
    return LabeledImages(f"rendered shapes, seed {seed}", RenderedShapes(count, size, seed), labels, CLASSES)


def _mask(kind, size, rng):
    """How much of each pixel a shape covers, float (size, size) in [0, 1]; of gratings, how bright a bar is."""
    angle = rng.uniform(0, 2 * math.pi)
    if kind == "grating":
        rows, columns = np.mgrid[:size, :size]
        along = rows * math.sin(angle) + columns * math.cos(angle)
        return 0.5 + 0.5 * np.sin(2 * math.pi * (along / rng.uniform(6, 16) + rng.random()))
    radius = rng.uniform(0.15, 0.35)
    center = rng.uniform(radius, 1 - radius, 2)
    corners = {
        "disc": lambda: 2 * math.pi * np.arange(64) / 64,
        "rectangle": lambda: np.array([1, -1, 1, -1]) * rng.uniform(0.3, 1.2) + np.array([0, 1, 1, 2]) * math.pi,
        "triangle": lambda: 2 * math.pi * (np.arange(3) + rng.uniform(-0.2, 0.2, 3)) / 3,
    }[kind]()
    points = center + radius * np.stack([np.cos(corners + angle), np.sin(corners + angle)], axis=1)
    drawn = Image.new("L", (_SCALE * size,) * 2)
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in (points * _SCALE * size).tolist()], fill=255)
    return np.asarray(drawn.resize((size, size), Image.Resampling.BOX), np.float64) / 255
