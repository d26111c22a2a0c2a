"""What tells an edge detector from a blob, a grating and noise."""

import numpy as np
import pytest

from tfssl.evaluation.filter_shape import filter_shape, orientation_selectivity, spatial_spread

Y, X = np.mgrid[:12, :12] - 5.5


def gabor(theta, width=1.8, wavelength=5.0, phase=0.5):
    along = X * np.cos(theta) + Y * np.sin(theta)
    return np.exp(-(X**2 + Y**2) / (2 * width**2)) * np.cos(2 * np.pi * along / wavelength + phase)


GABORS = np.stack([gabor(theta) for theta in np.linspace(0, np.pi, 9)])
NOISE = np.random.default_rng(0).normal(size=(200, 12, 12))
BLOB = np.exp(-(X**2 + Y**2) / 4)[None]
GRATING = np.cos(2 * np.pi * X / 4)[None]


def test_selectivity():
    assert orientation_selectivity(GABORS).min() > 0.6
    assert np.ptp(orientation_selectivity(GABORS)) < 0.1, "the same for all orientations"
    assert orientation_selectivity(BLOB)[0] < 0.01
    assert orientation_selectivity(GRATING)[0] > 0.8
    assert np.median(orientation_selectivity(NOISE)) < 0.15


def test_spread():
    assert spatial_spread(GABORS).max() < 0.6
    assert np.median(spatial_spread(NOISE)) == pytest.approx(1, abs=0.03)
    assert spatial_spread(GRATING)[0] == pytest.approx(1, abs=0.05)
    point = np.zeros((1, 12, 12))
    point[0, 3, 4] = 1
    assert spatial_spread(point)[0] == 0


def test_scale_offset_and_channels_do_not_matter():
    for measure in (orientation_selectivity, spatial_spread):
        expected = measure(GABORS)
        np.testing.assert_allclose(measure(-3 * GABORS + 0.7), expected, atol=1e-9)
        np.testing.assert_allclose(measure(np.repeat(GABORS[..., None], 3, axis=-1)), expected, atol=1e-9)


def test_share_of_edges():
    assert filter_shape(GABORS)["filter_edges"] == 1.0
    for others in (NOISE, BLOB, GRATING):
        assert filter_shape(others)["filter_edges"] == 0.0
    mixed = filter_shape(np.concatenate([GABORS, NOISE[:9]]))
    assert mixed["filter_edges"] == 0.5 and mixed["filters"] == 18


def test_constant_filters_are_no_edges():
    result = filter_shape(np.ones((3, 5, 5)))
    assert result["filter_edges"] == 0 and result["filter_selectivity"] == 0 and result["filter_spread"] == 1


def test_wrong_shape():
    with pytest.raises(ValueError, match="`filters`"):
        orientation_selectivity(np.ones((3, 3)))
