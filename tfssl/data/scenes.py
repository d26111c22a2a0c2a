"""Clips of a thing that moves before a background while the camera moves too, rendered: where it is, is known.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageFilter

from tfssl.data.images import image_source
from tfssl.data.rendered import SQUARE, contrasting_piece, outline
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

_RADII = (0.22, 0.29)  # of the thing, fractions of the shorter side of a frame
_TURN = 1.0  # largest turn of the thing, degrees a frame
_GROWTH = 0.15  # it ends larger or smaller by at most this fraction
_LIGHT = 0.2  # and all becomes brighter or darker by at most this one
_BLUR = 1.0  # pixels: the background is out of focus
_NOISE = 1.5  # levels


@dataclasses.dataclass(frozen=True, eq=False)
class SceneClip:
    """A rendered clip, drawn when its frames are asked for, with what :class:`tfssl.data.clips.Clip` has for pictures.

    ``boxes`` is where the thing is in each frame, float64 (T, 4): x_min, y_min, x_max, y_max in pixels.
    """

    backdrop: Image.Image
    thing: Image.Image
    shape: tuple[int, int]
    corners: np.ndarray
    centers: np.ndarray
    angles: np.ndarray
    scales: np.ndarray
    light: np.ndarray
    seed: tuple[int, ...]
    boxes: np.ndarray

    def __len__(self):
        return len(self.centers)

    def frames(self, indices):
        """Frames by their numbers, uint8 (n, H, W, 3)."""
        return np.stack([self._frame(int(index)) for index in np.asarray(indices)])

    def _frame(self, t):
        (left, top), (x, y) = self.corners[t], self.centers[t]
        seen = self._seen(self.backdrop, (1, 0, left, 0, 1, top)).convert("RGBA")
        # From a pixel of the frame back to one of the thing.
        cosine, sine = (f(self.angles[t]) / self.scales[t] for f in (np.cos, np.sin))
        middle = self.thing.width / 2
        rows = (cosine, sine, middle - cosine * x - sine * y, -sine, cosine, middle + sine * x - cosine * y)
        whole = Image.alpha_composite(seen, self._seen(self.thing, rows)).convert("RGB")
        noise = np.random.default_rng((*self.seed, t)).normal(0, _NOISE, (*self.shape, 3))
        return np.clip(np.rint(np.asarray(whole) * self.light[t] + noise), 0, 255).astype(np.uint8)

    def _seen(self, image, rows):
        return image.transform(self.shape[::-1], Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)


@dataclasses.dataclass(frozen=True, eq=False)
class SceneSource(Source):
    """Clips of a thing that moves, ``{"clip": SceneClip}``; make it by :func:`scene_clips`."""

    images: Source
    number: int
    frames: int
    shape: tuple[int, int]
    speed: tuple[float, float]
    pan: float
    seed: int

    noun = "rendered clips"

    def __len__(self):
        return self.number

    def example(self, index):
        rng = np.random.default_rng([self.seed, index])
        side, time = min(self.shape), np.linspace(-0.5, 0.5, self.frames)
        pan = rng.uniform(-self.pan, self.pan, 2) * (self.frames - 1)
        margin = np.ceil(np.abs(pan) / 2).astype(int) + 2
        needed = (self.shape[0] + 2 * margin[1], self.shape[1] + 2 * margin[0])
        backdrop = contrasting_piece(self.images, rng, needed).filter(ImageFilter.GaussianBlur(_BLUR))
        radius, square = rng.uniform(*_RADII) * side, bool(rng.integers(2))
        size = int(np.ceil(2 * radius / (SQUARE if square else 1)))
        thing = contrasting_piece(self.images, rng, (size, size))
        thing.putalpha(outline(size, not square))
        angles = np.radians(rng.uniform(-_TURN, _TURN)) * self.frames * time
        scales = 1 + rng.uniform(-_GROWTH, _GROWTH) * time
        half = size / 2 * scales
        if square:  # turned, it takes more room along the axes
            half = half * SQUARE * (np.abs(np.cos(angles)) + np.abs(np.sin(angles)))
        room = np.array(self.shape[::-1]) - 2 * half.max()
        direction, speed = rng.uniform(0, 2 * np.pi), rng.uniform(*self.speed)
        path = speed * np.arange(self.frames)[:, None] * [np.cos(direction), np.sin(direction)]
        centers = half.max() + _folded(rng.uniform(0, 1, 2) * room + path, room)
        return {
            "clip": SceneClip(
                backdrop,
                thing,
                self.shape,
                corners=margin + pan * time[:, None],
                centers=centers,
                angles=angles,
                scales=scales,
                light=1 + rng.uniform(-_LIGHT, _LIGHT) * time,
                seed=(self.seed, index, 1),
                boxes=np.concatenate([centers - half[:, None], centers + half[:, None]], axis=1),
            )
        }

    def check(self, index):
        """Nothing to find out: everything is drawn."""


def scene_clips(images="builtin", *, count=1000, frames=31, size=(144, 192), speed=(2.0, 4.0), pan=0.5, seed=0):
    """Clips of a thing, a disc or a square cut from a photograph, that moves before another: a :class:`SceneSource`.

    It turns, grows or shrinks a little, and is thrown back by the border of the frame, so that it is always whole; the
    camera moves along, the background is slightly out of focus, the light changes, and there is noise.

    Args:
        images: see :func:`tfssl.data.images.image_source`; enlarged where they are too small.
        count: number of clips, at least 1.
        frames: of a clip, at least 2.
        size: (height, width) in pixels, at least 32.
        speed: (lowest, highest) of the thing in the frame, in pixels a frame.
        pan: largest velocity of the camera along an axis, in pixels a frame.
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(2, frames=frames)
    check_integers(32, height=size[0], width=size[1])
    if not 0 < speed[0] <= speed[1]:
        raise ConfigError(f"`speed` must be (lowest, highest), above 0. Received: speed={speed!r}")
    if not pan >= 0:
        raise ConfigError(f"`pan` must be at least 0. Received: pan={pan!r}")
    return SceneSource(image_source(images), count, frames, tuple(size), tuple(speed), float(pan), seed)


def _folded(places, room):
    """Places thrown back by walls at 0 and at ``room``."""
    return room - np.abs(places % (2 * room) - room)
