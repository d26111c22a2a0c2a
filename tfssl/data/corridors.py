"""Rendered drives through textured corridors, seen by two cameras whose poses are known.

A scene is the ground, a wall on either side of a winding road, boards that stand beside it, and a panorama far away:
planes covered with photographs, which rays of the cameras meet. Everything follows from a seed and needs no files.
"""

import dataclasses
import functools
import threading

import numpy as np
from PIL import Image

from tfssl.data.images import image_source
from tfssl.data.source import Source
from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers
from tfssl.ops.trajectory import path_of, poses_of_path

CAMERA_HEIGHT, BASELINE = 1.65, 0.54
"""Of the cameras above the ground and from each other, meters, as in KITTI."""

_FOCAL = 0.64  # of the width: KITTI's, of images cut to 3 : 1
_KNOT = 15  # frames after which the driver chooses speed and curvature anew
_STRAIGHT = 0.35  # fraction of the choices that drive straight on
_BEHIND, _AHEAD = 6.0, 60.0  # meters of the road whose planes are drawn
_WALL_STEP = 1.5  # meters of a flat piece of wall
_WIDTH, _WIDTH_KNOT = (3.0, 9.0), 20.0  # meters from road to wall; of the road, after which it is chosen anew
_BOARD_EVERY = 9.0  # meters of road, on average
_LAYERS = 3  # planes behind each other that a ray is followed to
_NEAREST = 0.2  # meters in front of the camera where planes begin
_SUPERSAMPLING = 2
_LARGEST_TEXTURE, _LEVELS = 256, 8  # pixels; each level has half of those of the one before
_TEXTURES = 8  # of a drive: parts of photographs


