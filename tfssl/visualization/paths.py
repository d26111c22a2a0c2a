"""Paths on the ground, seen from above."""

import math

from matplotlib.figure import Figure

from tfssl.visualization.line_plot import COLORS, save_figure

_PANEL = 3.2  # inches of a panel, in both directions
_DPI = 150


def draw_paths(panels, path, *, dashed=(), columns=3):
    """Draw paths into one panel for each place, meters alike along both axes, and write a PNG, whole or not at all.

    Args:
        panels: ``{title: {name: float array (N, 2), x and z in meters}}``; a name has the same color everywhere.
        path: file to write; its folder is made.
        dashed: names that are drawn dashed and gray.
        columns: panels in a row, at most.

    Returns:
        A ``matplotlib.figure.Figure``.
    """
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure((_PANEL * columns, _PANEL * rows + 0.5), dpi=_DPI, layout="constrained")
    names = list(dict.fromkeys(name for paths in panels.values() for name in paths))
    solid = [name for name in names if name not in dashed]
    lines = {}
    for number, (title, paths) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        for name, points in paths.items():
            color = "#777777" if name in dashed else COLORS[solid.index(name) % len(COLORS)]
            style = "--" if name in dashed else "-"
            (lines[name],) = axes.plot(points[:, 0], points[:, 1], color=color, linestyle=style, linewidth=1.5)
        axes.plot(0, 0, "o", color="#000000", markersize=4)  # where all begin
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("x (m)", fontsize=8)
        axes.set_ylabel("z (m)", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    handles = [lines[name] for name in names]
    beside = min(len(names), 2 * columns)
    figure.legend(handles, names, loc="outside lower center", ncols=beside, frameon=False, fontsize=9)
    save_figure(figure, path)
    return figure
