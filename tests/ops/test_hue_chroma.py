"""Hue, chroma and value: hand-worked colors, the way back, bins and quantiles."""

import numpy as np
import pytest
from skimage.color import rgb2hsv

from tfssl.ops.bytes_lab import lightness, mean_lightness
from tfssl.ops.color import lightness_to_level
from tfssl.ops.hue_chroma import (
    even_bin,
    even_centers,
    hcv_to_rgb,
    match_lightness,
    quantile_centers,
    quantile_edges,
    rgb_to_hcv,
)

# RGB -> hue, chroma, value; bins of hue and chroma (the method card's).
COLORS = [
    ((0.8, 0.4, 0.2), (0.0555556, 0.6, 0.8), (1, 19)),
    ((0.2, 0.4, 0.8), (0.6111111, 0.6, 0.8), (19, 19)),
    ((0.1, 0.9, 0.4), (0.3958333, 0.8, 0.9), (12, 25)),
    ((0.5, 0.5, 0.5), (0.0, 0.0, 0.5), (0, 0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0, 0)),
]


@pytest.mark.parametrize("rgb, hcv, bins", COLORS)
def test_hand_worked_colors(rgb, hcv, bins):
    found = rgb_to_hcv(np.array(rgb))
    np.testing.assert_allclose(found, hcv, atol=1e-6)
    np.testing.assert_array_equal(even_bin(found[:2], 32), bins)


def test_hue_and_value_are_those_of_hsv_and_the_way_back_is_exact():
    rgb = np.random.default_rng(0).random((40, 30, 3))
    hcv = rgb_to_hcv(rgb)
    hsv = rgb2hsv(rgb)
    np.testing.assert_allclose(hcv[..., [0, 2]], hsv[..., [0, 2]], atol=1e-12)
    np.testing.assert_allclose(hcv[..., 1], hsv[..., 1] * hsv[..., 2], atol=1e-12)
    np.testing.assert_allclose(hcv_to_rgb(hcv), rgb, atol=1e-12)
    np.testing.assert_allclose(hcv_to_rgb(hcv + np.array([1, 0, 0])), rgb, atol=1e-12)  # a whole turn


def test_bins_of_the_ends():
    np.testing.assert_array_equal(even_bin([0.0, 0.999 / 32, 1 / 32, 1.0], 32), [0, 0, 1, 31])
    np.testing.assert_array_equal(even_bin(even_centers(32), 32), np.arange(32))


def test_quantiles_of_the_gaussian():
    np.testing.assert_allclose(quantile_edges(4), [-16.862, 0, 16.862], atol=5e-4)
    assert quantile_edges(32)[[0, -1]] == pytest.approx([-46.568, 46.568], abs=5e-4)
    np.testing.assert_array_equal(np.searchsorted(quantile_edges(16), quantile_centers(16)), np.arange(16))


def test_matched_lightness_is_the_gray_level_wherever_nothing_is_clipped():
    rgb = np.random.default_rng(0).random((2000, 3)).astype(np.float32)
    gray = np.random.default_rng(1).random((2000, 1)).astype(np.float32)
    found = np.asarray(match_lightness(rgb, gray))
    clipped = ((found == 0) | (found == 1)).any(axis=-1)
    assert 0.1 < clipped.mean() < 0.9 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found.mean(axis=-1)[~clipped], gray[~clipped, 0], atol=1e-6)


def test_grays_of_the_mean_and_their_levels():
    gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_allclose(mean_lightness(gray), lightness(gray), atol=1e-4)
    np.testing.assert_allclose(lightness_to_level(lightness(gray)), np.arange(256) / 255, atol=1e-5)
    level = np.asarray(lightness_to_level(mean_lightness(np.array([[204, 102, 51]], np.uint8))))
    assert level == pytest.approx(0.46667, abs=1e-5)  # of (.8, .4, .2), the card's
