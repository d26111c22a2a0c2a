"""Patches that a known transformation relates."""

import numpy as np
import pytest

from tfssl.data import moved_pairs
from tfssl.data.moved import cut_windows, moved, window_size
from tfssl.errors import ArgumentError

RNG = np.random.default_rng(0)


def test_shifts_are_exact():
    windows = RNG.integers(0, 256, (1, 19, 19))
    patch = moved(windows, 13, np.array([[2.0, -3.0]], np.float32))[0]
    np.testing.assert_array_equal(patch, windows[0, 3 - 2 : 16 - 2, 3 + 3 : 16 + 3])
    a, b, c, d = moved_pairs(None, 1, largest=3, seed=2)[0][0]
    (down, right) = moved_pairs(None, 1, largest=3, seed=2)[1][0].astype(int)
    for one, other in ((a, b), (c, d)):
        ours = other[max(0, down) : 13 + min(0, down), max(0, right) : 13 + min(0, right)]
        theirs = one[max(0, -down) : 13 - max(0, down), max(0, -right) : 13 - max(0, right)]
        np.testing.assert_array_equal(ours, theirs)
    assert (down, right) != (0, 0)


@pytest.mark.parametrize("quarter", [1, 2, 3, -1])
def test_quarter_turns_are_exact_and_counterclockwise(quarter):
    size = window_size(13, "rotations")
    windows = RNG.integers(0, 256, (2, size, size))
    turned = moved(windows, 13, np.full((2, 1), 90.0 * quarter, np.float32))
    margin = (size - 13) // 2
    expected = np.rot90(windows, quarter, axes=(1, 2))[:, margin:-margin, margin:-margin]
    np.testing.assert_allclose(turned, expected, atol=1e-3)


def test_rotations_agree_with_scipy():
    from scipy.ndimage import rotate

    size = window_size(13, "rotations")
    windows = RNG.integers(0, 256, (1, size, size)).astype(np.float32)
    expected = rotate(windows[0], 30, reshape=False, order=1)
    margin = (size - 13) // 2
    ours = moved(windows, 13, np.array([[30.0]], np.float32))[0]
    np.testing.assert_allclose(ours, expected[margin:-margin, margin:-margin], atol=0.1)


def test_nothing_from_outside_moves_in():
    for kind in ("shifts", "rotations"):
        size = window_size(13, kind)
        windows = np.full((50, size, size), 9)
        windows[:, 1:-1, 1:-1] = 5
        moves = np.linspace(-180, 180, 50)[:, None] if kind == "rotations" else np.full((50, 2), 2.0)
        assert (moved(windows, 13, moves.astype(np.float32)) == 5).all()


def test_draws_are_seeded_and_cover_the_range():
    patches, moves = moved_pairs(None, 400, size=9, largest=2, seed=3)
    assert patches.shape == (400, 4, 9, 9) and patches.dtype == np.uint8
    assert sorted(set(moves.ravel().tolist())) == [-2, -1, 0, 1, 2]
    np.testing.assert_array_equal(patches, moved_pairs(None, 400, size=9, largest=2, seed=3)[0])
    angles = moved_pairs(RNG.integers(0, 256, (2, 40, 30), np.uint8), 400, kind="rotations")[1]
    assert angles.shape == (400, 1) and 50 < angles.std() < 80 and abs(angles).max() <= 180


def test_small_images_are_enlarged_or_refused_by_name():
    assert cut_windows(RNG, np.zeros((10, 12), np.uint8), 3, 19).shape == (3, 19, 19)
    with pytest.raises(ArgumentError, match=r"`images` must be .* at least 19 pixels"):
        moved_pairs(np.zeros((2, 10, 12), np.uint8), 3)
    with pytest.raises(ArgumentError, match="`kind`"):
        moved_pairs(None, 3, kind="zoom")
