"""The five ways to draw the kernel of a layer, before its outputs are brought to unit deviation."""

import numpy as np

KINDS = ("random", "pca", "zca", "kmeans", "patches")
"""``"random"``: numbers from N(0, 1). The others look at windows of the layer's input, centered and whitened.
``"pca"``: the directions in which they vary most. ``"zca"``: rows of the symmetric whitening matrix, drawn at random:
each takes one number of the window less what its surroundings tell of it. ``"kmeans"``: centers of spherical clusters
of whitened windows. ``"patches"``: whitened windows, drawn at random."""

_LEAST, _RIDGE = 1e-6, 1e-3  # sums of squares: of released code, lines of `initializeWeight`
_ROUNDING = 1e-9  # share of the largest, below which a direction is rounding
_CENTERS_A_BATCH = 10  # of released code: windows of a mini batch for each center


def draw_kernel(kind, windows, outputs, random):
    """Draw the weights of some outputs.

    With S the scatter matrix of the centered windows, ``S v = s v``, the whitening is ``v / sqrt(s + 1e-3)``, or 0
    where s is not above 1e-6. ``"kmeans"`` and ``"patches"`` see the ``outputs`` strongest directions, and windows
    scaled to length 1 there. Where the windows vary in fewer directions than there are outputs, the rest of
    ``"pca"`` and ``"zca"`` are random combinations of the whitened directions.

    Args:
        kind: one of :data:`KINDS`.
        windows: float (n, d), as :func:`tfssl.transfer.patches.random_windows` gives them.
        outputs: number of outputs.
        random: ``numpy.random.Generator``.

    Returns:
        float64 (d, outputs), of any scale. Numbers from N(0, 1), whatever the kind, where there are fewer windows than
        outputs (of fully connected layers): the released code does the same.

    Reference:
        P. Kraehenbuehl, C. Doersch, J. Donahue, T. Darrell: Data-dependent Initializations of Convolutional Neural
        Networks. ICLR 2016, section 3.1; philkr/magic_init.
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
