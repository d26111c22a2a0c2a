"""Line plots: what is drawn, and that no name covers a curve."""

import numpy as np
import pytest
from PIL import Image

from tfssl.visualization.line_plot import COLORS, draw_lines, line_plot


def legend_box(figure):
    """The box of the names, and that of the axes, in pixels."""
    figure.draw_without_rendering()
    return figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()


def test_the_file_is_whole_and_the_same_again(tmp_path):
    for name in ("a.png", "b.png"):
        line_plot({"a": ([0, 1], [0, 1])}, tmp_path / "deep" / name, x_label="x", y_label="y", size=(400, 300))
    assert Image.open(tmp_path / "deep" / "a.png").size == (600, 450)
    assert (tmp_path / "deep" / "a.png").read_bytes() == (tmp_path / "deep" / "b.png").read_bytes()
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_curves_have_their_points_ranges_and_colors(tmp_path):
    curves = {"a": ([0.1, 0.6], [0.1, 0.6]), "b": ([0, 1], [0.5, None]), "none": ([], [])}
    axes = line_plot(curves, tmp_path / "p.png", x_label="x", y_label="y", x_range=(0, 2)).axes[0]
    a, b, _ = axes.lines
    np.testing.assert_array_equal(a.get_xydata(), [[0.1, 0.1], [0.6, 0.6]])
    assert np.isnan(b.get_ydata()[1]) and [a.get_color(), b.get_color()] == list(COLORS[:2])
    assert axes.get_xlim() == (0, 2) and axes.get_ylim() == (0, 1.02)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")


def test_dashed_curves_take_a_color():
    curves = {"run": ([0, 1], [2, 1]), "run, untrained": ([0, 1], [3, 3]), "trivial": ([0, 1], [4, 4])}
    figure = draw_lines(curves, x_label="x", y_label="y", dashed={"run, untrained": "run", "trivial": None})
    run, untrained, trivial = figure.axes[0].lines
    assert run.get_color() == untrained.get_color() == COLORS[0] != trivial.get_color()
    assert (run.get_linestyle(), untrained.get_linestyle(), trivial.get_linestyle()) == ("-", "--", "--")


@pytest.mark.parametrize("count", [1, 5, 12])
@pytest.mark.parametrize("letters", [3, 40, 90])
def test_names_stand_below_the_axes_and_within_the_plot(count, letters):
    curves = {f"{n} {'e' * letters}": ([0, 1], [n, 0]) for n in range(count)}
    figure = draw_lines(curves, x_label="x", y_label="y", size=(480, 400))
    legend, axes = legend_box(figure)
    assert legend.y1 <= axes.y0 and legend.x0 >= 0 and legend.x1 <= figure.bbox.width
    assert axes.height > 50
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == count, "no two alike"


def test_long_names_of_ticks_do_not_overlap():
    ticks = {n: f"block{n}_convolution" for n in range(8)}
    figure = draw_lines({"a": (range(8), range(8))}, x_label="x", y_label="y", x_ticks=ticks)
    figure.draw_without_rendering()
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {30}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(ticks.values())


def test_ten_curves_have_ten_colors_and_baselines_another():
    curves = {str(number): ([0, 1], [0, number]) for number in range(10)} | {"trivial": ([0, 1], [1, 1])}
    axes = draw_lines(curves, x_label="x", y_label="y", dashed={"trivial": None}).axes[0]
    assert len({line.get_color() for line in axes.lines}) == 11
