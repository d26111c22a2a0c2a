"""Photographs rendered in styles, as labeled images: the label is the style, whatever the photograph shows.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image

from tfssl.data.images import image_source
from tfssl.data.labeled import folder_labels
from tfssl.data.listing import common_folder
from tfssl.data.source import Source
from tfssl.data.style_renderings import STYLES, render
from tfssl.data.tagged import TaggedImages
from tfssl.errors import ConfigError, suggest
from tfssl.ops.arguments import check_integers

_PARTS = (0.4, 0.8)  # of the shorter side of a photograph that a window shows, where there are several


@dataclasses.dataclass(frozen=True, eq=False)
class StyleRenderings(Source):
    """Each window of each photograph in each style, ``{"image": PIL.Image}``; made by :func:`rendered_styles`."""

    photographs: Source
    styles: tuple[str, ...]
    windows: int
    size: int
    strengths: tuple[float, float]
    seed: int

    noun = "rendered images"

    def __len__(self):
        return len(self.photographs) * self.windows * len(self.styles)

    def example(self, index):
        number, style = divmod(index, len(self.styles))
        rng = np.random.default_rng([self.seed, number, 1 + style])
        return {"image": render(_window(self, number), self.styles[style], rng.uniform(*self.strengths), rng)}

    def name(self, index):
        number, style = divmod(index, len(self.styles))
        photograph, window = divmod(number, self.windows)
        place = f" window {window}" if self.windows > 1 else ""
        return f"{self.photographs.name(photograph)}{place} {self.styles[style]}"

    def check(self, index):
        self.photographs.check(index // (self.windows * len(self.styles)))

    def window(self, number):
        """What is rendered: a square of a photograph."""
        image = self.photographs.example(number // self.windows)["image"]
        rng, shorter = np.random.default_rng([self.seed, number, 0]), min(image.size)
        side = shorter if self.windows == 1 else shorter * rng.uniform(*_PARTS)
        offset = (0.5, 0.5) if self.windows == 1 else rng.random(2)
        left, top = ((extent - side) * part for extent, part in zip(image.size, offset, strict=True))
        box = (left, top, min(left + side, image.width), min(top + side, image.height))  # rounding may lead out
        return image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box)


@functools.lru_cache(maxsize=64)  # a window comes once for each style, one after the other
def _window(source, number):
    return source.window(number)


def rendered_styles(photographs="builtin", *, styles=None, windows=1, size=96, strengths=(0.3, 1.0), seed=0):
    """Render photographs in styles: a :class:`~tfssl.data.tagged.TaggedImages` whose labels are the styles.

    Each photograph comes in every style, so that what it shows tells nothing of the style; its renderings are one of
    the ``groups`` that a split never parts. ``content`` is the folder of the photograph, where there are several.

    Args:
        photographs: see :func:`tfssl.data.images.image_source`.
        styles: names of :data:`tfssl.data.style_renderings.STYLES`, at least two; None for all ten.
        windows: squares of each photograph, at least 1: the one in the middle, or so many at random places, of 0.4 to
            0.8 of the shorter side.
        size: of the images in pixels, at least 16.
        strengths: lowest and highest strength, in [0, 1]; each image draws its own.
        seed: of the windows, the strengths and what else is drawn.

    Raises:
        ConfigError: for a value outside its range, or an unknown style.
        SourceError: if there are no photographs.
    """
    check_integers(1, windows=windows)
    check_integers(16, size=size)
    names = tuple(STYLES) if styles is None else tuple(styles)
    for name in names:
        if name not in STYLES:
            raise ConfigError(f"`styles`: unknown style {name!r}; {suggest(name, STYLES)}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError(f"`styles` must be at least two different ones. Received: styles={list(names)!r}")
    low, high = strengths
    if not 0 <= low <= high <= 1:
        raise ConfigError(f"`strengths` must be (lowest, highest) in [0, 1]. Received: strengths={strengths!r}")
    source = image_source(photographs, min_size=None if windows > 1 else size)
    folders = None if isinstance(photographs, str) and photographs == "builtin" else folder_labels(source)
    each = windows * len(names)
    contents = tuple(sorted(set(folders or ())))
    return TaggedImages(
        "rendered styles of " + (photographs if isinstance(photographs, str) else "photographs"),
        StyleRenderings(source, names, windows, size, (float(low), float(high)), seed),
        tuple(np.eye(len(names), dtype=np.int32)) * (len(source) * windows),
        names,
        groups=tuple(np.repeat(np.arange(len(source)), each).tolist()),
        content=None if folders is None else tuple(np.repeat([contents.index(f) for f in folders], each).tolist()),
        contents=contents,
        folder=common_folder(source.paths) if hasattr(source, "paths") else "",
    )
