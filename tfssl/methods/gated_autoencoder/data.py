"""Examples of gated autoencoders: images or clips -> pairs of related patches, and what is taken out of all patches."""

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.data.examples import spread_examples
from tfssl.data.moved import analogies, cut_windows, draw_moves, noise_windows
from tfssl.ops.patch_whitening import principal_directions

FLAT = 0.1
"""Fraction of the standard deviation of all patches below which the contrast of a patch is not brought to 1."""

_ITEMS, _NUMBERS = 200, 4e7  # that statistics are taken from, at most: items, and components of patches
_DEFAULTS = {"deviation": 0.095, "power": 0.77}  # of shifts cut from the builtin photographs
_ANGLE = 20.0  # degrees between the rotations that evaluations tell apart


def related_patches(method, example, rng, training):
    """Pairs of patches, or analogies of two pairs, of one image or clip.

    In evaluation angles are multiples of 20 degrees, so that a read-out has classes.

    Returns:
        ``(patches,)`` of clips, uint8 (patches, 2, s, s, 1); ``(patches, moves)`` of images, with (patches, 4, s, s, 1)
        and float32 (patches, 2 or 1), see :func:`tfssl.data.moved.moved_pairs`.
    """
    if method.pairs == "frames":
        return (_frame_pairs(method, example["clip"], rng)[..., None],)
    count, size = method.patches, method.window
    if method.content == "noise":
        windows = noise_windows(rng, 2 * count, size)
    else:
        pixels = np.asarray(scaled(example["image"].convert("L"), method.resize))
        windows = cut_windows(rng, pixels, 2 * count, size)
    moves = draw_moves(rng, count, method.pairs, method.largest)
    if method.pairs == "rotations" and not training:
        moves = np.round(moves / _ANGLE) * _ANGLE
    return analogies(windows.reshape(count, 2, size, size), moves, method.crop_size)[..., None], moves


def patch_statistics(method, source):
    """What :meth:`adapt` gives, of patches from items that are spread over a source.

    Returns:
        ``deviation``: standard deviation of the patches without their means, images in [0, 1], or of what whitening
        makes of them; ``power``: mean square of prepared patches; with ``whiten`` also ``whitening``, float32
        (pixels, D): the directions of largest variance, together that fraction of it, divided by their deviations.
    """

    def draw(example, seed):
        return method.sample(example, np.random.default_rng(seed), True)[0].reshape(-1, method.crop_size**2)

    drawn = spread_examples(source, _ITEMS, draw)
    rows = np.concatenate(drawn)[: int(_NUMBERS / method.crop_size**2)]
    rows = rows.astype(np.float32) / 255.0
    rows -= rows.mean(axis=1, keepdims=True)
    found = {}
    if method.whiten is not None:
        variances, directions, _ = principal_directions(rows, method.whiten)
        found["whitening"] = (directions / np.sqrt(variances)).astype(np.float32)
        rows = rows @ found["whitening"]
    found["deviation"] = np.float32(rows.std())
    return found | {"power": np.float32(np.square(_of_one_contrast(rows, found)).mean())}


def prepared(patches, statistics):
    """Patches as the network sees them, float32 (..., D): without mean, whitened if there is a matrix, of contrast 1.

    Whitened patches are coordinates along the directions that are kept: a step on fewer numbers takes less time, and
    Adam, which scales each number by itself, learns faster where they are uncorrelated. Contrast comes last: whitened
    patches of photographs differ in it by far more than patches do, and products of their responses would be ruled by
    a few.

    Args:
        patches: uint8 (..., s, s, 1), or float (..., pixels) in [0, 1].
        statistics: of :func:`patch_statistics`; what is missing has a default, and nothing is whitened without it.
    """
    if patches.dtype == np.uint8:
        patches = patches.reshape(*patches.shape[:-3], -1).astype(np.float32) / np.float32(255)
    x = patches - patches.mean(axis=-1, keepdims=True)
    return _of_one_contrast(x @ statistics["whitening"] if "whitening" in statistics else x, statistics)


def as_pixels(x, statistics):
    """Prepared patches, or filters for them, (..., D), as images (..., pixels); whitening stays: all directions count
    alike."""
    matrix = statistics.get("whitening")
    return x if matrix is None else x @ (matrix / np.linalg.norm(matrix, axis=0)).T


def _of_one_contrast(x, statistics):
    epsilon = np.float32(FLAT * statistic(statistics, "deviation"))
    return x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + epsilon**2)


def statistic(statistics, name):
    """One statistic, or what it was for photographs where it has not been learned."""
    return statistics.get(name, _DEFAULTS[name])


def _frame_pairs(method, clip, rng):
    count, size = method.patches, method.crop_size
    if len(clip) <= method.gap:
        raise ValueError(f"a clip of {len(clip)} frames has no pair {method.gap} frames apart")
    start = int(rng.integers(0, len(clip) - method.gap))
    frames = clip.frames([start, start + method.gap])
    first, second = (np.asarray(scaled(Image.fromarray(frame).convert("L"), method.resize)) for frame in frames)
    if min(first.shape) < size:
        raise ValueError(f"its frames have fewer than {size} pixels a side")
    corners = rng.integers(0, np.array(first.shape) - size + 1, (count, 2)).tolist()
    return np.stack([[frame[y : y + size, x : x + size] for frame in (first, second)] for y, x in corners])
