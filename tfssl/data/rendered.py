"""Views that belong together, rendered with known disparities and motions: stereograms, and windows that move.

Everything follows from a seed and a number, so that these sources are as long as one wishes and need no files.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.images import image_source
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

_RECTANGLES = (1, 5)  # of a scene, lowest and highest number
_EXTENT = (0.2, 0.6)  # of a rectangle, fractions of the image
_CONTRAST = 25.0  # deviation, in levels, below which another piece of a photograph is tried
_TRIES = 20

SQUARE = 0.75
"""Side of the square of :func:`outline`, a fraction of the image's."""


def shifted_pairs(count, size, shifts, seed=0):
    """White noise and the same shifted cyclically: the smallest data that have a transformation to find.

    Args:
        count: number of pairs.
        size: numbers in a row.
        shifts: integers that are drawn from with equal probability; y is x rolled by that many places.
        seed: of rows and shifts.

    Returns:
        ``(x, y, shift)``: float32 (count, size) twice, and int (count,).
    """
    check_integers(1, count=count, size=size)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, size)).astype(np.float32)
    shift = rng.choice(np.asarray(shifts), count)
    columns = (np.arange(size) - shift[:, None]) % size
    return x, np.take_along_axis(x, columns, axis=1), shift


def random_dots(height, width, rng, *, dot=1, density=0.5):
    """A texture of white dots on black, uint8 (height, width); ``dot`` is their size in pixels."""
    cells = rng.random((-(-height // dot), -(-width // dot))) < density
    return np.kron(cells, np.ones((dot, dot), bool))[:height, :width].astype(np.uint8) * 255


def right_view(left, disparity, fill):
    """The right image of a rectified pair: what is at x in ``left`` goes to x - disparity, the nearest in front.

    Args:
        left: (H, W) or (H, W, C).
        disparity: int (H, W), pixels; larger is nearer.
        fill: as ``left``: what is seen where nothing of ``left`` goes to, uncovered parts and a border.
    """
    right = fill.copy()
    rows, columns = np.indices(disparity.shape)
    for value in np.unique(disparity):  # from far to near
        here = disparity == value
        target = columns[here] - value
        seen = (target >= 0) & (target < disparity.shape[1])
        right[rows[here][seen], target[seen]] = left[here][seen]
    return right


@dataclasses.dataclass(frozen=True, eq=False)
class StereogramSource(Source):
    """Stereo pairs of a background and some rectangles before or behind it, textured by dots or photographs.

    Examples are ``{"left", "right": PIL.Image, "disparity": float32 (H, W)}`` as those of
    :class:`tfssl.data.stereo.StereoSource`, with whole disparities, also at pixels that the right view does not see.
    Make it by :func:`stereogram_source`.
    """

    number: int
    shape: tuple[int, int]
    disparities: tuple[int, int]
    textures: Source | None
    noise: float
    seed: int

    noun = "stereograms"

    def __len__(self):
        return self.number

    def example(self, index):
        rng = np.random.default_rng([self.seed, index])
        left, fill = self._texture(rng), self._texture(rng)
        disparity = self._scene(rng)
        views = [left, right_view(left, disparity, fill)]
        if self.noise:
            views = [view + rng.normal(0, self.noise, view.shape) for view in views]
        left, right = (Image.fromarray(np.clip(np.rint(view), 0, 255).astype(np.uint8)) for view in views)
        return {"left": left, "right": right, "disparity": disparity.astype(np.float32)}

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def _scene(self, rng):
        low, high = self.disparities
        disparity = np.full(self.shape, rng.integers(low, high + 1))
        for _ in range(rng.integers(_RECTANGLES[0], _RECTANGLES[1] + 1)):
            sides = [round(n * f) for n, f in zip(self.shape, rng.uniform(*_EXTENT, 2), strict=True)]
            y, x = (rng.integers(0, n - s + 1) for n, s in zip(self.shape, sides, strict=True))
            disparity[y : y + sides[0], x : x + sides[1]] = rng.integers(low, high + 1)
        return disparity

    def _texture(self, rng):
        if self.textures is None:
            return random_dots(*self.shape, rng)
        image = enlarged(texture(self.textures, int(rng.integers(len(self.textures)))), self.shape)
        y, x = (rng.integers(0, n - s + 1) for n, s in zip((image.height, image.width), self.shape, strict=True))
        return np.asarray(image)[y : y + self.shape[0], x : x + self.shape[1]]


def stereogram_source(textures=None, *, count=1000, size=(96, 128), disparities=(-4, 4), noise=0.0, seed=0):
    """A :class:`StereogramSource`.

    Args:
        textures: None for random dots; or images, see :func:`tfssl.data.images.image_source`.
        count: number of pairs, at least 1.
        size: (height, width) in pixels, at least 8.
        disparities: (lowest, highest) in whole pixels.
        noise: deviation of Gaussian noise in each view, in levels of 0 to 255.
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(8, height=size[0], width=size[1])
    if not disparities[0] <= disparities[1] or max(map(abs, disparities)) >= size[1]:
        raise ConfigError(
            f"`disparities` must be (lowest, highest), smaller than the width of {size[1]} pixels. "
            f"Received: disparities={disparities!r}"
        )
    textures = None if textures is None else image_source(textures)
    return StereogramSource(count, tuple(size), tuple(disparities), textures, float(noise), seed)


@dataclasses.dataclass(frozen=True, eq=False)
class FrameClip:
    """Frames in memory, uint8 (T, H, W, 3), with what :class:`tfssl.data.clips.Clip` has for pictures.

    ``times`` are the seconds at which each frame appears, float (T,); None: 25 frames a second.
    """

    pixels: np.ndarray
    times: np.ndarray | None = None

    def __post_init__(self):
        if self.times is None:
            object.__setattr__(self, "times", np.arange(len(self.pixels)) / 25)

    def __len__(self):
        return len(self.pixels)

    def frames(self, indices):
        """Frames by their numbers, uint8 (n, H, W, 3)."""
        return self.pixels[np.asarray(indices)]


@dataclasses.dataclass(frozen=True, eq=False)
class MovingSource(Source):
    """Clips of a window that moves over a photograph with constant velocity, of one or two cameras.

    Examples are ``{"clip": FrameClip}``; or, with ``disparities``, ``{"left", "right": FrameClip}`` of a surface that
    also comes nearer or goes away: its disparity changes with the frames, and both cameras see the motion. Make it by
    :func:`moving_source`.
    """

    images: Source
    number: int
    frames: int
    shape: tuple[int, int]
    speed: float
    disparities: tuple[float, float] | None
    seed: int

    noun = "rendered clips"

    def __len__(self):
        return self.number

    def motion(self, index):
        """``(velocity, disparity)`` of an item: (2,), x and y in pixels a frame; and (frames,), in pixels, or None."""
        rng = np.random.default_rng([self.seed, index, 0])
        velocity = rng.uniform(-self.speed, self.speed, 2)
        if self.disparities is None:
            return velocity, None
        return velocity, np.linspace(*rng.uniform(*self.disparities, 2), self.frames)

    def example(self, index):
        rng = np.random.default_rng([self.seed, index, 1])
        velocity, disparity = self.motion(index)
        margin = self.speed * (self.frames - 1) + max(map(abs, self.disparities or (0,))) + 2
        needed = tuple(round(n + 2 * margin) for n in self.shape)
        image = enlarged(texture(self.images, int(rng.integers(len(self.images)))), needed)
        free = np.array([image.width, image.height]) - self.shape[::-1] - 2 * margin
        corners = margin + rng.uniform(0, 1, 2) * free + np.arange(self.frames)[:, None] * velocity
        if disparity is None:
            return {"clip": self._seen(image, corners)}
        # What is at x in the left view is at x - disparity in the right one: the right window lies further right.
        return {
            "left": self._seen(image, corners),
            "right": self._seen(image, corners + np.stack([disparity, np.zeros(self.frames)], axis=1)),
        }

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def _seen(self, image, corners):
        height, width = self.shape
        views = [
            image.transform((width, height), Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC)
            for x, y in corners.tolist()
        ]
        return FrameClip(np.stack([np.asarray(view) for view in views]))


def moving_source(images="builtin", *, count=1000, frames=5, size=(64, 64), speed=2.0, disparities=None, seed=0):
    """A :class:`MovingSource`.

    Args:
        images: see :func:`tfssl.data.images.image_source`; enlarged where they are too small.
        count: number of clips, at least 1.
        frames: of a clip, at least 2.
        size: (height, width) in pixels, at least 8.
        speed: largest velocity along an axis, in pixels a frame.
        disparities: (lowest, highest) in pixels for two cameras; None for one.
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(2, frames=frames)
    check_integers(8, height=size[0], width=size[1])
    if not speed >= 0:
        raise ConfigError(f"`speed` must be at least 0. Received: speed={speed!r}")
    if disparities is not None and not disparities[0] <= disparities[1]:
        raise ConfigError(f"`disparities` must be (lowest, highest). Received: disparities={disparities!r}")
    given = None if disparities is None else tuple(disparities)
    return MovingSource(image_source(images), count, frames, tuple(size), float(speed), given, seed)


@functools.lru_cache(maxsize=32)  # a few photographs are textures of many scenes, and decoding is most of the work
def texture(source, index):
    """Image ``index`` of a source, RGB."""
    return source.example(index)["image"].convert("RGB")


def enlarged(image, shape):
    """An image enlarged, where needed, to hold a window of (height, width)."""
    scale = max(shape[0] / image.height, shape[1] / image.width)
    if scale <= 1:
        return image
    return image.resize(tuple(int(np.ceil(n * scale)) for n in image.size), Image.Resampling.BICUBIC)


def contrasting_piece(source, rng, shape):
    """A piece of an image of a source, (height, width), that has some contrast: nobody sees a plain thing move."""
    best, most = None, -1.0
    for _ in range(_TRIES):
        image = enlarged(texture(source, int(rng.integers(len(source)))), shape)
        x, y = (int(rng.integers(0, n - s + 1)) for n, s in zip(image.size, shape[::-1], strict=True))
        piece = image.crop((x, y, x + shape[1], y + shape[0]))
        contrast = float(np.std(np.asarray(piece.convert("L"))))
        if contrast > most:
            best, most = piece, contrast
        if contrast >= _CONTRAST:
            break
    return best


@functools.lru_cache(maxsize=64)
def outline(size, round_one):
    """Opacity of a disc or of a somewhat smaller square, uint8 image of ``size`` pixels a side; smooth at its edge."""
    large, lost = 4 * size, 0 if round_one else round(2 * (1 - SQUARE) * size)
    image = Image.new("L", (large, large))
    draw = ImageDraw.Draw(image)
    (draw.ellipse if round_one else draw.rectangle)((lost, lost, large - 1 - lost, large - 1 - lost), fill=255)
    return image.resize((size, size), Image.Resampling.BOX)
