"""Confusion matrices as pictures."""

import numpy as np
from matplotlib.figure import Figure

from tfssl.visualization.line_plot import save_figure

_COLUMNS = 3  # matrices beside each other
_CELL = 0.3  # inches
_DPI = 130


def confusion_plot(matrices, path, *, classes):
    """Draw matrices of what was answered with what, rows scaled to 1, and write a PNG; returns the Matplotlib figure.

    Args:
        matrices: ``{title: counts}``, (classes, classes): row i what is of class i, column j what was answered with j.
        path: of the file.
        classes: their names.
    """
    columns = min(_COLUMNS, len(matrices))
    rows = -(-len(matrices) // columns)
    side = max(_CELL * len(classes), 1.5) + 1.1
    figure = Figure((columns * side, rows * side), dpi=_DPI, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    ticks = range(len(classes))
    for number, axes in enumerate(places):
        if number >= len(matrices):
            axes.set_axis_off()
            continue
        title, counts = list(matrices.items())[number]
        fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.argwhere(fractions >= 0.005).tolist():
            color = "white" if fractions[i, j] > 0.5 else "#222222"
            axes.text(j, i, f"{100 * fractions[i, j]:.0f}", ha="center", va="center", fontsize=6, color=color)
        axes.set_title(title, fontsize=8)
        axes.set_xticks(ticks, classes, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(ticks, classes if number % columns == 0 else [""] * len(classes), fontsize=7)
    figure.supylabel("is", fontsize=8)
    figure.supxlabel("was taken for, %", fontsize=8)
    save_figure(figure, path)
    return figure
