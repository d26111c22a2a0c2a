"""Autocorrelation, periods, mirror errors, images laid beside their mirror images."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.synthesis.recipe import SYMMETRIES
from tfssl.synthesis.structure import autocorrelation, mirror_error, period, symmetrized

RNG = np.random.default_rng(0)


def test_autocorrelation_is_pearsons_of_the_overlap():
    image = RNG.random((9, 20, 3))
    gray = image.mean(axis=-1)
    expected = [np.corrcoef(gray[:, lag:].ravel(), gray[:, : 20 - lag].ravel())[0, 1] for lag in range(11)]
    np.testing.assert_allclose(autocorrelation(image, "right"), expected)
    np.testing.assert_allclose(autocorrelation(image.swapaxes(0, 1), "down"), expected)
    assert autocorrelation(np.ones((4, 4)), "down").tolist() == [1, 0, 0]
    with pytest.raises(ConfigError, match="`lags`"):
        autocorrelation(image, "down", lags=9)


def test_period_is_that_of_stripes():
    stripes = np.tile(np.sin(2 * np.pi * np.arange(60) / 10), (8, 1)) + RNG.normal(0, 0.2, (8, 60))
    assert period(autocorrelation(stripes, "right")) == 10
    assert period(autocorrelation(RNG.normal(size=(64, 64)), "right")) is None
    assert period([1.0, 0.8, 0.5]) is None


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_symmetrized_images_have_the_symmetry(symmetry):
    image = RNG.random((12, 10, 3))
    found = symmetrized(image, symmetry)
    sizes = {"left-right": (12, 20), "up-down": (24, 10), "both": (24, 20), "quarter-turn": (20, 20)}
    assert found.shape == (*sizes[symmetry], 3)
    for flip in SYMMETRIES[symmetry]:
        assert mirror_error(found, flip) == 0


def test_mirror_error_of_noise_is_one():
    assert mirror_error(RNG.random((200, 200, 3)), "left-right") == pytest.approx(1, abs=0.02)
    assert mirror_error(np.ones((4, 4, 3)), "up-down") == 0
