"""Whitening of every patch by a convolution, against the same of patches that are cut out."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.layers.whitening import PatchWhitening
from tfssl.ops.patch_whitening import (
    cosine_whitening,
    pca_whitening,
    principal_directions,
    standardize_patches,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_is_the_whitening_of_each_patch(rng):
    image = rng.uniform(size=(1, 9, 11, 2)).astype(np.float32)
    image[:, :, 6:] = 0.25  # without contrast
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (5, 5), axis=(0, 1))  # (h, w, frames, 5, 5)
    patches = standardize_patches(windows[::2, ::2].transpose(0, 1, 3, 4, 2).reshape(-1, 50))
    mean, matrix, _ = pca_whitening(standardize_patches(rng.uniform(size=(400, 50))), 7)
    layer = PatchWhitening(5, 7, stride=2)
    layer.build(image.shape)
    layer.adapt_to(mean, matrix)
    found = np.asarray(layer(image))
    assert found.shape == (1, 3, 4, 7) == layer.compute_output_shape(image.shape)
    np.testing.assert_allclose(found.reshape(-1, 7), (patches - mean) @ matrix, atol=2e-4)


def test_coordinates_have_variance_one(rng):
    patches = standardize_patches(rng.normal(size=(3000, 6)) @ rng.normal(size=(6, 9)))
    mean, matrix, kept = pca_whitening(patches, 5)
    np.testing.assert_allclose(np.cov(((patches - mean) @ matrix).T), np.eye(5), atol=2e-3)
    assert 0.5 < kept <= 1
    with pytest.raises(ConfigError, match="`components` must be at most"):
        pca_whitening(patches, 8)


def test_a_fraction_is_held_by_the_fewest_directions(rng):
    rows = rng.normal(size=(4000, 4)) * np.sqrt([6, 2, 1, 1])
    assert [len(principal_directions(rows, part)[0]) for part in (0.5, 0.59, 0.7, 0.85, 1.0)] == [1, 1, 2, 3, 4]
    variances, directions, kept = principal_directions(rows, 0.7)
    np.testing.assert_allclose(variances, [6, 2], rtol=0.1)
    np.testing.assert_allclose(abs(directions), np.eye(4)[:, :2], atol=0.05)
    assert kept == pytest.approx(0.8, abs=0.02)
    flat = np.hstack([rows, np.zeros((4000, 1))])
    assert len(principal_directions(flat, 1.0)[0]) == 4, "nothing varies along the fifth"
    for wrong in (0.0, 1.5, 5):
        with pytest.raises(ConfigError, match="`components`"):
            principal_directions(rows, wrong)
    with pytest.raises(ConfigError, match="`components` must be at most 0"):
        principal_directions(np.zeros((5, 4)), 0.9)


def test_cosines_stand_in():
    mean, matrix = cosine_whitening((4, 4, 2), 9)
    assert mean.shape == (32,) and matrix.shape == (32, 9)
    np.testing.assert_allclose(matrix.sum(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(matrix.T @ matrix, 2 * np.eye(9), atol=1e-5)
