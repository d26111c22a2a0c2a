"""Distances of sets: Frechet's of Gaussians, and of histograms of hues."""

import numpy as np
import pytest

from tfssl.color.realism import HUES, frechet_distance, gaussian, hue_histogram, total_variation


def test_frechet_distance_by_hand():
    assert frechet_distance([0, 0], np.diag([1, 4]), [3, 4], np.diag([4, 9])) == pytest.approx(27)
    assert frechet_distance([2.0], [[9.0]], [5.0], [[4.0]]) == pytest.approx(3**2 + 1**2)


def test_frechet_distance_of_covariances_that_do_not_commute():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    first, second = (x @ x.T for x in rng.normal(size=(2, 5, 5)))
    expected = np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(np.zeros(5), first, np.zeros(5), second) == pytest.approx(expected)
    singular = np.outer(np.ones(5), np.ones(5))
    assert frechet_distance(np.ones(5), singular, np.ones(5), singular) == pytest.approx(0, abs=1e-6)


def test_fewer_images_than_features_are_shrunk():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(20, 50))
    mean, covariance = gaussian(few)
    assert np.linalg.eigvalsh(covariance).min() > 0.1  # of a sample covariance 30 are 0
    assert frechet_distance(mean, covariance, *gaussian(few[::-1])) == pytest.approx(0, abs=1e-9)
    many = rng.normal(size=(5000, 3)) * [1, 2, 3]
    np.testing.assert_allclose(gaussian(many)[1], np.cov(many.T, bias=True), atol=0.05)


def test_hues_and_a_bin_for_neutral():
    ab = np.array([[[10, 0], [10, 0.1]], [[0, 10], [3, 0]]])
    histogram = hue_histogram(ab)
    assert histogram.shape == (HUES + 1,) and histogram.sum() == 4
    assert (histogram[0], histogram[9], histogram[HUES]) == (2, 1, 1)
    assert hue_histogram([10, -1e-17])[[0, HUES - 1]].sum() == 1


def test_total_variation():
    assert total_variation(np.array([1, 1, 0]), np.array([0, 2, 2])) == 0.5
    assert total_variation(np.array([1, 0]), np.array([5, 0])) == 0
    assert np.isnan(total_variation(np.zeros(2), np.ones(2)))
