"""A plain line plot as PNG, for tables that are easier to see: no plotting package needed."""

import itertools

from PIL import Image, ImageDraw, ImageFont

from tfssl.visualization.sheet import save_png

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777")
"""Colors of the curves in order, told apart by color-blind readers too (Okabe and Ito)."""

_INK, _GRID = "black", "#dddddd"
_SMOOTH = 2  # drawn larger and reduced: Pillow's own lines are jagged
_TICKS = 5
_STEPS = 32  # between two points of a curve, where it is looked at for room


def line_plot(curves, path, *, x_label, y_label, x_range=(0.0, 1.0), y_range=(0.0, 1.0), x_ticks=None, size=(640, 420)):
    """Draw curves into one pair of axes and write a PNG, whole or not at all.

    Args:
        curves: ``{name: (x, y)}``, sequences of equal length; a single point is drawn as a dot.
        path: file to write; its folder is made.
        x_label: under the horizontal axis.
        y_label: above the vertical axis.
        x_range: ends of the horizontal axis.
        y_range: ends of the vertical axis.
        x_ticks: ``{position: text}`` below the horizontal axis; None for round numbers.
        size: of the picture, in pixels.

    Returns:
        The plot, a ``PIL.Image``.
    """
    axes = _Axes(x_range, y_range, size)
    axes.draw_grid(x_label, y_label, x_ticks or _even_ticks(x_range))
    lines = [axes.draw_curve(number, list(zip(x, y, strict=True))) for number, (x, y) in enumerate(curves.values())]
    axes.draw_legend(list(curves), [pixel for line in lines for pixel in line])
    image = axes.image.resize(size, Image.Resampling.LANCZOS)
    save_png(image, path)
    return image


def _even_ticks(ends):
    values = (ends[0] + tick / _TICKS * (ends[1] - ends[0]) for tick in range(_TICKS + 1))
    return {value: f"{value:.3g}" for value in values}


class _Axes:
    def __init__(self, x_range, y_range, size):
        self.x_range, self.y_range = x_range, y_range
        width, height = (_SMOOTH * side for side in size)
        self.image = Image.new("RGB", (width, height), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(13 * _SMOOTH)
        self.line = sum(self.font.getmetrics())
        self.left, self.top = 4 * self.line, 2 * self.line
        self.right, self.bottom = width - 2 * self.line, height - 3 * self.line

    def point(self, x, y):
        """Pixel of a pair of values."""
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def draw_grid(self, x_label, y_label, x_ticks):
        """Grid lines with their values, and what the axes mean."""
        for x, text in x_ticks.items():
            column, _ = self.point(x, 0.0)
            self.draw.line([(column, self.top), (column, self.bottom)], _GRID, _SMOOTH)
            self.draw.text((column, self.bottom + self.line // 3), text, _INK, self.font, anchor="ma")
        for y, text in _even_ticks(self.y_range).items():
            _, row = self.point(0.0, y)
            self.draw.line([(self.left, row), (self.right, row)], _GRID, _SMOOTH)
            self.draw.text((self.left - self.line // 3, row), text, _INK, self.font, anchor="rm")
        self.draw.rectangle([self.left, self.top, self.right, self.bottom], outline=_INK, width=_SMOOTH)
        middle = (self.left + self.right) // 2
        self.draw.text((middle, self.bottom + 1.6 * self.line), x_label, _INK, self.font, anchor="ma")
        self.draw.text((self.line, self.top - 1.5 * self.line), y_label, _INK, self.font)

    def draw_curve(self, number, points):
        """One curve; returns its pixels (x, y), some of them between the points."""
        color = COLORS[number % len(COLORS)]
        pixels = [self.point(x, y) for x, y in points]
        if len(pixels) > 1:
            self.draw.line(pixels, color, 2 * _SMOOTH, joint="curve")
        for x, y in pixels[:1]:
            self.draw.ellipse([x - 3 * _SMOOTH, y - 3 * _SMOOTH, x + 3 * _SMOOTH, y + 3 * _SMOOTH], color)
        between = [
            (x1 + step / _STEPS * (x2 - x1), y1 + step / _STEPS * (y2 - y1))
            for (x1, y1), (x2, y2) in itertools.pairwise(pixels)
            for step in range(1, _STEPS)
        ]
        return pixels + between

    def draw_legend(self, names, pixels):
        """The names of the curves, in the corner where they hide least of ``pixels``; upper right among equals."""
        width = max((self.font.getlength(name) for name in names), default=0) + 3 * self.line
        height = (len(names) + 0.4) * 1.2 * self.line
        corners = [(x, y) for y in (self.top, self.bottom - height) for x in (self.right - width, self.left)]

        def hidden(corner):
            left, top = corner
            return sum(left <= x <= left + width and top <= y <= top + height for x, y in pixels)

        left, top = min(corners, key=hidden)
        for number, name in enumerate(names):
            row, right = top + (number + 0.8) * 1.2 * self.line, left + width
            color = COLORS[number % len(COLORS)]
            self.draw.line([(right - self.line, row), (right - 2 * self.line, row)], color, 3 * _SMOOTH)
            self.draw.text((right - 2.4 * self.line, row), name, _INK, self.font, anchor="rm")
