"""Rendered clips of a robot's finger that pushes things about, with its actions and where it is.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`; the same scene can be acted out again
with other actions.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image, ImageDraw

from tfssl.data.images import image_source
from tfssl.data.rendered import FrameClip, texture
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

BUILTIN_CLIPS, BUILTIN_FRAMES = 500, 12
"""Rendered with the builtin photographs where data is ``"builtin"``: clips, and frames of each."""

FINGER = 0.09
"""Radius of the tip of the finger, as a fraction of the frame."""

_RADII = (0.10, 0.15)  # of things, likewise
_PARTS = (0.4, 1.0)  # of the shorter side of a photograph that a frame shows, likewise a thing
_HOLD = (2, 4)  # frames that an action lasts, lowest and highest
_AIMED = 0.6  # fraction of the actions that are aimed at a thing
_SLOWEST = 0.3  # of the highest speed
_SUBSTEPS = 4  # of the motion between two frames
_SUPERSAMPLING = 4
_ARM, _TIP = (72, 76, 84, 255), (222, 226, 232, 255)


@dataclasses.dataclass(frozen=True, eq=False)
class PushedSource(Source):
    """``{"clip": FrameClip, "actions": float32 (T, 2), "states": float32 (T, 2)}``.

    An action is the velocity that the finger is told between a frame and the next, to the right and down, in fractions
    of the highest speed; the finger does not leave the frame. A state is where it is, in fractions of the frame from
    its middle. Things in its way are pushed aside; of two that meet one gives way. Make it by :func:`pushed_source`.
    """

    images: Source
    number: int
    frames: int
    size: int
    things: int
    speed: float
    noise: float
    seed: int

    noun = "rendered clips"

    def __len__(self):
        return self.number

    def example(self, index):
        return dict(_acted_out(self, index))

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def actions(self, index):
        """The actions of a clip, float32 (T, 2); the last one is never seen."""
        rng, start = np.random.default_rng([self.seed, index, 1]), self._start(index)
        drawn, where, left = [], start, 0
        for _ in range(self.frames):
            if left == 0:
                left = int(rng.integers(_HOLD[0], _HOLD[1] + 1))
                thing = where["things"][rng.integers(self.things)] if self.things and rng.random() < _AIMED else None
                angle = rng.uniform(0, 2 * np.pi)
                if thing is not None:
                    aim = thing + rng.normal(0, 0.3 * _RADII[0], 2) * self.size - where["finger"]
                    angle = np.arctan2(aim[1], aim[0])
                action = rng.uniform(_SLOWEST, 1.0) * np.array([np.cos(angle), np.sin(angle)])
            drawn.append(action)
            where, left = self._moved(where, action), left - 1
        return np.array(drawn, np.float32)

    def acted(self, index, actions):
        """The example whose scene is that of ``index``, with other actions, float (T, 2)."""
        where, path = self._start(index), []
        for action in np.asarray(actions, np.float64):
            path.append(where)
            where = self._moved(where, action)
        pixels = self._drawn(index, path)
        states = np.array([place["finger"] for place in path]) / self.size - 0.5
        return {"clip": FrameClip(pixels), "actions": np.asarray(actions, np.float32), "states": np.float32(states)}

    def _start(self, index):
        rng = np.random.default_rng([self.seed, index, 0])
        radii = rng.uniform(*_RADII, self.things) * self.size
        things = rng.uniform(0.2, 0.8, (self.things, 2)) * self.size
        finger = rng.uniform(0.2, 0.8, 2) * self.size
        start = {"finger": finger, "things": things, "radii": radii}
        for _ in range(20):  # nothing lies on anything else
            start = self._apart(start)
        return start

    def _moved(self, where, action):
        for _ in range(_SUBSTEPS):
            finger = where["finger"] + self.speed / _SUBSTEPS * np.asarray(action)
            finger = np.clip(finger, FINGER * self.size, (1 - FINGER) * self.size)
            where = self._apart({**where, "finger": finger})
        return where

    def _apart(self, where):
        """Push things out of the finger; of two things that meet, the later one gives way."""
        things, radii, tip = where["things"].copy(), where["radii"], FINGER * self.size
        for number in range(self.things):
            things[number] = _outside(things[number], where["finger"], radii[number] + tip)
        for first in range(self.things):
            for second in range(first + 1, self.things):
                things[second] = _outside(things[second], things[first], radii[first] + radii[second])
        return {**where, "things": things}

    def _drawn(self, index, path):
        rng = np.random.default_rng([self.seed, index, 2])
        backdrop = self._piece(rng, self.size)
        sprites = [self._thing(rng, radius) for radius in path[0]["radii"]]
        finger, frames = draw_finger(self.size), []
        for where in path:
            frame = backdrop.copy()
            for sprite, place in zip(sprites, where["things"], strict=True):
                put(frame, sprite, place - sprite.width / 2)
            tip = where["finger"] - [finger.width / 2, finger.height - FINGER * self.size - 1]
            put(frame, finger, tip)
            frames.append(np.asarray(frame))
        noisy = np.stack(frames) + rng.normal(0, self.noise, (len(path), self.size, self.size, 3))
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def _piece(self, rng, size):
        """A square out of a photograph, RGB: much of it, because a few of its pixels would be flat."""
        image = texture(self.images, int(rng.integers(len(self.images))))
        side = rng.uniform(*_PARTS) * min(image.size)
        left, top = (rng.uniform(0, length - side) for length in image.size)
        box = (left, top, left + side, top + side)
        return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)

    def _thing(self, rng, radius):
        """A disc or a square out of a photograph, half in a color of its own."""
        size = 2 * int(np.ceil(radius)) + 3
        thing = self._piece(rng, size)
        tint = Image.new("RGB", thing.size, tuple(int(v) for v in rng.integers(40, 256, 3)))
        thing = Image.blend(thing, tint, 0.5)
        fine = Image.new("L", (_SUPERSAMPLING * size,) * 2)
        middle, reach = _SUPERSAMPLING * size / 2, _SUPERSAMPLING * radius
        square = rng.random() < 0.5
        reach = reach * 0.85 if square else reach
        box = (middle - reach, middle - reach, middle + reach - 1, middle + reach - 1)
        (ImageDraw.Draw(fine).rectangle if square else ImageDraw.Draw(fine).ellipse)(box, fill=255)
        thing.putalpha(fine.resize(thing.size, Image.Resampling.BOX))
        return thing


def pushed_source(images="builtin", *, count=500, frames=12, size=32, things=2, speed=2.0, noise=2.0, seed=0):
    """A :class:`PushedSource`.

    Args:
        images: photographs that background and things are cut from, see :func:`tfssl.data.images.image_source`.
        count: clips, at least 1.
        frames: of a clip, at least 2.
        size: height and width in pixels, at least 16.
        things: that lie about, at least 0.
        speed: highest velocity of the finger, in pixels a frame, above 0.
        noise: deviation of Gaussian noise, in levels of 0 to 255.
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(2, frames=frames)
    check_integers(16, size=size)
    check_integers(0, things=things)
    if not 0 < speed <= size / 4:
        raise ConfigError(f"`speed` must be above 0, at most a quarter of size. Received: speed={speed!r}")
    return PushedSource(image_source(images), count, frames, size, things, float(speed), float(noise), seed)