@dataclasses.dataclass(frozen=True, eq=False)
class CorridorSource(Source):
    """One drive: ``{"left", "right": PIL.Image of mode L, "pose": float64 (4, 4)}``, frame by frame.

    As :class:`tfssl.data.posed.PosedSource` it has ``poses``, (N, 4, 4) of the left camera, ``intrinsics``, (3, 3) in
    pixels, and ``baseline`` in meters. The whole drive is rendered when a frame is first asked for, and kept: twice
    height times width bytes a frame. Make it by :func:`corridor_source`.
    """

    textures: Source
    shape: tuple[int, int]
    poses: np.ndarray
    intrinsics: np.ndarray
    baseline: float
    scene: dict
    noise: float
    seed: int
    kept: list = dataclasses.field(default_factory=list, repr=False)

    noun = "rendered frames"

    def __post_init__(self):
        object.__setattr__(self, "_lock", threading.Lock())

    def __len__(self):
        return len(self.poses)

    def example(self, index):
        with self._lock:
            if not self.kept:
                pyramids = _pyramids(self.textures, self.scene["textures"])
                self.kept.extend([self._pair(number, pyramids) for number in range(len(self))])
        left, right = (Image.fromarray(view) for view in self.kept[index])
        return {"left": left, "right": right, "pose": self.poses[index].copy()}

    def name(self, index):
        return f"drive {self.seed}, frame {index}"

    def check(self, index):
        """Nothing to find out: everything is drawn."""

    def __getstate__(self):  # a worker process renders its own
        return {**self.__dict__, "kept": [], "_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state | {"_lock": threading.Lock()})

    def _pair(self, index, pyramids):
        rng, pose, scene = np.random.default_rng([self.seed, 1, index]), self.poses[index], self.scene
        ahead = scene["planes"]["road"] - scene["road"][index]
        near = (ahead > -_BEHIND) & (ahead < _AHEAD)
        planes = {name: values[near] for name, values in scene["planes"].items()}
        origin, right = pose[[0, 2], 3], pose[[0, 2], 0]
        views = [self._view(origin + shift * right, pose, planes, pyramids) for shift in (0.0, self.baseline)]
        return [np.clip(np.rint(v + rng.normal(0, self.noise, v.shape)), 0, 255).astype(np.uint8) for v in views]

    def _view(self, origin, pose, planes, pyramids):
        """What a camera sees, float (H, W): rays through parts of pixels, averaged."""
        height, width = (n * _SUPERSAMPLING for n in self.shape)
        focal, (center_x, center_y) = self.intrinsics[0, 0], self.intrinsics[:2, 2]
        x = ((np.arange(width) + 0.5) / _SUPERSAMPLING - 0.5 - center_x) / focal
        y = ((np.arange(height) + 0.5) / _SUPERSAMPLING - 0.5 - center_y) / focal
        angle = 1 / (focal * _SUPERSAMPLING)  # that a part of a pixel covers
        rays = pose[[0, 2], 2] + x[:, None] * pose[[0, 2], 0]  # seen from above: at depth t, origin + t * ray

        # Far away: a photograph around the horizon, which turns with the camera alone.
        texture, scale = np.full((2, height, width), np.array(self.scene["panorama"])[:, None, None])
        size = np.full((height, width), angle)
        at = np.stack(np.broadcast_arrays(np.arctan2(rays[:, 1], rays[:, 0]), -y[:, None]), axis=-1)
        light = np.ones((height, width))

        rows = np.flatnonzero(y > 0)
        depth = CAMERA_HEIGHT / y[rows]
        texture[rows], scale[rows], *corner = self.scene["ground"]
        at[rows] = corner + origin + depth[:, None, None] * rays
        # A pixel covers depth * angle across and depth^2 / height * angle along: their geometric mean.
        size[rows] = (depth**1.5 / np.sqrt(CAMERA_HEIGHT) * angle)[:, None]

        depth, along, plane = _meet(origin, rays, planes)
        level = CAMERA_HEIGHT - y[:, None] * depth[:, None]  # of where each ray meets a plane, above the ground
        seen = (level >= 0) & (level <= planes["height"][plane][:, None])
        rows, columns = np.nonzero(seen.any(axis=0))
        layer = seen[:, rows, columns].argmax(axis=0)
        which = plane[layer, columns]
        at[rows, columns] = np.stack([along[layer, columns], -level[layer, rows, columns]], axis=1)
        size[rows, columns] = depth[layer, columns] * angle
        for values, name in ((texture, "texture"), (scale, "scale"), (light, "light")):
            values[rows, columns] = planes[name][which]

        texels = _sampled(pyramids, texture.astype(int), at, size, scale)
        fine, parts = texels * light, range(_SUPERSAMPLING)
        return sum(fine[i::_SUPERSAMPLING, j::_SUPERSAMPLING] for i in parts for j in parts) / _SUPERSAMPLING**2


def corridor_source(textures="builtin", *, frames=100, size=(32, 96), speed=(0.3, 1.5), radius=14.0, noise=2.0, seed=0):
    """A drive as a :class:`CorridorSource`.

    Speed and curvature change smoothly, along straight parts and turns to both sides. Cameras stand 1.65 m above the
    ground and 0.54 m apart, with a focal length of 0.64 of the width.

    Args:
        textures: images, see :func:`tfssl.data.images.image_source`; shown in gray.
        frames: of the drive, at least 2.
        size: (height, width) in pixels, at least 16.
        speed: (lowest, highest) in meters a frame.
        radius: of the tightest turn in meters, at least 12; None drives straight on.
        noise: deviation of Gaussian noise in each view, in levels of 0 to 255.
        seed: of road, scene, textures and noise.

    Raises:
        ConfigError: for a value outside its range.
    """
    check_integers(2, frames=frames)
    check_integers(16, height=size[0], width=size[1])
    if not 0 < speed[0] <= speed[1]:
        raise ConfigError(f"`speed` must be (lowest, highest), above 0. Received: speed={speed!r}")
    if radius is not None and not radius >= 12:  # walls stand up to 9 m beside the road
        raise ConfigError(f"`radius` must be at least 12 meters, or None. Received: radius={radius!r}")
    source, rng = image_source(textures), np.random.default_rng([seed, 0])
    first, steps = _drive(rng, frames, speed, radius)
    poses = poses_of_path(path_of(steps))
    poses = np.linalg.solve(poses[first], poses)  # the first frame is where the world begins
    arc = np.concatenate([[0.0], np.cumsum(steps[:, 0])])
    own = slice(first, first + frames)
    scene = _scene(rng, poses, arc, len(source)) | {"road": arc[own]}
    (height, width), focal = size, _FOCAL * size[1]
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    return CorridorSource(source, (height, width), poses[own].copy(), intrinsics, BASELINE, scene, float(noise), seed)


def _drive(rng, frames, speed, radius):
    """Number of the first frame; distance and change of heading of each frame, (N, 2), with road before and after."""
    first = int(np.ceil(_BEHIND / speed[0]))
    total = first + frames + int(np.ceil(_AHEAD / speed[0]))
    knots = total // _KNOT + 2
    at = np.arange(total) / _KNOT
    speeds = np.interp(at, np.arange(knots), rng.uniform(*speed, knots))
    curvatures = np.where(rng.random(knots) < _STRAIGHT, 0.0, rng.uniform(-1, 1, knots))
    curvature = np.interp(at, np.arange(knots), curvatures) / (np.inf if radius is None else radius)
    return first, np.stack([speeds, curvature * speeds], axis=1)


def _scene(rng, poses, arc, available):
    """Textures as :func:`_pyramids` takes them, planes as arrays of equal length, and (number of its texture, texels in
    a meter, where it begins) of the ground, (number of its texture, texels in a radian) of the panorama.

    A plane stands upright on ``start`` to ``start + edge``, both (N, 2); ``along`` meters of its texture lie before it,
    and ``road`` meters of the road.
    """
    numbers = rng.integers(available, size=_TEXTURES).tolist()
    cuts = [(int(rng.integers(8)), rng.uniform(0.5, 1.0), *rng.random(2).tolist()) for _ in numbers]
    textures = [(number, *cut) for number, cut in zip(numbers, cuts, strict=True)]
    marks = np.arange(0.0, arc[-1], _WALL_STEP)
    places, right = (np.stack([np.interp(marks, arc, poses[:, k, c]) for k in (0, 2)], axis=1) for c in (3, 0))
    parts = []
    for side in (-1, 1):
        knots = np.arange(0.0, arc[-1] + 2 * _WIDTH_KNOT, _WIDTH_KNOT)
        wide = np.interp(marks, knots, rng.uniform(*_WIDTH, len(knots)))
        corners = places + side * wide[:, None] * right
        edge = np.diff(corners, axis=0)
        number = len(edge)
        parts.append(
            {
                "start": corners[:-1],
                "edge": edge,
                "along": np.concatenate([[0.0], np.cumsum(np.linalg.norm(edge, axis=1))[:-1]]),
                "road": marks[:-1],
                "height": np.full(number, rng.uniform(2.0, 8.0)),
                "texture": np.full(number, rng.integers(len(textures))),
                "scale": np.full(number, _scale(rng)),
                "light": np.full(number, rng.uniform(0.6, 1.2)),
            }
        )
    number = max(1, int(arc[-1] / _BOARD_EVERY))
    mark, angle = rng.integers(len(marks), size=number), rng.uniform(0, np.pi, number)
    beside = rng.choice([-1, 1], number) * rng.uniform(2.2, 4.0, number)
    edge = rng.uniform(0.4, 1.4, number)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    parts.append(
        {
            "start": places[mark] + beside[:, None] * right[mark] - edge / 2,
            "edge": edge,
            "along": rng.uniform(0, 20, number),
            "road": marks[mark],
            "height": rng.uniform(0.5, 3.0, number),
            "texture": rng.integers(len(textures), size=number),
            "scale": _scale(rng, number),
            "light": rng.uniform(0.5, 1.3, number),
        }
    )
    return {
        "textures": textures,
        "planes": {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        "ground": (int(rng.integers(len(textures))), _scale(rng), *rng.uniform(0, 20, 2)),
        "panorama": (int(rng.integers(len(textures))), rng.uniform(60, 160)),  # texels in a radian
    }


def _scale(rng, count=None):
    """Texels in a meter."""
    return np.exp(rng.uniform(np.log(8), np.log(40), count))


def _meet(origin, rays, planes):
    """Where rays meet planes, the nearest first: depths, places along the planes in meters, and numbers of the planes.

    All (_LAYERS, rays), with depth inf where a ray meets no further plane.
    """
    start, edge = planes["start"] - origin, planes["edge"]
    with np.errstate(divide="ignore", invalid="ignore"):
        across = _cross(rays[:, None], edge)
        depth = _cross(start, edge) / across
        part = _cross(start, rays[:, None]) / across
    depth = np.where((part >= 0) & (part < 1) & (depth > _NEAREST), depth, np.inf)
    depth = np.concatenate([depth, np.full((len(rays), _LAYERS), np.inf)], axis=1)
    nearest = np.argsort(depth, axis=1, kind="stable")[:, :_LAYERS]
    depth = np.take_along_axis(depth, nearest, axis=1)
    plane = np.where(np.isfinite(depth), nearest, 0)
    along = np.take_along_axis(part, plane, axis=1) * np.linalg.norm(edge, axis=1)[plane] + planes["along"][plane]
    return depth.T, along.T, plane.T


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _pyramids(source, textures):
    """Parts of photographs in gray and their halvings behind each other.

    Args:
        source: the photographs.
        textures: list of (number, turn, extent, x, y): one of the 8 turns and reflections, and a part that extends over
            that fraction of both sides, at these fractions of what is left.

    Returns:
        ``(texels, begin, shape)``: float32 (N,), where each level begins, int (textures, levels), and its (height,
        width), int (textures, levels, 2).
    """
    texels, begin, shape = [], np.zeros((len(textures), _LEVELS), int), np.zeros((len(textures), _LEVELS, 2), int)
    for row, (number, turn, extent, x, y) in enumerate(textures):
        image = _gray(source, number)
        width, height = (max(1, round(n * extent)) for n in image.size)
        left, top = round(x * (image.width - width)), round(y * (image.height - height))
        image = image.crop((left, top, left + width, top + height))
        image = image if turn == 0 else image.transpose(Image.Transpose(turn - 1))
        image.thumbnail((_LARGEST_TEXTURE, _LARGEST_TEXTURE), Image.Resampling.LANCZOS)
        for level in range(_LEVELS):
            size = [max(1, n >> level) for n in image.size]
            begin[row, level] = sum(map(len, texels))
            shape[row, level] = size[::-1]
            texels.append(np.asarray(image.resize(size, Image.Resampling.BOX), np.float32).ravel())
    return np.concatenate(texels), begin, shape


@functools.lru_cache(maxsize=64)  # a few photographs are textures of many drives, and decoding is most of the work
def _gray(source, number):
    return source.example(number)["image"].convert("L")


def _sampled(pyramids, texture, at, size, scale):
    """Gray values of textures that repeat themselves mirrored, interpolated linearly, float32 (...).

    Args:
        pyramids: of :func:`_pyramids`.
        texture: int (...), numbers in it.
        at: (..., 2), across and down, in meters.
        size: (...), meters that a sample covers, which chooses the level.
        scale: (...), texels in a meter.
    """
    texels, begin, shape = pyramids
    level = np.clip(np.rint(np.log2(size * scale)), 0, _LEVELS - 1).astype(int)
    begin, (height, width) = begin[texture, level], np.moveaxis(shape[texture, level], -1, 0)
    x, y = np.moveaxis(at * (scale / 2.0**level)[..., None] - 0.5, -1, 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    beside, below = (x - left).astype(np.float32), (y - top).astype(np.float32)
    columns = [_mirrored(left + step, width) for step in (0, 1)]
    rows = [begin + width * _mirrored(top + step, height) for step in (0, 1)]
    upper, lower = (texels[row + columns[0]] * (1 - beside) + texels[row + columns[1]] * beside for row in rows)
    return upper * (1 - below) + lower * below


def _mirrored(index, count):
    index = index % (2 * count)
    return np.minimum(index, 2 * count - 1 - index)
