"""What a convolution or dense layer sees: windows of its input as rows, and its kernel as a matrix."""

import numpy as np
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view


def groups_of(layer):
    """Number of groups of channels that do not see each other; 1 for dense layers."""
    return getattr(layer, "groups", 1)


def random_windows(layer, maps, count, random):
    """Windows that a layer multiplies with its kernel, drawn from all places of all pictures.

    Args:
        layer: a ``Conv2D`` (with channels last; groups, strides, dilation and either padding) or a ``Dense``.
        maps: float32 array, its input: (N, H, W, C) or (N, ..., C).
        count: windows to draw, at most; the same number in each picture, each with other places.
        random: ``numpy.random.Generator``.

    Returns:
        List with a float32 array (windows, numbers) for each group of the layer, in which the numbers are in the order
        of the rows of :func:`kernel_matrices`.
    """
    if isinstance(layer, layers.Dense):
        rows = maps.reshape(-1, maps.shape[-1])
        return [rows if len(rows) <= count else rows[random.choice(len(rows), count, replace=False)]]
    maps = _padded(layer, maps)
    reach = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    views = sliding_window_view(maps, reach, axis=(1, 2))[:, :: layer.strides[0], :: layer.strides[1]]
    pictures, height, width = views.shape[:3]
    each = min(height * width, max(1, count // pictures))
    places = np.concatenate([random.choice(height * width, each, replace=False) for _ in range(pictures)])
    windows = views[np.repeat(np.arange(pictures), each), places // width, places % width]  # (n, C, kh, kw)
    windows = windows[:, :, :: layer.dilation_rate[0], :: layer.dilation_rate[1]].transpose(0, 2, 3, 1)
    parts = np.split(windows, groups_of(layer), axis=-1)
    return [np.ascontiguousarray(part).reshape(len(part), -1) for part in parts]


def kernel_matrices(layer, kernel):
    """A kernel as a list of matrices (numbers, outputs), one for each group."""
    return [part.reshape(-1, part.shape[-1]) for part in np.split(kernel, groups_of(layer), axis=-1)]


def kernel_of(layer, matrices):
    """The inverse of :func:`kernel_matrices`."""
    return np.concatenate(matrices, axis=-1).reshape(layer.kernel.shape).astype(np.float32)


def _padded(layer, maps):
    if layer.padding != "same":
        return maps
    pads = [(0, 0)]
    for size, kernel, stride, rate in zip(
        maps.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        missing = max((-(-size // stride) - 1) * stride + (kernel - 1) * rate + 1 - size, 0)
        pads.append((missing // 2, missing - missing // 2))
    return np.pad(maps, [*pads, (0, 0)])
