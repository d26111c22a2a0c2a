"""Examples of hypercolumn colorization: a crop's lightness, a few of its pixels, and the colors around these."""

import numpy as np

from tfssl.data.crop import Crop
from tfssl.ops.bytes_lab import ab, lightness, mean_lightness
from tfssl.ops.hue_chroma import even_bin, quantile_edges, rgb_to_hcv


def cut(method, image, rng, training):
    """A crop, uint8 (S, S, 3), and pixels (y, x) of it at random, int32 (N, 2), ``method.margin`` from its border."""
    low, high = method.resize
    resize = int(rng.integers(low, high + 1)) if training else (low + high) // 2
    pixels = Crop(method.crop_size, resize=resize).apply(image, rng if training else None)
    inside = (method.margin, method.crop_size - method.margin)
    return pixels, rng.integers(*inside, size=(method.locations, 2), dtype=np.int32)


def network_lightness(pixels, gray):
    """What the network sees of crops, uint8 (B, S, S, 3): L in [0, 100], float32 (B, S, S, 1)."""
    return (mean_lightness(pixels) if gray == "mean" else lightness(pixels))[..., None]


def windows(pixels, locations, size):
    """Pixels of the windows around locations, and which of them lie inside the image.

    ``pixels`` (B, H, W, 3), ``locations`` (B, N, 2) -> (B, N, size^2, 3) and bool (B, N, size^2).
    """
    steps = np.arange(size) - size // 2
    around = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    at = locations[:, :, None] + around
    last = np.array(pixels.shape[1:3]) - 1
    inside = ((at >= 0) & (at <= last)).all(axis=-1)
    rows, columns = np.moveaxis(np.clip(at, 0, last), -1, 0)
    return pixels[np.arange(len(pixels))[:, None, None], rows, columns], inside


def histogram(index, inside, bins):
    """Fractions of the numbers ``index`` (B, N, P) in each of the bins, of those inside: float32 (B, N, bins)."""
    shape = index.shape[:2]
    rows = np.arange(index[..., 0].size).reshape(*shape, 1) * bins
    counts = np.bincount((rows + index)[inside], minlength=bins * index[..., 0].size).reshape(*shape, bins)
    return (counts / counts.sum(axis=-1, keepdims=True)).astype(np.float32)


def targets(method, pixels, locations):
    """What is predicted at locations, float32 (B, N, C), as the loss of ``method.target`` takes it."""
    batch = np.arange(len(pixels))[:, None]
    own = pixels[batch, locations[..., 0], locations[..., 1]]
    if method.target == "lab_regression":
        return ab(own)
    around, inside = windows(pixels, locations, method.window)
    if method.target == "hue_chroma":
        index = even_bin(rgb_to_hcv(around / np.float32(255))[..., :2], method.bins)
        hue, chroma = (histogram(index[..., part], inside, method.bins) for part in (0, 1))
        levels = own / np.float32(255)
        true_chroma = levels.max(axis=-1, keepdims=True) - levels.min(axis=-1, keepdims=True)
        return np.concatenate([hue, chroma, true_chroma, levels.mean(axis=-1, keepdims=True)], axis=-1)
    index = np.searchsorted(quantile_edges(method.bins), ab(around), side="right")
    if method.joint:
        return histogram(index[..., 0] * method.bins + index[..., 1], inside, method.bins**2)
    return np.concatenate([histogram(index[..., part], inside, method.bins) for part in (0, 1)], axis=-1)
