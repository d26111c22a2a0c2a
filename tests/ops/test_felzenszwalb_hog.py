"""Histograms of oriented gradients: sizes, flat images, shifts, orientations."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.ops.felzenszwalb_hog import felzenszwalb_hog, gradient_energy


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def ramp(degrees, size=64):
    """Levels that rise in one direction, clockwise from the right."""
    y, x = np.mgrid[:size, :size]
    angle = np.deg2rad(degrees)
    return (128 + np.cos(angle) * (x - 32) + np.sin(angle) * (y - 32))[..., None]


def test_a_constant_image_has_no_gradient():
    flat = np.full((96, 96, 3), 77, np.uint8)
    assert not felzenszwalb_hog(flat).any()
    assert not gradient_energy(flat).any()


def test_sizes():
    assert felzenszwalb_hog(noise(96, 96)).shape == (10, 10, 31)
    patch = felzenszwalb_hog(noise(80, 80))
    assert patch.shape == (8, 8, 31) and patch.size == 1984
    assert felzenszwalb_hog(noise(103, 87)).shape == (10, 8, 31)
    assert felzenszwalb_hog(noise(16, 80)).shape == (0, 8, 31)
    assert gradient_energy(noise(103, 87)).shape == (10, 8)


def test_a_shift_by_one_cell_shifts_the_map():
    image = noise(128, 128)
    whole, shifted = felzenszwalb_hog(image), felzenszwalb_hog(image[8:, 8:])
    np.testing.assert_allclose(shifted[1:-1, 1:-1], whole[2:-1, 2:-1], atol=1e-6)
    np.testing.assert_allclose(gradient_energy(image[8:, 8:])[1:], gradient_energy(image)[2:, 1:], rtol=1e-4)


@pytest.mark.parametrize(("degrees", "signed"), [(0, 0), (60, 3), (90, None), (180, 9), (240, 12), (340, 17)])
def test_orientation_of_a_ramp(degrees, signed):
    cell = felzenszwalb_hog(ramp(degrees))[3, 3]
    if signed is None:  # between two bins
        assert cell[:18].argmax() in (4, 5)
        return
    assert cell[:18].argmax() == signed
    assert cell[18:27].argmax() == signed % 9
    # One orientation of equal energy everywhere: normalized 1 / 2 in each block, truncated at 0.2, four blocks.
    assert cell[signed] == pytest.approx(0.5 * 4 * 0.2)
    assert cell[27:] == pytest.approx(0.2357 * 0.2)


def test_turning_by_half_a_turn_exchanges_the_signs():
    image = noise(96, 96)
    one, other = felzenszwalb_hog(image), felzenszwalb_hog(image[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_allclose(other[..., :9], one[..., 9:18], atol=1e-5)
    np.testing.assert_allclose(other[..., 18:27], one[..., 18:27], atol=1e-5)


def test_contrast_does_not_matter_and_the_strongest_channel_counts():
    image = noise(96, 96)[..., :1].astype(np.float32)
    np.testing.assert_allclose(felzenszwalb_hog(image / 2), felzenszwalb_hog(image), atol=1e-5)
    flat_beside = np.concatenate([np.zeros_like(image), image], axis=-1)
    np.testing.assert_array_equal(felzenszwalb_hog(flat_beside), felzenszwalb_hog(image))


def test_energy_of_a_ramp():
    assert gradient_energy(ramp(0)) == pytest.approx(1)  # one level a pixel
    assert gradient_energy(np.concatenate([2 * ramp(0), 0 * ramp(0)], axis=-1)) == pytest.approx(2)


def test_shape_is_checked():
    with pytest.raises(ConfigError, match="`image` must have shape"):
        felzenszwalb_hog(np.zeros((80, 80)))
