"""Windows of what a convolution or dense layer sees, and five ways to draw its kernel from them."""

import numpy as np
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view

KINDS = ("random", "pca", "zca", "kmeans", "patches")
"""``"random"``: numbers from N(0, 1). The others look at windows of the layer's input, centered and whitened.
``"pca"``: the directions in which they vary most. ``"zca"``: rows of the symmetric whitening matrix, drawn at random:
each takes one number of the window less what its surroundings tell of it. ``"kmeans"``: centers of spherical clusters
of whitened windows. ``"patches"``: whitened windows, drawn at random."""

_LEAST, _RIDGE = 1e-6, 1e-3  # sums of squares: of released code, lines of `initializeWeight`
_ROUNDING = 1e-9  # fraction of the largest, below which a direction is rounding
_CENTERS_A_BATCH = 10  # of released code: windows of a mini batch for each center


def groups_of(layer):
    """Number of groups of channels that do not see each other; 1 for dense layers."""
    return getattr(layer, "groups", 1)


def random_windows(layer, maps, count, random):
    """Windows that a layer multiplies with its kernel, drawn from all positions of all images.

    Args:
        layer: a ``Conv2D`` (with channels last; groups, strides, dilation and either padding) or a ``Dense``.
        maps: float32 array, its input: (N, H, W, C) or (N, ..., C).
        count: windows to draw, at most; the same number in each image, each with other positions.
        random: ``numpy.random.Generator``.

    Returns:
        float32 arrays (windows, numbers), one for each group, numbers as the rows of :func:`kernel_matrices`.
    """
    if isinstance(layer, layers.Dense):
        rows = maps.reshape(-1, maps.shape[-1])
        return [rows if len(rows) <= count else rows[random.choice(len(rows), count, replace=False)]]
    maps = _padded(layer, maps)
    reach = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    views = sliding_window_view(maps, reach, axis=(1, 2))[:, :: layer.strides[0], :: layer.strides[1]]
    images, height, width = views.shape[:3]
    each = min(height * width, max(1, count // images))
    positions = np.concatenate([random.choice(height * width, each, replace=False) for _ in range(images)])
    windows = views[np.repeat(np.arange(images), each), positions // width, positions % width]  # (n, C, kh, kw)
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


def draw_kernel(kind, windows, outputs, random):
    """Draw the weights of some outputs (Kraehenbuehl et al. 2016, section 3.1), from windows of :func:`random_windows`.

    With S the scatter matrix of the centered windows, ``S v = s v``, the whitening is ``v / sqrt(s + 1e-3)``, or 0
    where s is not above 1e-6. ``"kmeans"`` and ``"patches"`` see the ``outputs`` strongest directions, and windows
    scaled to length 1 there. Where the windows vary in fewer directions than there are outputs, the rest of
    ``"pca"`` and ``"zca"`` are random combinations of the whitened directions.

    Returns:
        float64 (d, outputs), of any scale. Numbers from N(0, 1), whatever the kind, where there are fewer windows than
        outputs (of fully connected layers): the released code does the same.
    """
    if kind == "random" or len(windows) < outputs:
        return random.standard_normal((windows.shape[1], outputs))
    centered = windows - windows.mean(axis=0, dtype=np.float64)
    whitening = _whitening(centered)
    if not whitening.size:
        return random.standard_normal((windows.shape[1], outputs))
    if kind == "pca":
        return _filled(whitening[:, :outputs], whitening, outputs, random)
    if kind == "zca":
        # v / sqrt(s) v^T: `whitening` has the scale, its normalized columns have not.
        rows = whitening @ (whitening / np.linalg.norm(whitening, axis=0)).T
        picked = random.permutation(len(rows))[:outputs]
        return _filled(rows[:, picked], whitening, outputs, random)
    whitening = whitening[:, :outputs]
    white = centered @ whitening
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
    if kind == "kmeans":
        return whitening @ _centers(white, outputs, random).T
    return whitening @ white[random.choice(len(white), outputs, replace=False)].T


def _whitening(centered):
    """Whitened directions, strongest first: float64 (d, r), r the number of those that vary."""
    count, numbers = centered.shape
    if count < numbers:  # the same directions from the smaller matrix of products
        squares, left = np.linalg.eigh(centered @ centered.T)
    else:
        squares, vectors = np.linalg.eigh(centered.T @ centered)
    order = np.argsort(squares)[::-1]
    order = order[squares[order] > max(_LEAST, _ROUNDING * squares[order[0]])]
    squares = squares[order]
    if count < numbers:
        vectors, order = centered.T @ (left[:, order] / np.sqrt(squares)), slice(None)
    return vectors[:, order] / np.sqrt(squares + _RIDGE)


def _filled(kernel, whitening, outputs, random):
    missing = outputs - kernel.shape[1]
    if missing <= 0:
        return kernel
    return np.hstack([kernel, whitening @ random.standard_normal((whitening.shape[1], missing))])


def _centers(white, outputs, random):
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(
        n_clusters=outputs, batch_size=_CENTERS_A_BATCH * outputs, n_init=1, random_state=int(random.integers(2**31))
    )
    return means.fit(white).cluster_centers_
