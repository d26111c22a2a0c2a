"""Pictures of confusion matrices."""

import numpy as np

from tfssl.visualization.confusion import confusion_plot


def test_rows_are_fractions_of_a_class(tmp_path):
    counts = np.array([[3, 1], [0, 0]])
    figure = confusion_plot({"one": counts, "two": counts.T}, tmp_path / "c.png", classes=("a", "b"))
    first = figure.axes[0]
    np.testing.assert_allclose(first.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [text.get_text() for text in first.texts] == ["75", "25"] and first.get_title() == "one"
    assert (tmp_path / "c.png").stat().st_size > 1000
