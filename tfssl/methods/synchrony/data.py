"""Examples of synchrony: gray patches at one place of several views, whitened."""

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.errors import SourceError
from tfssl.ops.patch_whitening import cosine_whitening, pca_whitening, standardize_patches

_ADAPT_ITEMS = 200  # pairs or clips that whitening is learned from


def cut_views(method, example, rng, count=None):
    """Cut patches at places drawn over a pair or a clip, the same place in all views.

    Returns:
        uint8 (count, views, size, size), gray, ``patches`` of them unless a count is given; with ``offset`` those of
        the right camera from further left.
    """
    views = _views(method, example, rng)
    size, offset = method.patch_size, method.offset
    height, width = views.shape[1:]
    if height < size or width < size + offset:
        raise ValueError(f"{width}x{height} pixels hold no patch of {size} pixels at an offset of {offset}")
    count = method.patches if count is None else count
    y = rng.integers(0, height - size + 1, count)
    x = rng.integers(offset, width - size + 1, count)
    cuts = np.empty((count, len(views), size, size), np.uint8)
    right = method.halves[1] if offset else slice(0, 0)
    moved = np.zeros(len(views), int)
    moved[right] = offset
    for cut, top, left in zip(cuts, y.tolist(), x.tolist(), strict=True):
        for view, by in enumerate(moved.tolist()):
            cut[view] = views[view, top : top + size, left - by : left - by + size]
    return cuts


def _views(method, example, rng):
    if method.form == "depth":
        return np.stack([np.asarray(scaled(example[role].convert("L"), method.resize)) for role in ("left", "right")])
    clips = [example["clip"]] if method.form == "motion" else [example["left"], example["right"]]
    spare = min(map(len, clips)) - method.frames
    if spare < 0:
        raise ValueError(f"a clip of {spare + method.frames} frames is shorter than frames: {method.frames}")
    chosen = rng.integers(0, spare + 1) + np.arange(method.frames)
    frames = [Image.fromarray(frame) for clip in clips for frame in clip.frames(chosen)]
    return np.stack([np.asarray(scaled(frame.convert("L"), method.resize)) for frame in frames])


def standardized(method, views):
    """Both sides of uint8 (N, views, s, s) as standardized rows, float32 (N, d), d in the order (s, s, frames)."""
    sides = [views[:, half].transpose(0, 2, 3, 1).reshape(len(views), -1) for half in method.halves]
    return [standardize_patches(side / np.float32(255)) for side in sides]


def whitened(method, views):
    """Both sides whitened, float32 (N, components)."""
    mean, matrix = whitening_of(method)
    return tuple(((side - mean) @ matrix).astype(np.float32) for side in standardized(method, views))


def targets(x, y):
    """What the autoencoder has to bring back: both sides behind each other, (N, 2 components)."""
    return np.concatenate([x, y], axis=1)


def whitening_of(method):
    """``(mean, matrix)``: what the data gave, or cosines where none have been seen."""
    found = method.statistics
    return (found["mean"], found["matrix"]) if found else cosine_whitening(method.view_shape, method.components)


def statistics_of(method, source, count):
    """Whitening of about ``count`` patches of each side, spread over the source; see :meth:`Synchrony.adapt`."""
    items = min(len(source), _ADAPT_ITEMS)
    sides = []
    for index in np.linspace(0, len(source) - 1, items).round().astype(int).tolist():
        try:
            views = cut_views(method, source.example(index), np.random.default_rng(index), -(-count // items))
        except (ValueError, OSError):  # told where the run reads it
            continue
        sides += standardized(method, views)
    if not sides:
        raise SourceError(f"`data`: none of {items} {source.noun} can be read, or holds a patch")
    mean, matrix, kept = pca_whitening(np.concatenate(sides), method.components)
    return {"mean": mean, "matrix": matrix, "kept": np.float32(kept)}
