"""Rendered scenes with their sound: what is seen tells what is heard.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`.
"""

import dataclasses
import hashlib

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers
from tfssl.ops.sound_texture import SAMPLE_RATE, SHORTEST

KINDS = ("rain", "bells", "surf", "gravel")
"""Kinds of scenes: slanted strokes and noise; rings and a tone; waves and noise that swells; dots and clicks."""

_GAIN = (-20.0, 0.0)  # dB
_FLOOR = 0.002  # deviation of the noise under every sound
_PIXEL_NOISE = 6.0  # levels


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """A sound in memory, float32 (n,), with what :class:`tfssl.data.sounding.SoundWindow` has."""

    samples: np.ndarray
    rate: int = SAMPLE_RATE
    name: str = ""

    def read(self):
        """The samples."""
        return self.samples

    @property
    def key(self):
        """A text that is the same for the same samples."""
        return hashlib.sha256(self.samples.tobytes()).hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class SoundingSceneSource(Source):
    """Scenes of four kinds in turn: ``{"image": PIL.Image, "sound": Samples, "label"}``; see :func:`sounding_scenes`.

    ``labels`` and ``classes`` are as those of :class:`tfssl.data.labeled.LabeledImages`.
    """

    number: int
    image_size: int
    seconds: float
    seed: int

    noun = "rendered scenes"
    classes = KINDS

    def __len__(self):
        return self.number

    @property
    def labels(self):
        return tuple(index % len(KINDS) for index in range(self.number))

    def name(self, index):
        return f"rendered scene {index} of seed {self.seed} ({KINDS[index % len(KINDS)]})"

    def sound(self, index):
        """The :class:`Samples` of a scene, without drawing it."""
        rng = np.random.default_rng([self.seed, index, 1])
        samples = _SOUNDS[index % len(KINDS)](rng, round(self.seconds * SAMPLE_RATE))
        samples *= 10 ** (rng.uniform(*_GAIN) / 20) / max(np.abs(samples).max(), 1e-9)
        samples += rng.normal(0, _FLOOR, len(samples))
        return Samples(np.clip(samples, -1, 1).astype(np.float32), name=self.name(index))

    def example(self, index):
        rng = np.random.default_rng([self.seed, index, 0])
        # Any two colors, light and slanted light: kinds differ in nothing but their pattern.
        pattern = _PATTERNS[index % len(KINDS)](rng, self.image_size)[..., None]
        first, second = rng.uniform(0, 255, (2, 3))
        second = np.where(np.abs(first - second).max() < 90, 255 - first, second)
        axis = np.linspace(-1, 1, self.image_size)
        light = 1 + 0.25 * (rng.uniform(-1, 1) * axis + rng.uniform(-1, 1) * axis[:, None])[..., None]
        pixels = (first + (second - first) * pattern) * light + rng.normal(0, _PIXEL_NOISE, (*pattern.shape[:2], 3))
        image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
        return {"image": image, "sound": self.sound(index), "label": index % len(KINDS)}

    def check(self, index):
        """Nothing to find out: everything is drawn."""


def sounding_scenes(*, count=2000, image_size=64, seconds=1.0, seed=0):
    """A :class:`SoundingSceneSource`: rendered frames, each with the sound around it.

    Colors, light, places and sizes, and of the sounds loudness, pitch, rates and a floor of noise are drawn anew for
    each scene, alike for all kinds.

    Args:
        count: number of scenes, at least 1; the kinds follow each other in turn.
        image_size: of the frames in pixels, at least 16.
        seconds: of the sounds at 20 kHz, at least 0.1.
        seed: of everything; scenes of another seed are other scenes.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(16, image_size=image_size)
    if not seconds >= SHORTEST:
        raise ConfigError(f"`seconds` must be at least {SHORTEST}. Received: seconds={seconds!r}")
    return SoundingSceneSource(count, image_size, float(seconds), seed)


def _noise(rng, count):
    """Noise whose spectrum falls or rises a little."""
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum * np.maximum(frequencies, 50) ** rng.uniform(-0.3, 0.1), count)


def _tone(rng, count):
    time, pitch = np.arange(count) / SAMPLE_RATE, np.exp(rng.uniform(np.log(200), np.log(1200)))
    partials = range(1, int(rng.integers(3, 7)))
    return sum(np.sin(2 * np.pi * (k * pitch * time + rng.random())) * rng.uniform(0.3, 1) / k for k in partials)


def _swelling(rng, count):
    time = np.arange(count) / SAMPLE_RATE
    swell = 1 + rng.uniform(0.8, 1) * np.sin(2 * np.pi * (rng.uniform(3, 8) * time + rng.random()))
    return _noise(rng, count) * swell


def _clicks(rng, count):
    samples, length = np.zeros(count), int(0.02 * SAMPLE_RATE)
    fall = np.exp(-np.arange(length) / (rng.uniform(0.001, 0.004) * SAMPLE_RATE))
    for start in np.flatnonzero(rng.random(count) < rng.uniform(8, 25) / SAMPLE_RATE).tolist() or [count // 2]:
        part = samples[start : start + length]
        part += (rng.normal(0, 1, length) * fall * rng.uniform(0.4, 1))[: len(part)]
    return samples


def _grid(size):
    axis = np.arange(size, dtype=np.float64)
    return axis[:, None], axis


def _strokes(rng, size):
    long, short = size / rng.uniform(6, 10), size / 80
    noise = gaussian_filter(rng.normal(size=(2 * size, 2 * size)), (long, short))
    image = Image.fromarray(noise / noise.std()).rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR)
    return np.clip(0.5 + 0.4 * np.asarray(image)[size // 2 :, size // 2 :][:size, :size], 0, 1)


def _rings(rng, size):
    y, x = _grid(size)
    rings = np.hypot(y - rng.uniform(0, size), x - rng.uniform(0, size))
    return 0.5 + 0.5 * np.sin(2 * np.pi * (rings / (size / rng.uniform(4, 8)) + rng.random()))


def _waves(rng, size):
    y, x = _grid(size)
    crests = rng.uniform(0.05, 0.1) * size * np.sin(2 * np.pi * (x / size * rng.uniform(1.5, 3) + rng.random()))
    return 0.5 + 0.5 * np.sin(2 * np.pi * ((y + crests) / (size / rng.uniform(4, 8)) + rng.random()))


def _dots(rng, size):
    y, x = _grid(size)
    pattern = np.zeros((size, size))
    for _ in range(int(rng.integers(25, 45))):
        radius = size * rng.uniform(0.02, 0.07)
        away = np.hypot(y - rng.uniform(0, size), x - rng.uniform(0, size))
        pattern = np.maximum(pattern, np.clip(radius - away + 0.5, 0, 1) * rng.uniform(0.6, 1))
    return pattern


_SOUNDS, _PATTERNS = (_noise, _tone, _swelling, _clicks), (_strokes, _rings, _waves, _dots)
