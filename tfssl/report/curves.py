"""Learning curves as SVG inside the page: sharp at any size, colored by the page's style."""

import dataclasses
import math

from tfssl.report.markup import Html, plain, tag

_WIDTH, _HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 16, 10, 36
_COLORS = 6

NOT_CURVES = ("epoch", "step", "phase", "seconds", "wait_share", "skipped", "baseline", "loss", "learning_rate")
"""Columns of history.csv that are no measurement of their own."""


def chart(curves, *, title, x_label="step", level=None, baselines=None, x_names=None):
    """Lines in one pair of axes.

    Args:
        curves: ``{name: list of (x, y)}``, y may be None where there is none.
        title: what it shows, for those who cannot see it.
        x_label: under the horizontal axis.
        level: ``(name, list of (x, y))`` of a reference for all, drawn dashed in gray; None for none.
        baselines: ``{name of a curve: (name, list of (x, y))}``, drawn dashed in that curve's color; None for none.
        x_names: ``{x: text}`` for the horizontal axis; None for round numbers.

    Returns:
        ``Html``: the chart and its legend; None if there is no point.
    """
    lines = []
    for index, (name, points) in enumerate(curves.items()):
        color = f"var(--c{index % _COLORS})"
        lines.append(_Line(name, _finite(points), color))
        if baselines and name in baselines:
            lines.append(_Line(baselines[name][0], _finite(baselines[name][1]), color, dashed=True))
    if level:
        lines.append(_Line(level[0], _finite(level[1]), "var(--faint)", dashed=True))
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    place, grid = _axes([point for line in lines for point in line.points], x_label, x_names)
    drawn = [line.drawn(place, x_label, x_names or {}) for line in lines]
    picture = tag("svg", tag("title", title), grid, drawn, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img")
    return Html(picture + tag("ul", [line.entry() for line in lines], class_="legend"))


@dataclasses.dataclass(frozen=True)
class _Line:
    name: str
    points: list
    color: str
    dashed: bool = False

    def drawn(self, place, x_label, x_names):
        """The line, and a dot for each point that tells its value."""
        kind = "curve dash" if self.dashed else "curve"
        yield tag("polyline", class_=kind, style=f"stroke: {self.color}", points=_path(self.points, place))
        for x, y in self.points if not self.dashed else ():
            words = f"{self.name}: {plain(y)} at {x_label} {x_names.get(x, plain(x))}"
            column, row = (f"{value:.1f}" for value in place(x, y))
            yield tag("circle", tag("title", words), cx=column, cy=row, r=2.5, style=f"fill: {self.color}")

    def entry(self):
        """Its line of the legend."""
        return tag("li", tag("i", class_="dash" if self.dashed else None, style=f"color: {self.color}"), self.name)


def _finite(points):
    return [(x, y) for x, y in points if isinstance(y, (int, float)) and math.isfinite(y)]


def _axes(points, x_label, x_names):
    """``(function from values to pixels, grid with its numbers)``."""
    xs, ys = zip(*points, strict=True)
    y_ticks = round_ticks(min(ys), max(ys))
    x_ticks = round_ticks(min(xs), max(xs)) if x_names is None else sorted(x_names)
    (x_low, x_high), (y_low, y_high) = (x_ticks[0], max(xs)), (y_ticks[0], y_ticks[-1])
    x_high = x_high if x_high > x_low else x_low + 1

    def place(x, y):
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for value in y_ticks:
        _, row = place(x_low, value)
        parts.append(tag("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{row:.1f}", y2=f"{row:.1f}"))
        label = {"x": _LEFT - 6, "y": f"{row + 4:.1f}", "text_anchor": "end"}
        parts.append(tag("text", plain(value), class_="tick", **label))
    for value in (tick for tick in x_ticks if tick <= x_high):
        column, row = place(value, y_low)
        label = {"x": f"{column:.1f}", "y": f"{row + 15:.1f}", "text_anchor": "middle"}
        text = plain(value) if x_names is None else x_names.get(value)
        parts.append(tag("text", text, class_="tick", **label))
    parts.append(tag("text", x_label, x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 4, text_anchor="middle"))
    return place, parts


def round_ticks(low, high, about=4):
    """Round numbers, evenly spaced, from below ``low`` to above ``high``; never a single one.

    Args:
        low, high: ends of the values; the range may be empty.
        about: number of steps wanted.

    Returns:
        List of at least two floats, rising.
    """
    if high <= low:
        spread = abs(low) or 1.0
        low, high = low - spread / 2, high + spread / 2
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _path(points, place):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
