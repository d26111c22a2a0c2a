"""Points that are worth following, and where they are found again."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfssl.ops.flow import follow_points, interest_points


def texture(height, width, seed=0, coarse=1.5):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), coarse)
    return np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)


def test_corners_of_a_square():
    image = np.zeros((60, 80), np.float32)
    image[20:40, 30:55] = 1.0
    points = interest_points(image, count=4)
    expected = [[30, 20], [30, 39], [54, 20], [54, 39]]
    np.testing.assert_allclose(sorted(points.tolist()), expected, atol=2)
    assert len(interest_points(np.full((40, 40), 0.5, np.float32))) == 0


@pytest.mark.parametrize("shift, coarse", [((3, 1), 1.5), ((-4, 5), 1.5), ((12, -9), 5.0)])
def test_shifts_are_found(shift, coarse):
    whole = texture(140, 180, coarse=coarse)
    first = whole[20:120, 20:160]
    second = whole[20 - shift[1] : 120 - shift[1], 20 - shift[0] : 160 - shift[0]]
    points = interest_points(first, count=100)
    points = points[(points > 25).all(axis=1) & (points < [115, 75]).all(axis=1)]
    moved, followed = follow_points(first, second, points)
    assert followed.mean() > 0.9
    np.testing.assert_allclose((moved - points)[followed], np.tile(shift, (followed.sum(), 1)), atol=0.1)


def test_parts_of_a_pixel():
    whole = gaussian_filter(texture(100, 100), 1.0)
    between = 0.7 * whole + 0.3 * np.roll(whole, 1, axis=1)  # about 0.3 pixels to the right
    points = np.array([[50.0, 50.0], [30.5, 61.25]])
    moved, followed = follow_points(whole, between, points)
    assert followed.all()
    np.testing.assert_allclose(moved - points, [[0.3, 0.0]] * 2, atol=0.05)


def test_another_scene_and_plain_places_are_not_followed():
    first, other = texture(80, 80), texture(80, 80, seed=1)
    points = interest_points(first, count=50)
    assert follow_points(first, other, points)[1].mean() < 0.3
    plain = np.full((80, 80), 0.5, np.float32)
    assert not follow_points(plain, plain, points)[1].any()
