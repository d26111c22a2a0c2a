"""Other plausible colorings: what is sure stays, what is undecided takes another of its colors, everywhere the same."""

import numpy as np
import pytest

from tfssl.color.variants import variant_cells
from tfssl.ops.ab_bins import CENTERS, GRAY_BIN, NUM_BINS, annealed_mean, nearest_bin

RED, BLUE, GREEN = (int(nearest_bin(np.float32(color))) for color in ([60, 40], [30, -60], [-50, 50]))


def scores():
    """Left a car, red or a little less often blue; right grass, which is green."""
    field = np.full((6, 8, NUM_BINS), -12.0, np.float32)
    field[:, :4, RED], field[:, :4, BLUE] = 1.0, 0.5
    field[:, 4:, GREEN] = 1.0
    return field


def test_the_usual_coloring_is_the_annealed_mean():
    random = np.random.default_rng(0).normal(0, 3, (5, 7, NUM_BINS)).astype(np.float32)
    np.testing.assert_allclose(variant_cells(random, 0.5, 0), annealed_mean(random, 0.5), atol=1e-3)


def test_the_first_variant_takes_the_other_mode_and_leaves_what_is_sure():
    usual, other = (variant_cells(scores(), 0.2, variant) for variant in (0, 1))
    assert np.linalg.norm(usual[:, :4] - CENTERS[RED], axis=-1).max() < 10
    assert np.linalg.norm(other[:, :4] - CENTERS[BLUE], axis=-1).max() < 10
    assert np.linalg.norm(other[:, 4:] - usual[:, 4:], axis=-1).max() < 3


def test_a_gray_that_is_sure_stays_gray():
    gray = np.full((4, 4, NUM_BINS), -12.0, np.float32)
    gray[..., GRAY_BIN] = 1.0
    for variant in range(1, 9):
        assert np.abs(variant_cells(gray, 0.5, variant)).max() < 1


def test_variants_are_ordered_by_how_much_they_differ():
    field = np.random.default_rng(1).normal(0, 1, (6, 8, NUM_BINS)).astype(np.float32)
    cells = [variant_cells(field, 0.5, variant) for variant in range(9)]
    apart = np.linalg.norm(np.stack(cells)[:, None] - np.stack(cells), axis=-1).mean(axis=(2, 3))
    assert apart[0, 1] == apart[0].max()
    nearest = [apart[k, :k].min() for k in range(1, 9)]
    assert nearest == sorted(nearest, reverse=True) and nearest[-1] > 1


@pytest.mark.parametrize("variant", [1, 8])
def test_where_all_are_alike_each_is_still_there(variant):
    field = np.full((2, 2, NUM_BINS), -100.0, np.float32)
    field[..., GREEN] = 100.0
    np.testing.assert_allclose(variant_cells(field, 0.5, variant)[0, 0], CENTERS[GREEN], atol=1e-3)
