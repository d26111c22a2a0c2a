"""A map of words on which those with like vectors lie together (t-SNE)."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import KMeans

from tfssl.visualization.embedding import project
from tfssl.visualization.line_plot import COLORS, save_figure

LEAST = 6
"""Words that a map needs."""

_INCHES, _DPI = 10, 110
_FONT, _LARGEST_FONT = 7.5, 16.0  # points, of 300 words and of a few
_WORDS_PER_COLOR = 12  # about, of the groups that colors tell apart


def word_map(words, vectors, path, *, most=300, seed=0):
    """Draw words where t-SNE puts their vectors, scaled to length 1, and write a PNG, whole or not at all.

    Colors are groups that k-means finds among the vectors; they mean nothing else.

    Args:
        words: K of them, :data:`LEAST` at least; the first ``most`` are drawn.
        vectors: float (K, D).
        path: of the picture.
        most: as many words as can be read.
        seed: of t-SNE and k-means.

    Returns:
        float64 (n, 2), where the words lie.

    Raises:
        ConfigError: if there are too few words.
    """
    words, vectors = list(words)[:most], np.asarray(vectors, np.float64)[:most]
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    points, *_ = project(units, seed=seed)
    groups = min(len(COLORS), -(-len(words) // _WORDS_PER_COLOR))
    colors = KMeans(groups, n_init=3, random_state=seed).fit_predict(units)
    font = min(_FONT * (300 / len(words)) ** 0.5, _LARGEST_FONT)
    figure = Figure((_INCHES, _INCHES), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.update_datalim(points)
    axes.autoscale_view()
    for word, (x, y), group in zip(words, points, colors, strict=True):
        axes.text(x, y, word, color=COLORS[group], fontsize=font, ha="center", va="center", parse_math=False)
    save_figure(figure, path)
    return points
