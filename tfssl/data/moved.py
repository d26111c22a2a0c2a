"""Patches that a known shift or rotation relates, cut from an image or from noise: pairs whose truth is known."""

import math

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.errors import ArgumentError

KINDS = ("shifts", "rotations")


def moved_pairs(images, count, *, size=13, kind="shifts", largest=3, seed=0):
    """Analogies a : b :: c : d from gray images: b is a moved, d is c moved alike.

    Args:
        images: uint8 or float array (N, H, W), the same for every pair; or None for white noise, other in every pair.
        count: analogies.
        size: of a patch in pixels (13).
        kind: ``"shifts"``, whole pixels along both axes, each uniform in [-largest, largest]; ``"rotations"`` about the
            patch's center, the angle from a von Mises distribution around 0 of concentration 1.
        largest: shift in pixels (3).
        seed: of everything that is drawn.

    Returns:
        ``(patches, moves)``: uint8 (count, 4, size, size), a to d; float32 (count, 2), pixels down and to the right, or
        (count, 1), degrees counterclockwise.

    Raises:
        ArgumentError: for another kind, or images smaller than :func:`window_size`.
    """
    rng = np.random.default_rng(seed)
    moves = draw_moves(rng, count, kind, largest)
    window = window_size(size, kind, largest)
    if images is None:
        windows = noise_windows(rng, 2 * count, window)
    else:
        images = np.asarray(images)
        if images.ndim != 3 or min(images.shape[1:]) < window:
            raise ArgumentError(
                f"`images` must be an array (N, H, W) of at least {window} pixels a side. Received: {images.shape}"
            )
        numbers = rng.integers(0, len(images), 2 * count)
        windows = np.concatenate([cut_windows(rng, images[n], 1, window) for n in numbers.tolist()])
    return analogies(windows.reshape(count, 2, window, window), moves, size), moves


def draw_moves(rng, count, kind, largest=3):
    """Draw shifts, float32 (count, 2) in pixels, or angles, (count, 1) in degrees, see :func:`moved_pairs`."""
    if kind not in KINDS:
        raise ArgumentError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    if kind == "shifts":
        return rng.integers(-largest, largest + 1, (count, 2)).astype(np.float32)
    return np.degrees(rng.vonmises(0.0, 1.0, (count, 1))).astype(np.float32)


def window_size(size, kind, largest=3):
    """Pixels of the square around a patch of ``size`` out of which nothing moves into it."""
    corner = math.ceil((math.sqrt(2) - 1) * (size - 1) / 2) + 1
    return size + 2 * (largest if kind == "shifts" else corner)


def noise_windows(rng, count, size):
    """White noise, uint8 (count, size, size), of mean 128 and standard deviation 40."""
    noise = rng.standard_normal((count, size, size), np.float32)
    return np.clip(np.rint(128 + 40 * noise), 0, 255).astype(np.uint8)


def cut_windows(rng, pixels, count, size):
    """Squares (count, size, size) of an image (H, W), anywhere in it; it is enlarged where it is smaller.

    Images with channels, (H, W, C), give squares with channels.
    """
    if min(pixels.shape[:2]) < size:
        pixels = np.asarray(scaled(Image.fromarray(pixels), size))
    corners = rng.integers(0, np.array(pixels.shape[:2]) - size + 1, (count, 2))
    return np.stack([pixels[y : y + size, x : x + size] for y, x in corners.tolist()])


def analogies(windows, moves, size):
    """The patches of analogies out of two windows each.

    Shifts leave a and c where they are. Rotations turn a and c once and b and d twice, as the released code does: all
    of them are interpolated alike, otherwise their sharpness would tell the angle.

    Args:
        windows: (N, 2, w, w), w of :func:`window_size`.
        moves: of :func:`draw_moves`.
        size: of the patches.

    Returns:
        uint8 (N, 4, size, size).
    """
    first = moves if moves.shape[1] == 1 else np.zeros_like(moves)
    parts = [moved(windows[:, number], size, first + step * moves) for number in (0, 1) for step in (0, 1)]
    return np.clip(np.rint(np.stack(parts, axis=1)), 0, 255).astype(np.uint8)


