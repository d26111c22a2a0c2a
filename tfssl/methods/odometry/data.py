"""Examples of odometry: windows of gray stereo frames, their motion, and what the training data say of both."""

import math

import numpy as np

from tfssl.data.crop import scaled
from tfssl.data.examples import spread_examples
from tfssl.ops.patch_whitening import cosine_whitening, pca_whitening, standardize_patches
from tfssl.ops.trajectory import motions, to_classes, uniform_edges

_ADAPT_ITEMS, _ADAPT_BLOCKS = 200, 20_000
_RANGES = {"velocity": (0.0, 2.0), "heading": (-math.radians(6), math.radians(6))}
"""Per frame, where no data have been seen."""


def window(method, example, mirrored=False):
    """Frames of a window, uint8 (height, width, 2 frames), and speed and change of heading per frame, float32 (2,).

    Mirrored, the heading changes to the other side.
    """
    views = [_cut(method, frame) for side in ("left", "right") for frame in example[side]]
    pixels, motion = np.stack(views, axis=-1), motions(example["pose"], method.frames - 1)[0].astype(np.float32)
    return (mirror(pixels), motion * np.float32([1, -1])) if mirrored else (pixels, motion)


def mirror(pixels):
    """Windows (..., H, W, 2 frames) in a mirror, in which the cameras have changed places."""
    return np.roll(pixels[..., ::-1, :], pixels.shape[-1] // 2, axis=-1)


def _cut(method, frame):
    pixels = np.asarray(scaled(frame.convert("L"), method.height))
    height, width = pixels.shape
    if width < method.width or height < method.height:
        raise ValueError(f"{frame.width}x{frame.height} pixels are too narrow for {method.width} x {method.height}")
    top, left = (height - method.height) // 2, (width - method.width) // 2
    return pixels[top : top + method.height, left : left + method.width]


def cut_blocks(method, pixels, rng):
    """Blocks at places drawn over a window, uint8 (patches, 2, s, s, frames): the left and the right camera's."""
    size, count = method.patch_size, method.patches
    rows = rng.integers(0, method.height - size + 1, count)
    columns = rng.integers(0, method.width - size + 1, count)
    cut = [pixels[y : y + size, x : x + size] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    return np.stack(cut).reshape(count, size, size, 2, method.frames).transpose(0, 3, 1, 2, 4)


def whitened(method, blocks):
    """Both sides of uint8 (N, 2, s, s, frames), whitened: two of float32 (N, components)."""
    mean, matrix = whitening_of(method)
    sides = (blocks[:, side].reshape(len(blocks), -1) / np.float32(255) for side in (0, 1))
    return tuple(((standardize_patches(side) - mean) @ matrix).astype(np.float32) for side in sides)


def whitening_of(method):
    """``(mean, matrix)``: what the data gave, or cosines where none have been seen."""
    found = method.statistics
    shape = (method.patch_size, method.patch_size, method.frames)
    return (found["mean"], found["matrix"]) if found else cosine_whitening(shape, method.components)


def edges_of(method, answer):
    """Borders of the classes of ``"velocity"`` or ``"heading"``: those of the data, or of a wide range without any."""
    found, bins = method.statistics.get(f"{answer}_edges"), getattr(method, f"{answer}_bins")
    return np.asarray(found, np.float64) if found is not None else uniform_edges(*_RANGES[answer], bins)


def entropy_of(method, answer):
    """Of the classes of the training windows, in nats; of equally frequent ones where none have been seen."""
    counts = method.statistics.get(f"{answer}_counts")
    if counts is None:
        return math.log(getattr(method, f"{answer}_bins"))
    fractions = counts[counts > 0] / counts.sum()
    return float(-(fractions * np.log(fractions)).sum())


def statistics_of(method, source):
    """See :meth:`Odometry.adapt`."""

    def draw(example, seed):
        rng = np.random.default_rng(seed)
        blocks = cut_blocks(method.model_copy(update={"patches": each}), window(method, example)[0], rng)
        return standardize_patches(blocks.reshape(2 * each, -1) / np.float32(255))

    source = getattr(source, "source", source)  # within worker processes
    each = -(-_ADAPT_BLOCKS // min(len(source), _ADAPT_ITEMS))
    mean, matrix, kept = pca_whitening(np.concatenate(spread_examples(source, _ADAPT_ITEMS, draw)), method.components)
    found = {"mean": mean, "matrix": matrix, "kept": np.float32(kept)}
    values = np.concatenate([motions(sequence.poses, method.frames - 1) for sequence in source.sequences])
    if method.mirror:
        values = np.concatenate([values, values * [1, -1]])
    for answer, column in zip(("velocity", "heading"), values.T, strict=True):
        edges = _edges(column, getattr(method, f"{answer}_bins"), _RANGES[answer][1] / 1000)
        counts = np.bincount(to_classes(column, edges), minlength=len(edges) - 1)
        found |= {f"{answer}_edges": edges, f"{answer}_counts": counts}
    return found


def _edges(values, bins, least):
    """Of equal classes the outer ones have the extremes in their middle, so that the mean of centers can reach them.

    They are ``least`` wide at least: a camera that never changes its speed has classes too.
    """
    low, high = float(values.min()), float(values.max())
    width = max((high - low) / (bins - 1), least)
    middle, reach = (low + high) / 2, bins / 2 * width
    return uniform_edges(middle - reach, middle + reach, bins)
