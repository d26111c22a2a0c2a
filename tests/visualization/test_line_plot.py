"""Line plots drawn with Pillow alone."""

import numpy as np
from PIL import Image, ImageColor

from tfssl.visualization.line_plot import COLORS, line_plot


def pixels_of(image, color):
    """(x, y) of the pixels that show a color."""
    distance = np.abs(np.asarray(image).astype(int) - ImageColor.getrgb(color)).sum(axis=-1)
    return np.argwhere(distance < 60)[:, ::-1]


def plot(tmp_path, curves, **options):
    return line_plot(curves, tmp_path / "plot.png", x_label="x", y_label="y", size=(400, 300), **options)


def test_file_is_the_returned_picture(tmp_path):
    image = plot(tmp_path, {"a": ([0, 1], [0, 1])})
    assert image.size == (400, 300)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "plot.png")), np.asarray(image))
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]


def test_a_rising_line_rises_and_a_level_one_is_level(tmp_path):
    image = plot(tmp_path, {"a": ([0.1, 0.6], [0.1, 0.6]), "b": ([0, 1], [0.5, 0.5])})
    rising = pixels_of(image, COLORS[0])
    rising = rising[rising[:, 1] > 100]  # below the names
    assert np.corrcoef(rising.T)[0, 1] < -0.99  # rows are counted from above
    level = pixels_of(image, COLORS[1])
    rows = level[level[:, 1] > 100][:, 1]
    assert abs(rows - np.median(rows)).max() <= 3  # but for the dot at its beginning


def test_a_shorter_axis_stretches_a_curve(tmp_path):
    def width(**options):
        points = pixels_of(plot(tmp_path, {"a": ([0, 0.1], [0.2, 0.2])}, **options), COLORS[0])
        points = points[points[:, 1] > 100]
        return np.ptp(points[:, 0])

    assert width(x_range=(0, 0.2)) > 4 * width()


def test_one_point_is_a_dot(tmp_path):
    points = pixels_of(plot(tmp_path, {"a": ([0.5], [0.2])}), COLORS[0])
    assert len(points[points[:, 1] > 100]) > 10


def test_no_curve_leaves_the_axes(tmp_path):
    assert len(np.unique(np.asarray(plot(tmp_path, {"a": ([], [])})))) > 2


def test_names_stand_where_no_curve_is(tmp_path):
    """Upper right, unless a curve passes there."""
    low = plot(tmp_path, {"a": ([0, 1], [0.1, 0.1])})
    assert len(pixels_of(low, COLORS[0])[:, 1][pixels_of(low, COLORS[0])[:, 1] < 100]) > 10
    high = pixels_of(plot(tmp_path, {"a": ([0, 1], [0.97, 0.99])}), COLORS[0])
    of_name = high[high[:, 1] > 150]
    assert len(of_name) > 10 and of_name[:, 0].min() > 200
    right = plot(tmp_path, {"a": ([0.5, 0.9, 0.9, 1.0], [0.9, 0.9, 0.05, 0.05])})
    of_name = pixels_of(right, COLORS[0])
    assert (of_name[:, 0] < 150).any()
