"""Histograms of L, a and b."""

import keras
import numpy as np
import pytest
from skimage.color import rgb2lab

from tfssl.layers.color_histogram import BINS, HIGH, LOW, NUMBERS, LabHistogram


def test_as_counted_with_numpy_and_scikit_image():
    rgb = np.random.default_rng(0).random((2, 9, 7, 3)).astype(np.float32)
    found = keras.ops.convert_to_numpy(LabHistogram()(rgb))
    assert found.shape == (2, 784) and NUMBERS == 784
    for image, histogram in zip(rgb, found, strict=True):
        ranges = list(zip(LOW, HIGH, strict=True))
        counts, _ = np.histogramdd(rgb2lab(image).reshape(-1, 3), BINS, ranges)
        assert np.abs(counts.ravel() / 63 - histogram).max() < 1e-6
        assert histogram.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0.2, 0.5, 0.4)])
def test_a_pure_color_hits_one_bin(color):
    found = keras.ops.convert_to_numpy(LabHistogram()(np.full((1, 4, 4, 3), color, np.float32)))
    assert np.sort(found[0])[-2:].tolist() == pytest.approx([0, 1], abs=1e-6)


def test_all_colors_of_srgb_lie_between_the_ends():
    ends = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3), axis=-1)
    lab = rgb2lab(ends.reshape(-1, 1, 3)).reshape(-1, 3)
    assert (lab.min(axis=0) > np.array(LOW) - 1e-3).all() and (lab.max(axis=0) < np.array(HIGH) + 1e-3).all()


def test_in_a_graph_of_any_size():
    rgb = keras.Input((None, None, 3))
    model = keras.Model(rgb, LabHistogram()(rgb))
    assert model.output_shape == (None, 784)
    assert float(keras.ops.sum(model(np.ones((3, 5, 8, 3), np.float32)))) == pytest.approx(3, abs=1e-5)
