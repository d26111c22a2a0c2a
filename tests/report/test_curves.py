"""Curves inside the page: where the points lie, and round numbers at the axes."""

import math
import re

import pytest

from tfssl.report.curves import chart, round_ticks


def points(markup):
    """Pixels of each line."""
    return [
        [tuple(map(float, pair.split(","))) for pair in line.split()]
        for line in re.findall(r'<polyline[^>]*points="([^"]*)"', markup)
    ]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (2.03, 4.16, [2, 3, 4, 5]), (500, 8500, [0, 2000, 4000, 6000, 8000, 10000])],
)
def test_round_ticks(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-9])
def test_a_single_value_has_an_axis(value):
    ticks = round_ticks(value, value)
    assert ticks[0] < value < ticks[-1] and ticks == sorted(set(ticks))


def test_places_are_proportional_and_up_is_more():
    (line,) = points(chart({"loss": [(0, 0.0), (50, 0.5), (100, 1.0)]}, title="t"))
    (left, bottom), (middle, half), (right, top) = line
    assert left < middle < right and middle - left == pytest.approx(right - middle, abs=0.2)
    assert bottom > half > top and bottom - half == pytest.approx(half - top, abs=0.2)


def test_baselines_share_the_axes():
    markup = chart({"loss": [(10, 2.0), (20, 1.0)]}, title="t", level=("trivial", [(10, 4.0), (20, 4.0)]))
    loss, trivial = points(markup)
    assert trivial[0][1] == trivial[1][1] < min(y for _, y in loss), "above the loss"
    assert markup.count("<circle") == 2 and "trivial" in markup and "loss: 1 at step 20" in markup


def test_gaps_are_left_out_and_nothing_is_no_chart():
    markup = chart({"a": [(0, 1.0), (1, None), (2, math.nan), (3, 2.0)], "<b>": [(0, None)]}, title="<t>")
    assert len(points(markup)[0]) == 2 and "<b>" not in markup and "<t>" not in markup
    assert chart({"a": [(0, None)]}, title="t") is None


def test_one_layer_alone():
    assert len(points(chart({"a": [(0, 0.5)]}, title="t", x_names={0: "conv1"}))) == 1
