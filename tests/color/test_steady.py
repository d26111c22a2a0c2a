"""Colors averaged over time: what is kept, what is smoothed, what never mixes."""

import numpy as np
import pytest

from tfssl.color.steady import RADIUS, cell_lightness, steady
from tfssl.data.cuts import find_cuts
from tfssl.errors import ConfigError


def scene(seed, shape=(8, 9)):
    return np.random.default_rng(seed).uniform(20, 80, shape).astype(np.float32)


def test_two_frames_by_hand():
    """Equal lightness, one frame apart: weights 1 and exp(-1 / 72)."""
    cells = np.zeros((2, 8, 9, 2), np.float32)
    cells[1] = 10
    weight = np.exp(-1 / 72)
    found = steady(cells, np.stack([scene(0)] * 2))
    np.testing.assert_allclose(found[0], 10 * weight / (1 + weight), rtol=1e-5)
    np.testing.assert_allclose(found[1], 10 / (1 + weight), rtol=1e-5)


def test_what_wavers_is_smoothed_and_what_holds_still_is_kept():
    rng = np.random.default_rng(0)
    still = rng.normal(0, 20, (8, 9, 2)).astype(np.float32)
    lightness = np.stack([scene(0)] * 200)
    np.testing.assert_allclose(
        steady(np.stack([still] * 200), lightness), np.stack([still] * 200), rtol=1e-4, atol=1e-4
    )
    noise = still + rng.normal(0, 5, (200, 8, 9, 2)).astype(np.float32)
    found = steady(noise, lightness)
    middle = slice(RADIUS, -RADIUS)
    weights = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / 72)
    expected = 5 * np.sqrt((weights**2).sum()) / weights.sum()
    assert (found - still)[middle].std() == pytest.approx(expected, rel=0.05)


def test_no_mean_reaches_over_a_cut_or_beyond_the_radius():
    lightness = np.stack([scene(0)] * 6 + [scene(1)] * 30)
    assert np.flatnonzero(find_cuts(lightness)).tolist() == [6]
    cells = np.zeros((36, 8, 9, 2), np.float32)
    cells[:6] = 30
    cells[-1] = 7
    found = steady(cells, lightness)
    np.testing.assert_allclose(found[:6], 30, rtol=1e-5)
    assert not found[6 : 35 - RADIUS].any() and found[35 - RADIUS].all()


def test_a_bright_thing_that_passes_takes_its_color_along():
    lightness = np.stack([0.8 * scene(0)] * 9)
    cells = np.zeros((9, 8, 9, 2), np.float32)
    for t in range(9):
        lightness[t, 4, t], cells[t, 4, t] = 100, (40, 20)
    assert not find_cuts(lightness).any()
    found = steady(cells, lightness)
    for t in range(9):
        np.testing.assert_allclose(found[t, 4, t], (40, 20), rtol=0.01)
    found[range(9), 4, range(9)] = 0
    assert np.abs(found).max() < 1


def test_windows_give_what_the_whole_film_gives():
    """What a film is colorized with: a batch and its two neighbors."""
    rng = np.random.default_rng(3)
    cells = rng.normal(0, 20, (4 * RADIUS, 8, 9, 2)).astype(np.float32)
    lightness = np.stack([scene(0)] * 4 * RADIUS) + rng.normal(0, 3, (4 * RADIUS, 8, 9)).astype(np.float32)
    part = slice(0, 3 * RADIUS)
    inside = slice(RADIUS, 2 * RADIUS)
    np.testing.assert_allclose(
        steady(cells[part], lightness[part])[inside], steady(cells, lightness)[inside], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("height, width", [(16, 24), (17, 23), (3, 4), (1, 1)])
def test_cell_lightness_has_the_cells_of_the_network(height, width):
    lightness = np.arange(height * width, dtype=np.float32).reshape(1, height, width)
    found = cell_lightness(lightness, 4)
    assert found.shape == (1, -(-height // 4), -(-width // 4))
    if height > 8:
        assert found[0, 1, 1] == lightness[0, 2:6, 2:6].mean()


def test_shapes_are_checked():
    with pytest.raises(ConfigError, match="cells"):
        steady(np.zeros((2, 3, 4, 3)), np.zeros((2, 3, 4)))
