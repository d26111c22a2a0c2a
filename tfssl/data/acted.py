"""Stereo clips of labeled motions, rendered: an object that moves in space before a background.

Everything follows from a seed and a number, as in :mod:`tfssl.data.rendered`.
"""

import dataclasses

import numpy as np
from PIL import Image

from tfssl.data.clip_classes import LabeledClips
from tfssl.data.images import image_source
from tfssl.data.rendered import FrameClip, contrasting_piece, outline
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers

MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise", "toward", "away")
"""What the object does: four directions and two turns in the image plane, and towards the cameras or away from them."""

_VELOCITIES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_TURNS = {"clockwise": 1, "counterclockwise": -1}
_APPROACHES = {"toward": 1, "away": -1}

_RADII = (0.21, 0.29)  # of the object, fractions of the shorter side of a frame
_PLACES = 0.08  # how far off the middle the object is half way, the same fraction
_NEAR = (0.0, 1.5)  # its disparity half way, in pixels
_GAP = (3.0, 4.0)  # how much smaller that of the background is


@dataclasses.dataclass(frozen=True, eq=False)
class ActedSource(Source):
    """Stereo clips of an object that moves, ``{"left", "right": FrameClip}``; make it by :func:`acted_clips`."""

    images: Source
    motions: tuple[str, ...]
    frames: int
    shape: tuple[int, int]
    speed: tuple[float, float]
    turn: tuple[float, float]
    approach: tuple[float, float]
    baseline: float
    noise: float
    seed: int

    noun = "rendered clips"

    def __len__(self):
        return len(self.motions)

    def path(self, index):
        """Where the object is in each frame, ``{name: float (frames,)}``.

        ``x``, ``y``: its center in the left image, pixels; ``angle``: clockwise, radians; ``disparity``: pixels;
        ``scale``: its size relative to that at disparity 0; and, of the whole clip, ``radius`` and ``background``, the
        disparity of the background.
        """
        rng = np.random.default_rng([self.seed, index, 0])
        motion, side = self.motions[index], min(self.shape)
        time = np.arange(self.frames) - (self.frames - 1) / 2
        radius, speed, turn, approach = (
            rng.uniform(*ends) for ends in (_RADII, self.speed, np.radians(self.turn), self.approach)
        )
        half_way, gap, start = rng.uniform(*_NEAR), rng.uniform(*_GAP), rng.uniform(0, 2 * np.pi)
        disparity = half_way + approach * _APPROACHES.get(motion, 0) * time
        scale = 1 + disparity / self.baseline  # both are linear in the inverse of the distance
        velocity = np.array(_VELOCITIES.get(motion, (0, 0))) * speed
        place = rng.uniform(-_PLACES, _PLACES, 2) * side + velocity * time[:, None]
        x, y = (np.array(self.shape[::-1]) / 2 + place * scale[:, None]).T
        angle = start + turn * _TURNS.get(motion, 0) * time
        found = {"x": x, "y": y, "angle": angle, "disparity": disparity, "scale": scale}
        return found | {"radius": radius * side, "background": half_way - gap}

    def example(self, index):
        rng = np.random.default_rng([self.seed, index, 1])
        path = self.path(index)
        size = int(np.ceil(2 * path["radius"]))
        thing = contrasting_piece(self.images, rng, (size, size))
        thing.putalpha(outline(size, bool(rng.integers(2))))
        margin = int(np.ceil(abs(path["background"]))) + 2
        behind = contrasting_piece(self.images, rng, (self.shape[0], self.shape[1] + 2 * margin))
        views = {}
        for role, sees in (("left", 0.0), ("right", 1.0)):  # what is at x on the left is at x - disparity on the right
            corner = margin + sees * path["background"]
            backdrop = self._seen(behind, (1, 0, corner, 0, 1, 0)).convert("RGBA")
            frames = [self._frame(backdrop, thing, path, sees, t) for t in range(self.frames)]
            noisy = np.stack(frames) + rng.normal(0, self.noise, (self.frames, *self.shape, 3))
            views[role] = FrameClip(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        return views

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def _frame(self, backdrop, thing, path, sees, t):
        x, y = path["x"][t] - sees * path["disparity"][t], path["y"][t]
        # From a pixel of the frame back to one of the object.
        cosine, sine = (f(path["angle"][t]) / path["scale"][t] for f in (np.cos, np.sin))
        middle = thing.width / 2
        coefficients = (
            cosine, sine, middle - cosine * x - sine * y,
            -sine, cosine, middle + sine * x - cosine * y,
        )  # fmt: skip
        return np.asarray(Image.alpha_composite(backdrop, self._seen(thing, coefficients)).convert("RGB"))

    def _seen(self, image, coefficients):
        return image.transform(self.shape[::-1], Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)


def acted_clips(
    images="builtin",
    *,
    motions=MOTIONS,
    count=20,
    frames=12,
    size=(48, 48),
    speed=(0.8, 1.6),
    turn=(4.0, 8.0),
    approach=(0.25, 0.5),
    baseline=20.0,
    noise=2.0,
    seed=0,
):
    """Rendered stereo clips with the motion of the object as their label, :class:`LabeledClips`.

    A round or square piece of a photograph moves with constant velocity before another one, seen by two pinhole cameras
    side by side. One that comes nearer grows as perspective has it: at disparity d it is 1 + d / ``baseline`` times as
    large as at disparity 0. Radius, speed, and place, angle and distance half way through the clip are drawn in the
    same way for all motions: what lies in the middle of a clip does not tell its class.

    Args:
        images: photographs that object and background are cut from, see :func:`tfssl.data.images.image_source`.
        motions: of :data:`MOTIONS`, the classes in their order.
        count: clips of each motion, at least 1.
        frames: of a clip, at least 2.
        size: (height, width) in pixels, at least 16.
        speed: (lowest, highest) of motions along the axes of the image, in pixels a frame.
        turn: of turns, in degrees a frame.
        approach: of motions in depth: change of the disparity, in pixels a frame.
        baseline: distance of the cameras, in pixels of an object at disparity 0; the default is about 1.7 times the
            radius of the object, as of two eyes and a thing of the size of a hand.
        noise: deviation of Gaussian noise in each view, in levels of 0 to 255.
        seed: of everything.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(1, count=count)
    check_integers(2, frames=frames)
    check_integers(16, height=size[0], width=size[1])
    motions = tuple(motions)
    strange = [motion for motion in motions if motion not in MOTIONS]
    if strange or len(set(motions)) < max(len(motions), 2):
        raise ConfigError(f"`motions` must be two or more of {', '.join(MOTIONS)}. Received: motions={motions!r}")
    for name, ends in {"speed": speed, "turn": turn, "approach": approach}.items():
        if not 0 < ends[0] <= ends[1]:
            raise ConfigError(f"`{name}` must be (lowest, highest), above 0. Received: {name}={ends!r}")
    nearest = _NEAR[1] + approach[1] * (frames - 1) / 2
    if not baseline > nearest:
        raise ConfigError(f"`baseline` must be above {nearest:g} for so many frames. Received: baseline={baseline!r}")
    labels = np.repeat(np.arange(len(motions)), count).tolist()
    ranges = (tuple(speed), tuple(turn), tuple(approach))
    acted = tuple(motions[label] for label in labels)
    source = ActedSource(
        image_source(images), acted, frames, tuple(size), *ranges, float(baseline), float(noise), seed
    )  # fmt: skip
    return LabeledClips("rendered clips", source, tuple(labels), motions)
