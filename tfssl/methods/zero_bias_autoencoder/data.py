"""Examples of zero-bias autoencoders: whitened color patches, and what whitens them."""

import numpy as np

from tfssl.data.crop import scaled
from tfssl.data.examples import spread_examples
from tfssl.data.moved import cut_windows
from tfssl.ops.patch_whitening import pca_whitening, standardize_patches

UNWHITENED = 0.9
"""Mean square of standardized patches of photographs, below 1 because flat ones are not stretched; about."""

_FLAT = 0.1  # of the deviation of all pixels: contrast below that is not brought to 1
_DEVIATION = 0.25  # of pixels of photographs in [0, 1], about: where no data have been seen
_ITEMS, _PATCHES = 200, 20_000  # that statistics are taken from, at most: images, and patches, about
_POOL = 4  # times as many patches are kept as filters start from, so that seeds differ in their start


def cut_patches(method, image, rng, count):
    """Cut color patches anywhere from an image, uint8 (count, s, s, 3); it is enlarged where it is smaller."""
    return cut_windows(rng, np.asarray(scaled(image, method.resize)), count, method.crop_size)


def whitened(method, patches):
    """Patches as the network sees them: uint8 (..., s, s, 3) -> float32 (N, k)."""
    mean, matrix = whitening_of(method)
    return ((_standardized(patches, floor_of(method)) - mean) @ matrix).astype(np.float32)


def whitening_of(method):
    """``(mean, matrix)``: what the data gave, or, where none have been seen, what leaves patches as they are."""
    found = method.statistics
    if found:
        return found["mean"], found["matrix"]
    size = 3 * method.crop_size**2
    return np.zeros(size, np.float32), np.eye(size, dtype=np.float32) - np.float32(1 / size)


def floor_of(method):
    """Deviation of a patch in [0, 1] below which its contrast is not brought to 1."""
    return _FLAT * float(method.statistics.get("deviation", _DEVIATION))


def statistics_of(method, source):
    """See :meth:`ZeroBiasAutoencoder.adapt`."""
    count = -(-_PATCHES // min(len(source), _ITEMS))

    def cut(example, seed):
        return cut_patches(method, example["image"], np.random.default_rng(seed), count)

    patches = np.concatenate(spread_examples(source, _ITEMS, cut))
    deviation = np.float32(patches.std() / 255.0)
    floor = _FLAT * deviation
    rows = _standardized(patches, floor)
    mean, matrix, kept = pca_whitening(rows, method.whiten, pixel_floor=floor)
    chosen = np.random.default_rng(0).choice(len(rows), _POOL * method.units, replace=len(rows) < _POOL * method.units)
    examples = ((rows[chosen] - mean) @ matrix).astype(np.float32)
    return {"deviation": deviation, "mean": mean, "matrix": matrix, "kept": np.float32(kept), "examples": examples}


def _standardized(patches, floor):
    return standardize_patches(patches.reshape(-1, np.prod(patches.shape[-3:])) / np.float32(255), floor)
