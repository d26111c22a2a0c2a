"""Rendered rooms with exact depth: a floor, a ceiling, four walls, and things of one kind on the floor.

    python benchmarks/rooms.py --out rooms/ --count 600 [--labels]

Writes color/ and depth/ (PNG, millimeters) of 96x96 pixels; CAMERA below has the intrinsics. With --labels both stand
in a folder for each kind. Floors are brown, ceilings nearly white and
walls pale, as rooms are; the color of a thing says nothing about its kind.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 96
CAMERA = {"fx": 80.0, "fy": 80.0, "cx": 47.5, "cy": 47.5}
KINDS = ("ball", "box", "column", "table")
_ROOM_HEIGHT = 2.6  # meters
_AMBIENT = 0.45


def render(kind, rng):
    """A room with one to three things of a kind: uint8 (96, 96, 3), and depth in meters, float64 (96, 96)."""
    eye = rng.uniform(1.2, 1.7)
    turned = _turned(np.radians(rng.uniform(8, 28)), np.radians(rng.uniform(-5, 5)))
    v, u = np.indices((SIZE, SIZE))
    camera = np.stack([(u - CAMERA["cx"]) / CAMERA["fx"], (v - CAMERA["cy"]) / CAMERA["fy"], np.ones(u.shape)], axis=-1)
    rays = camera.reshape(-1, 3) @ turned.T  # x to the right, y down, z ahead, of a room that stands upright
    front = rng.uniform(3.0, 5.5)
    surfaces = [
        (_plane(rays, 1, eye), _color(rng, (25, 35), (0.35, 0.6), (0.35, 0.6))),
        (_plane(rays, 1, eye - _ROOM_HEIGHT), _color(rng, (0, 360), (0.0, 0.05), (0.85, 0.95))),
    ]
    wall = _color(rng, (0, 360), (0.05, 0.25), (0.6, 0.85))
    surfaces += [(_plane(rays, axis, far), wall) for axis, far in ((2, front), (0, rng.uniform(1.5, 3)))]
    surfaces.append((_plane(rays, 0, -rng.uniform(1.5, 3)), wall))
    for _ in range(rng.integers(1, 4)):
        far = rng.uniform(1.7, front - 0.6)
        spot = np.array([rng.uniform(-0.4, 0.4) * far, eye, far])
        thing, color = _thing(kind, rays, spot, rng), _color(rng, (0, 360), (0.3, 0.9), (0.3, 0.9))
        surfaces += [(part, color) for part in thing]
    depth = np.stack([found[0] for found, _ in surfaces])
    nearest = depth.argmin(axis=0)
    pick = np.arange(SIZE * SIZE)
    normals = np.stack([found[1] for found, _ in surfaces])[nearest, pick]
    light = np.array([rng.uniform(-0.6, 0.6), -1.0, rng.uniform(-0.8, 0.0)])
    facing = np.where(np.sum(normals * rays, axis=1, keepdims=True) > 0, -normals, normals)
    bright = _AMBIENT + (1 - _AMBIENT) * np.clip(facing @ (light / np.linalg.norm(light)), 0, 1)
    rgb = np.stack([color for _, color in surfaces])[nearest] * bright[:, None]
    rgb = rgb * rng.normal(1, 0.03, (SIZE * SIZE, 1)) + rng.normal(0, 0.01, (SIZE * SIZE, 3))
    rgb = np.clip(np.rint(255 * rgb), 0, 255).astype(np.uint8)
    return rgb.reshape(SIZE, SIZE, 3), depth[nearest, pick].reshape(SIZE, SIZE)


def _turned(pitch, roll):
    """Axes of a camera that looks down by ``pitch`` and is tilted by ``roll``, as columns."""
    down = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return down @ tilt


def _color(rng, *ranges):
    """RGB in [0, 1] of a hue (degrees), a saturation and a value from ranges."""
    hue, saturation, value = (rng.uniform(*one) for one in ranges)
    wheel = (np.array([5.0, 3.0, 1.0]) + hue / 60) % 6
    return value * (1 - saturation * np.clip(np.minimum(wheel, 4 - wheel), 0, 1))


def _thing(kind, rays, spot, rng):
    """``[(distance of each ray, infinite beside it; normals), ...]`` of the parts of a thing that stands on a spot."""
    size = rng.uniform(0.35, 0.6)
    if kind == "ball":
        return [_ball(rays, spot - [0, size / 2, 0], size / 2)]
    if kind == "column":
        return [_column(rays, spot, size / 2.5, rng.uniform(0.5, 1.1))]
    turn = rng.uniform(0, np.pi)
    local = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    if kind == "box":
        half = np.array([size / 2, rng.uniform(0.5, 1.1) / 2, size / 2])
        return [_box(rays, spot - [0, half[1], 0], half, local)]
    height, half = rng.uniform(0.5, 0.75), size * rng.uniform(0.6, 0.9)
    parts = [_box(rays, spot - [0, height, 0], np.array([half, 0.03, half]), local)]
    for x in (-1, 1):
        for z in (-1, 1):
            foot = np.array([x * half * 0.9, -height / 2, z * half * 0.9]) @ local
            parts.append(_box(rays, spot + foot, np.array([0.03, height / 2, 0.03]), local))
    return parts


def _plane(rays, axis, far):
    with np.errstate(divide="ignore"):
        distance = far / rays[:, axis]
    return np.where(distance > 0, distance, np.inf), np.broadcast_to(np.eye(3)[axis], rays.shape)


def _ball(rays, center, radius):
    a, b, c = np.sum(rays**2, axis=1), rays @ center, center @ center - radius**2
    root = b**2 - a * c
    distance = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    hits = np.where(np.isfinite(distance), distance, 0)[:, None] * rays
    return distance, (hits - center) / radius


def _column(rays, spot, radius, height):
    flat, center = rays[:, [0, 2]], spot[[0, 2]]
    a, b, c = np.sum(flat**2, axis=1), flat @ center, center @ center - radius**2
    root = b**2 - a * c
    side = (b - np.sqrt(np.maximum(root, 0))) / a
    y = side * rays[:, 1]
    side = np.where((root > 0) & (y > spot[1] - height) & (y < spot[1]), side, np.inf)
    with np.errstate(divide="ignore"):
        top = (spot[1] - height) / rays[:, 1]
    reached = np.where(np.isfinite(top), top, 0)[:, None] * flat
    top = np.where((top > 0) & (np.sum((reached - center) ** 2, axis=1) < radius**2), top, np.inf)
    hits = np.where(np.isfinite(side), side, 0)[:, None] * flat
    around = np.insert((hits - center) / radius, 1, 0.0, axis=1)
    return np.minimum(side, top), np.where((top < side)[:, None], [0.0, -1.0, 0.0], around)


def _box(rays, center, half, local):
    """A box whose own axes are the rows of ``local``."""
    own, start = rays @ local.T, -(local @ center)
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = np.sort(np.stack([(-half - start) / own, (half - start) / own]), axis=0)
    distance = near.max(axis=1)
    hit = (distance < far.min(axis=1)) & (distance > 0)
    return np.where(hit, distance, np.inf), local[near.argmax(axis=1)]


def write(out, count, seed, *, labels=False):
    """Write so many rooms, every kind as often as the others; with ``labels`` in a folder for each kind.

    Rooms that are there already are kept.
    """
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        color, depth = (
            Path(out) / (kind if labels else "") / folder / f"{index:05d}.png" for folder in ("color", "depth")
        )
        if color.exists() and depth.exists():
            continue
        rgb, meters = render(kind, np.random.default_rng((seed, index)))
        for path, array in ((color, rgb), (depth, np.rint(meters * 1000).astype(np.uint16))):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="folder")
    parser.add_argument("--count", type=int, default=600, help="of the rooms")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other rooms")
    parser.add_argument("--labels", action="store_true", help="a folder for each kind")
    arguments = parser.parse_args()
    write(arguments.out, arguments.count, arguments.seed, labels=arguments.labels)


if __name__ == "__main__":
    main()
