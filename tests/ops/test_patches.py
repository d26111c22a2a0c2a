"""The geometry of neighboring patches, against numbers worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from tfssl.ops.patches import (
    DIRECTIONS,
    NUM_LABELS,
    OFFSETS,
    corners,
    down_up_matrix,
    grid_cells,
    grid_pairs,
    grid_size,
    projection_matrix,
    small_side,
)

EXPECTED = {
    (-1, -1): 0,
    (0, -1): 1,
    (1, -1): 2,
    (-1, 0): 3,
    (1, 0): 4,
    (-1, 1): 5,
    (0, 1): 6,
    (1, 1): 7,
}


def test_labels():
    assert {offset: label for label, offset in enumerate(OFFSETS)} == EXPECTED
    assert NUM_LABELS == len(DIRECTIONS) == 8
    for label, (dx, dy) in enumerate(OFFSETS):
        assert OFFSETS[7 - label] == (-dx, -dy), "swapping the patches"
        words = DIRECTIONS[label]
        assert ("above" in words, "below" in words) == (dy < 0, dy > 0)
        assert ("left" in words, "right" in words) == (dx < 0, dx > 0)


@pytest.mark.parametrize("columns, rows, count", [(2, 2, 12), (3, 3, 40), (4, 3, 58), (1, 1, 0), (5, 1, 8), (1, 3, 4)])
def test_number_of_pairs(columns, rows, count):
    pairs, labels = grid_pairs(columns, rows)
    assert pairs.shape == (count, 2) and labels.shape == (count,)


@pytest.mark.parametrize("columns, rows", [(2, 2), (4, 3), (3, 5)])
def test_pairs_are_all_neighbors_in_both_orders(columns, rows):
    pairs, labels = grid_pairs(columns, rows)
    found = {tuple(pair): label for pair, label in zip(pairs.tolist(), labels.tolist(), strict=True)}
    expected = {}
    for a in range(columns * rows):
        for b in range(columns * rows):
            offset = (b % columns - a % columns, b // columns - a // columns)
            if offset in EXPECTED:
                expected[a, b] = EXPECTED[offset]
    assert found == expected
    assert all(found[b, a] == 7 - label for (a, b), label in found.items())


def test_pairs_of_a_cut_grid():
    whole = {tuple(p): n for p, n in zip(*(a.tolist() for a in grid_pairs(4, 3)), strict=True)}
    cut = {tuple(p): n for p, n in zip(*(a.tolist() for a in grid_pairs(4, 3, 6)), strict=True)}
    assert cut == {pair: label for pair, label in whole.items() if max(pair) < 6}


def test_grid_size():
    assert grid_size(640, 480, (0, 0), 96, 48) == (4, 3)
    assert grid_size(640, 480, (143, 143), 96, 48) == (3, 2)
    assert grid_size(248, 248, (143, 143), 96, 48) == (1, 1)


def test_last_patch_of_a_grid_fits():
    for width in range(248, 700, 7):
        for gx in (0, 50, 143):
            columns, _ = grid_size(width, 300, (gx, 0), 96, 48)
            assert gx + 144 * (columns - 1) + 96 <= width < gx + 144 * columns + 96


def test_gaps_between_unclamped_patches():
    rng = np.random.default_rng(0)
    still = corners((640, 480), grid_cells(4, 12), (10, 10), np.zeros((12, 2), int), 96, 48).reshape(3, 4, 2)
    assert set(np.diff(still[..., 0], axis=1).ravel() - 96) == {48}
    assert set(np.diff(still[..., 1], axis=0).ravel() - 96) == {48}
    gaps = []
    for _ in range(300):
        jitter = rng.integers(-7, 8, (12, 2))
        moved = corners((700, 600), grid_cells(4, 12), (20, 20), jitter, 96, 48).reshape(3, 4, 2)
        gaps.extend(np.diff(moved[..., 0], axis=1).ravel() - 96)
    assert (min(gaps), max(gaps)) == (34, 62)


def test_patches_stay_inside():
    size, jitter = (240, 96), np.array([[-7, -7], [7, 7]])
    np.testing.assert_array_equal(corners(size, grid_cells(2, 2), (0, 0), jitter, 96, 48), [[0, 0], [144, 0]])


def test_small_side():
    assert small_side(0.0, 96, 10) == 10
    assert small_side(np.nextafter(1.0, 0.0), 96, 10) == 94
    sides = small_side(np.random.default_rng(0).random(100_000), 96, 10)
    assert sides.min() == 10 and sides.max() == 94
    # The area is uniform: half of the patches keep less than half of the area between the ends.
    assert np.mean(sides**2 < (10**2 + 95**2) / 2) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("side", [10, 40, 94])
def test_down_up_is_pillows_bilinear_resize(side):
    rng = np.random.default_rng(side)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
    patch = coarse.resize((96, 96), Image.Resampling.BICUBIC)
    expected = patch.resize((side, side), Image.Resampling.BILINEAR).resize((96, 96), Image.Resampling.BILINEAR)
    matrix = down_up_matrix(96, side)
    found = np.einsum("ij,jkc,lk->ilc", matrix, np.asarray(patch, np.float32), matrix)
    np.testing.assert_allclose(found, np.asarray(expected, np.float32), atol=2.0)  # Pillow rounds in between
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


def test_projection_matrix():
    matrix = projection_matrix()
    np.testing.assert_allclose(matrix, np.array([[5, 2, -1], [2, 2, 2], [-1, 2, 5]]) / 6)
    np.testing.assert_allclose([0, 1, 0] @ matrix, [1 / 3] * 3)
    np.testing.assert_allclose([1, 0, 1] @ matrix, [2 / 3] * 3)
    for kept in ([1, 1, 1], [1, 0, -1]):
        np.testing.assert_allclose(kept @ matrix, kept, atol=1e-12)
    np.testing.assert_allclose([-1, 2, -1] @ matrix, 0, atol=1e-12)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-12)
    assert np.trace(matrix) == pytest.approx(2)
