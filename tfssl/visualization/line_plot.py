"""Line plots: the one plotting backend is Matplotlib, without its global state."""

import math
import textwrap

from matplotlib.figure import Figure

from tfssl.files import writing

COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#882255", "#999933", "#332288"
)  # fmt: skip
"""Colors of the curves in order, told apart by color-blind readers too (Okabe and Ito; Tol). Baselines are gray."""

_STYLES = ("-", "-.", ":")  # of the first ten curves, the next ten, and so on
_DPI = 150
_DOTS = 40  # points of a curve up to which each gets a dot
_LETTER = 0.08  # inches that a letter of the legend takes, about
_LINE = 0.19  # inches that a line of it takes
_HANDLE = 0.6  # inches of the line before it


def line_plot(curves, path, *, x_range=(0.0, 1.0), y_range=(0.0, 1.0), **options):
    """Draw curves as :func:`draw_lines` and write a PNG, whole or not at all; returns the Matplotlib figure."""
    figure = draw_lines(curves, x_range=x_range, y_range=y_range, **options)
    save_figure(figure, path)
    return figure


def draw_lines(curves, *, x_label, y_label, x_range=None, y_range=None, x_ticks=None, dashed=None, size=(640, 420)):
    """Draw curves into one pair of axes; their names stand below it, where they hide nothing.

    Args:
        curves: ``{name: (x, y)}``, sequences of equal length; a single point is a dot, None and NaN are gaps.
        x_label, y_label: of the axes.
        x_range, y_range: ends of the axes; None for those of the curves.
        x_ticks: ``{position: text}`` below the horizontal axis; None for round numbers.
        dashed: ``{name: name of the curve whose color it takes, or None for gray}`` of curves drawn dashed.
        size: of the plot: width and height in hundredths of an inch; higher where there are many names.

    Returns:
        A ``matplotlib.figure.Figure``.
    """
    dashed = dashed or {}
    width, height = size[0] / 100, size[1] / 100
    labels = {name: textwrap.fill(name, int((width - _HANDLE) / _LETTER)) for name in curves}
    widest = max((len(line) for label in labels.values() for line in label.splitlines()), default=0)
    columns = max(1, min(len(curves), int(width / (_HANDLE + _LETTER * widest))))
    lines = max(label.count("\n") + 1 for label in labels.values()) * -(-len(curves) // columns) if curves else 0
    figure = Figure((width, height + _LINE * max(0, lines - 1)), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    solid = [name for name in curves if name not in dashed]
    for name, (x, y) in curves.items():
        number = solid.index(dashed.get(name, name)) if dashed.get(name, name) in solid else None
        color = "#777777" if number is None else COLORS[number % len(COLORS)]
        style = "--" if name in dashed else _STYLES[number // len(COLORS) % len(_STYLES)]
        marker = "o" if name not in dashed and len(x) <= _DOTS else None
        y = [math.nan if value is None else value for value in y]
        axes.plot(
            list(x), y, label=labels[name], color=color, linestyle=style, marker=marker, markersize=3.5, linewidth=1.6
        )
    if y_range is not None:  # a curve along the upper end is seen whole
        y_range = (y_range[0], y_range[1] + 0.02 * (y_range[1] - y_range[0]))
    axes.set(xlabel=x_label, ylabel=y_label, xlim=x_range, ylim=y_range)
    if x_ticks is not None:
        long = sum(map(len, x_ticks.values())) * _LETTER > 0.7 * width
        axes.set_xticks(list(x_ticks), list(x_ticks.values()), **({"rotation": 30, "ha": "right"} if long else {}))
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if curves:
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return figure


def save_figure(figure, path):
    """Write a Matplotlib figure as PNG, whole or not at all."""
    with writing(path) as file:
        figure.savefig(file, format="png")
