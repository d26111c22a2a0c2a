"""Photographs made to look old."""

import numpy as np
import pytest

from tfssl.color import aging
from tfssl.color.aging import age, frame
from tfssl.ops.bytes_lab import ab, lightness


class Rng:
    """A generator whose first draw chooses the effects by their number."""

    def __init__(self, *effects, seed=0):
        self.rng = np.random.default_rng(seed)
        self.effects = effects

    def random(self, size=None):
        if size == 8:
            return np.array([0.0 if i in self.effects else 1.0 for i in range(8)])
        return self.rng.random(size)

    def __getattr__(self, name):
        return getattr(self.rng, name)


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def test_without_an_effect_it_is_the_lightness(pixels):
    np.testing.assert_allclose(age(pixels, Rng()), lightness(pixels), atol=1e-4)


@pytest.mark.parametrize("effect", range(8))
def test_every_effect_changes_something_and_stays_in_range(pixels, effect):
    seen = age(pixels, Rng(effect))
    assert seen.shape == (48, 64)
    assert seen.dtype == np.float32
    assert 0 <= seen.min() <= seen.max() <= 100
    assert np.abs(seen - lightness(pixels)).max() > 0.5


def test_fading_leaves_less_contrast():
    pixels = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    for seed in range(20):
        faded = age(pixels, Rng(6, seed=seed))
        assert np.ptp(faded) < 100
        assert (np.diff(faded[0]) >= 0).all()


def test_grain_is_at_most_what_is_said():
    gray = np.full((64, 64, 3), 119, np.uint8)
    deviations = [age(gray, Rng(5, seed=seed)).std() / 100 for seed in range(40)]
    assert max(deviations) <= aging.GRAIN * 1.05
    assert np.ptp(deviations) > aging.GRAIN / 2


def test_old_film_sees_red_darker_and_blue_lighter():
    colors = np.array([[[200, 40, 40], [40, 40, 200]]], np.uint8)
    red, blue = np.mean([age(colors, Rng(0, seed=seed))[0] for seed in range(20)], axis=0)
    plain = lightness(colors)[0]
    assert red < plain[0]
    assert blue > plain[1]


def test_the_same_generator_gives_the_same_picture(pixels):
    first, second = (age(pixels, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_frame_is_gray_and_leaves_the_rest(pixels):
    changed = 0
    for seed in range(10):
        framed = frame(pixels, np.random.default_rng(seed))
        different = (framed != pixels).any(axis=-1)
        changed += different.any()
        assert np.abs(ab(framed[different])).max() < 0.1 if different.any() else True
        assert not different[14:34, 18:46].any()  # the middle
    assert changed >= 8