@functools.lru_cache(maxsize=2)  # a run opens its data several times, and what was drawn is kept with the source
def builtin_pushes(size, frames=BUILTIN_FRAMES):
    """:data:`BUILTIN_CLIPS` clips with the builtin photographs, of :data:`BUILTIN_FRAMES` frames at least."""
    return pushed_source(count=BUILTIN_CLIPS, frames=max(frames, BUILTIN_FRAMES), size=size, speed=size / 16)


def _outside(place, other, distance):
    """A place moved straight away from another one, so that it is that far from it."""
    way = place - other
    length = np.hypot(*way)
    if length >= distance:
        return place
    way = way / length if length > 1e-6 else np.array([1.0, 0.0])
    return other + way * distance


def put(frame, sprite, corner):
    """Paste an image with opacity so that its corner lies between pixels."""
    left, top = np.floor(corner).astype(int).tolist()
    across, down = corner - [left, top]
    moved = sprite.transform(
        (sprite.width + 1, sprite.height + 1),
        Image.Transform.AFFINE,
        (1, 0, -across, 0, 1, -down),
        Image.Resampling.BILINEAR,
    )
    frame.paste(moved, (left, top), moved)


@functools.lru_cache(maxsize=1024)  # 40 kB each at 32 pixels; to draw one takes as long as to learn from it
def _acted_out(source, index):
    return source.acted(index, source.actions(index))


@functools.lru_cache(maxsize=8)
def draw_finger(size):
    """The finger and its arm, which comes in from above: RGBA, the tip at the lower end."""
    radius = FINGER * size
    width, height = 2 * int(np.ceil(radius)) + 2, size + int(np.ceil(radius)) + 1
    fine = Image.new("RGBA", (_SUPERSAMPLING * width, _SUPERSAMPLING * height))
    draw, scale = ImageDraw.Draw(fine), _SUPERSAMPLING
    x, y = scale * width / 2, scale * (height - radius - 1)
    draw.rectangle((x - 0.35 * scale * radius, 0, x + 0.35 * scale * radius, y), fill=_ARM)
    for reach, color in ((radius, _ARM), (0.65 * radius, _TIP)):
        draw.ellipse((x - scale * reach, y - scale * reach, x + scale * reach, y + scale * reach), fill=color)
    return fine.resize((width, height), Image.Resampling.BOX)