def moved(windows, size, moves):
    """The central patch of each window after its content was moved.

    Args:
        windows: (N, w, w), w - size even.
        size: of the patch.
        moves: float (N, 2), pixels down and to the right, or (N, 1), degrees counterclockwise about the center.

    Returns:
        float32 (N, size, size), interpolated linearly; exact for whole pixels.
    """
    margin = windows.shape[1] - size
    if moves.shape[1] == 2 and margin % 2 == 0 and not (moves % 1).any() and 2 * np.abs(moves).max(initial=0) <= margin:
        corners = margin // 2 - moves.astype(int)  # nothing to interpolate: many times faster
        views = np.lib.stride_tricks.sliding_window_view(windows, (size, size), axis=(1, 2))
        return views[np.arange(len(windows)), *corners.T].astype(np.float32)
    axis = np.arange(size) - (size - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    if moves.shape[1] == 2:
        down, right = moves.T[:, :, None, None]
        y, x = y - down, x - right
    else:
        angle = np.radians(moves.astype(np.float64))[:, :, None]
        y, x = np.sin(angle) * x + np.cos(angle) * y, np.cos(angle) * x - np.sin(angle) * y
    last = windows.shape[1] - 1
    # Rounded, because the cosine of a right angle is not quite 0.
    y, x = (np.clip(np.round(part + last / 2, 6), 0, last) for part in (y, x))
    top, left = (np.minimum(part.astype(int), last - 1) for part in (y, x))
    below, beside = y - top, x - left
    row = np.arange(len(windows))[:, None, None]
    values = windows.astype(np.float32)
    upper = values[row, top, left] * (1 - beside) + values[row, top, left + 1] * beside
    lower = values[row, top + 1, left] * (1 - beside) + values[row, top + 1, left + 1] * beside
    return (upper * (1 - below) + lower * below).astype(np.float32)


def motion_pairs(images, count, *, size=32, largest=3, degrees=30.0, seed=0):
    """Pairs of crops of images that a known shift and rotation relates, in color.

    Args:
        images: uint8 (N, H, W, 3) or (N, H, W).
        count: pairs.
        size, largest, degrees: see :func:`motion_pair`.
        seed: of images, places and motions.

    Returns:
        ``(pairs, motions)``: uint8 (count, 2, size, size, 3), float32 (count, 3).

    Raises:
        ArgumentError: for images of another type or shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)) or not len(images):
        raise ArgumentError(
            f"`images` must be uint8 (N, H, W, 3) or (N, H, W). Received: {images.dtype} {images.shape}"
        )
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(images), count).tolist()
    drawn = [motion_pair(Image.fromarray(images[n]).convert("RGB"), size, largest, degrees, rng) for n in numbers]
    pairs, motions = zip(*drawn, strict=True)
    return np.stack(pairs), np.stack(motions)


def motion_pair(image, size, largest, degrees, rng):
    """A crop of an image, and the same after its content was turned about its center and then shifted.

    With rotations both crops are first turned by one more angle of the same range: so both are interpolated, and what
    is upright in a single crop tells the angle only in part. Nothing from outside the image is seen; an image that is
    too small for that is enlarged.

    Args:
        image: ``PIL.Image``.
        size: of the crops in pixels.
        largest: pixels; shifts are whole numbers, uniform in [-largest, largest] along both axes.
        degrees: the angle is uniform in [-degrees, degrees]; 0 does not turn, and keeps all pixels exact.
        rng: of the place and the motion.

    Returns:
        ``(pair, motion)``: uint8 (2, size, size, C), and float32 (3,): pixels to the right and down, degrees
        counterclockwise.
    """
    reach = size / 2 + largest
    room, odd = math.ceil(reach * math.sqrt(2) + 1 if degrees else reach), size % 2
    image = scaled(image, max(2 * room + odd, min(image.size)))
    x, y = (int(rng.integers(room, length - room - odd + 1)) + odd / 2 for length in image.size)
    right, down = rng.integers(-largest, largest + 1, 2).tolist()
    base, angle = rng.uniform(-degrees, degrees, 2).tolist() if degrees else (0.0, 0.0)
    pair = [_turned(image, size, x, y, base), _turned(image, size, x, y, base + angle, right, down)]
    return np.stack(pair), np.array([right, down, angle], np.float32)


def _turned(image, size, x, y, angle, right=0, down=0):
    """The crop around a place (x, y) after the image was turned about it, and then shifted."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, along = size / 2 + right, size / 2 + down
    # Pillow asks where a pixel of the crop comes from.
    rows = (cos, -sin, x - cos * across + sin * along, sin, cos, y - sin * across - cos * along)
    return np.asarray(image.transform((size, size), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR))
