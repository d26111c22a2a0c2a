"""Rendered objects on a turntable: clips in which an object turns, and single views of it, as in NORB.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image

from tfssl.data.clip_classes import LabeledClips
from tfssl.data.labeled import LabeledImages
from tfssl.data.rendered import FrameClip
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

RATE = 12.0
"""Frames a second of the clips."""

_PARTS = (4, 8)  # ellipsoids of an object, the second number excluded
_CENTERS = 0.5  # largest distance of the middle of a part from the axis
_RADII = (0.15, 0.5)
_TONES = (0.25, 1.0)  # reflectance of the parts
_ELEVATIONS = (15.0, 60.0)  # degrees, from which the camera looks down
_LIGHTS = 0.5  # how far the light is off the camera, largest tangent
_AMBIENT = 0.25
_BACKGROUNDS = (90.0, 170.0)  # levels
_NOISE = 4.0  # deviation, levels
_EXTENT = 1.15  # half the width of a view, the object fits into a unit sphere or so


@dataclasses.dataclass(frozen=True, eq=False)
class _Turns(Source):
    """Item i is of object ``labels[i]``; what is drawn of an object does not depend on the other items."""

    labels: tuple[int, ...]
    size: int
    seed: int

    def __len__(self):
        return len(self.labels)

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def _drawn(self, index):
        rng = np.random.default_rng([self.seed, 1, index])
        thing = turned_object(self.labels[index])
        light = np.array([*rng.uniform(-_LIGHTS, _LIGHTS, 2), 1.0])
        return rng, thing, rng.uniform(0, 360), rng.uniform(*_ELEVATIONS), light, rng.uniform(*_BACKGROUNDS)

    def _noisy(self, rng, view):
        levels = np.clip(np.rint(view + rng.normal(0, _NOISE, view.shape)), 0, 255).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class TurningClips(_Turns):
    """Clips ``{"clip": FrameClip}`` of an object that turns; make them by :func:`turning_clips`."""

    frames: int
    step: float

    noun = "rendered clips"

    def example(self, index):
        rng, thing, azimuth, elevation, light, background = self._drawn(index)
        turn = self.step * (1 if rng.random() < 0.5 else -1)
        views = [
            self._noisy(rng, view_of(thing, azimuth + turn * t, elevation, light, background, self.size))
            for t in range(self.frames)
        ]
        return {"clip": FrameClip(np.stack(views), np.arange(self.frames) / RATE)}


@dataclasses.dataclass(frozen=True, eq=False)
class TurnedViews(_Turns):
    """Single views ``{"image": PIL.Image}`` of objects; make them by :func:`turned_views`."""

    noun = "rendered images"

    def example(self, index):
        rng, *about = self._drawn(index)
        return {"image": Image.fromarray(self._noisy(rng, view_of(*about, self.size)))}


def turning_clips(*, objects=10, count=20, frames=24, step=6.0, size=32, seed=0):
    """Rendered clips of objects that turn, each with its object as the label: :class:`LabeledClips`.

    Objects are a few ellipsoids of different gray that are grown together, seen in parallel projection by a camera that
    looks down at them. The object turns about its upright axis at a constant speed, to the left or to the right; where
    it begins, elevation, direction of the light and background are drawn for each clip.

    Args:
        objects: number of classes, at least 2. Object i is the same whatever the other arguments.
        count: clips of each object, at least 1.
        frames: of a clip, at least 2; there are 12 in a second.
        step: degrees from one frame to the next, above 0.
        size: of the frames in pixels, at least 16.
        seed: of everything but the objects themselves.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(2, frames=frames)
    labels = _labels(objects, count, size)
    if not step > 0:
        raise ConfigError(f"`step` must be above 0 degrees. Received: step={step!r}")
    return LabeledClips(
        "rendered clips", TurningClips(labels, size, seed, frames, float(step)), labels, _names(objects)
    )


def turned_views(*, objects=10, count=2, size=32, seed=0):
    """Rendered single views of the objects of :func:`turning_clips`: :class:`~tfssl.data.labeled.LabeledImages`.

    Args:
        objects, size: as :func:`turning_clips`.
        count: views of each object, at least 1.
        seed: of the views; those of another seed are other ones.
    """
    labels = _labels(objects, count, size)
    return LabeledImages("rendered images", TurnedViews(labels, size, seed), labels, _names(objects))


def _labels(objects, count, size):
    check_integers(2, objects=objects)
    check_integers(1, count=count)
    check_integers(16, size=size)
    return tuple(np.repeat(np.arange(objects), count).tolist())


def _names(objects):
    return tuple(f"object{number:02}" for number in range(objects))


@functools.lru_cache(maxsize=256)
def turned_object(number):
    """The parts of object ``number``: ``(centers (k, 3), shapes (k, 3, 3), tones (k,))``.

    A point p is in part i where ``|shapes[i] (p - centers[i])| <= 1``.
    """
    rng = np.random.default_rng([0, number])
    count = int(rng.integers(*_PARTS))
    centers = rng.uniform(-_CENTERS, _CENTERS, (count, 3))
    frames, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    radii = rng.uniform(*_RADII, (count, 3))
    return centers, frames / radii[:, :, None], rng.uniform(*_TONES, count)


def view_of(thing, azimuth, elevation, light, background, size):
    """A view of an object: parallel projection, shaded by the angle between surface and light.

    Args:
        thing: of :func:`turned_object`.
        azimuth, elevation: of the camera in degrees.
        light: direction towards it (3,), x to the right, y up, z towards the camera.
        background: its level.
        size: of the view in pixels.

    Returns:
        float64 (size, size), levels.
    """
    a, e = np.radians([azimuth, elevation])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    camera = about_x @ about_y
    fine = 2 * size  # four rays a pixel
    axis = (np.arange(fine) + 0.5) / fine * 2 * _EXTENT - _EXTENT
    x, y = np.meshgrid(axis, -axis)
    origins = np.stack([x, y, np.zeros_like(x)], axis=-1) @ camera  # of the rays, in the object's own axes
    light = camera.T @ (light / np.linalg.norm(light))
    levels, depth = np.full((fine, fine), float(background)), np.full((fine, fine), -np.inf)
    for center, shape, tone in zip(*thing, strict=True):
        start, ray = (origins - center) @ shape.T, shape @ camera[2]
        along, square = start @ ray, ray @ ray
        inside = along**2 - square * ((start**2).sum(axis=-1) - 1)
        reach = (np.sqrt(np.maximum(inside, 0)) - along) / square  # of the nearer side; the camera is at +z
        seen = (inside > 0) & (reach > depth)
        normals = (start + reach[..., None] * ray) @ shape
        shade = np.maximum(normals @ light, 0) / np.linalg.norm(normals, axis=-1)
        levels = np.where(seen, 255 * tone * (_AMBIENT + (1 - _AMBIENT) * shade), levels)
        depth = np.where(seen, reach, depth)
    return levels.reshape(size, 2, size, 2).mean((1, 3))
