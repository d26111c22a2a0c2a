"""Scenes with a known answer for object discovery: an object over noise, noise alone, a periodic texture."""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.images import ImageSource
from tfssl.errors import ConfigError, suggest

KINDS = ("object", "noise", "texture")
"""What an image shows."""

OBJECT_SIZE = (104, 72)
"""Width and height of the object in pixels."""

_CONTRAST = 40  # standard deviation of the noise, in levels
_PERIOD = 5  # of the texture, in pixels
_GRAIN = {"object": 4, "noise": 4, "texture": 25}  # deviation of what is added to all pixels, in levels


@dataclasses.dataclass(frozen=True)
class PlantedSource(ImageSource):
    """Images of :func:`planted_source`."""

    length: int
    size: int
    kinds: tuple[str, ...]
    seed: int
    min_size: int | None = None

    def __len__(self):
        return self.length

    def kind(self, index):
        """What image ``index`` shows, one of :data:`KINDS`."""
        return self.kinds[index % len(self.kinds)]

    def name(self, index):
        return f"{self.kind(index)} {index}"

    def example(self, index):
        """``{"image": PIL.Image, "mask": bool (size, size)}``: where the object is."""
        rng = np.random.default_rng([self.seed, index])
        kind, mask = self.kind(index), np.zeros((self.size, self.size), bool)
        levels = _texture(self.size, rng) if kind == "texture" else 128 + _CONTRAST * pink_noise(self.size, rng)
        if kind == "object":
            pixels, shape = planted_object()
            left, top = (int(rng.integers(0, self.size - length + 1)) for length in OBJECT_SIZE)
            part = slice(top, top + OBJECT_SIZE[1]), slice(left, left + OBJECT_SIZE[0])
            levels[part] = np.where(shape, pixels, levels[part])
            mask[part] = shape
        levels = np.clip(levels + rng.normal(0, _GRAIN[kind], levels.shape), 0, 255).astype(np.uint8)
        return {"image": Image.fromarray(levels).convert("RGB"), "mask": mask}


def planted_source(count=48, size=192, kinds=KINDS, seed=0):
    """Images that show in turn what ``kinds`` says.

    Args:
        count: images.
        size: of each, pixels on either side; at least 112.
        kinds: names of :data:`KINDS`: the same object at a random place over noise, noise alone (its amplitude falls
            with the frequency), a fine grainy plaid of random phase that fills the image.
        seed: of the places, the noise and the phases; image k is the same whatever ``count`` is.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"`kinds` {kind!r} is unknown; {suggest(kind, KINDS)}")
    if count < 1 or not kinds:
        raise ConfigError(f"`count` must be at least 1, and `kinds` not empty. Received: count={count}, kinds={kinds}")
    if size < 112:
        raise ConfigError(f"`size` must be at least 112, for the object to fit in. Received: size={size}")
    return PlantedSource(count, size, tuple(kinds), seed)


def pink_noise(size, rng):
    """Noise whose amplitude is one over its frequency, mean 0 and deviation 1: float64 (size, size)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    frequency[0, 0] = np.inf
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) / frequency).real
    return noise / noise.std()


def planted_object():
    """The object: striped body, round head and checked foot, ``(levels, shape)``, uint8 and bool (72, 104)."""
    width, height = OBJECT_SIZE
    y, x = np.mgrid[:height, :width]
    body, head, foot = (Image.new("1", OBJECT_SIZE) for _ in range(3))
    ImageDraw.Draw(body).rounded_rectangle((0, 20, 74, 56), 14, fill=1)
    ImageDraw.Draw(head).ellipse((60, 0, 103, 43), fill=1)
    ImageDraw.Draw(foot).polygon([(8, 52), (34, 52), (44, 71), (0, 71)], fill=1)
    body, head, foot = (np.asarray(part) for part in (body, head, foot))
    levels = np.zeros((height, width), np.uint8)
    levels[body] = np.where((x + y) % 22 < 11, 225, 60)[body]
    levels[foot] = np.where((x // 10 + y // 10) % 2, 250, 110)[foot]
    levels[head] = np.where(np.abs(np.hypot(x - 81, y - 21) - 12) < 5, 20, 190)[head]
    return levels, body | head | foot


def _texture(size, rng):
    y, x = np.mgrid[:size, :size] * (2 * np.pi / _PERIOD)
    return 128 + 50 * (np.sin(x + rng.uniform(0, 2 * np.pi)) + np.sin(y + rng.uniform(0, 2 * np.pi)))
