"""Patches that a known transformation relates."""

import numpy as np
import pytest

from tfssl.data import motion_pairs, moved_pairs
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


@pytest.mark.parametrize("size", [12, 13])
def test_motions_without_angles_are_exact(size):
    pairs, motions = motion_pairs(RNG.integers(0, 256, (3, 30, 24, 3), np.uint8), 60, size=size, degrees=0, seed=1)
    assert pairs.shape == (60, 2, size, size, 3) and pairs.dtype == np.uint8 and not motions[:, 2].any()
    for (one, other), (right, down, _) in zip(pairs, motions.astype(int), strict=True):
        ours = other[max(0, down) : size + min(0, down), max(0, right) : size + min(0, right)]
        theirs = one[max(0, -down) : size - max(0, down), max(0, -right) : size - max(0, right)]
        np.testing.assert_array_equal(ours, theirs)
    assert sorted(set(motions[:, :2].ravel().tolist())) == [-3, -2, -1, 0, 1, 2, 3]


def test_motions_turn_counterclockwise_and_then_shift():
    """A smooth image turned back by what was drawn is what it was."""
    from scipy.ndimage import gaussian_filter, rotate, shift

    smooth = gaussian_filter(RNG.normal(size=(90, 90)), 3)
    smooth = np.uint8(np.interp(smooth, (smooth.min(), smooth.max()), (0, 255)))
    for (one, other), (right, down, angle) in zip(
        *motion_pairs(smooth[None], 10, size=31, degrees=30, seed=4), strict=True
    ):
        expected = shift(rotate(one[..., 0].astype(float), angle, reshape=False, order=1), (down, right), order=1)
        inner = slice(9, 22)
        assert abs(expected - other[..., 0])[inner, inner].max() < 12
        assert abs(expected - one[..., 0])[inner, inner].max() > 12 or abs(angle) + abs(right) + abs(down) < 8


@pytest.mark.parametrize(
    "images", [np.zeros((2, 20, 20, 3)), np.zeros((20, 20), np.uint8), np.zeros((0, 9, 9), np.uint8)]
)
def test_motions_are_of_bytes(images):
    with pytest.raises(ArgumentError, match=r"`images` must be uint8 \(N, H, W, 3\) or \(N, H, W\). Received:"):
        motion_pairs(images, 1, size=8)


def test_nothing_from_outside_is_seen_in_a_motion():
    white = np.full((3, 20, 26, 3), 255, np.uint8)  # too small: enlarged
    pairs, motions = motion_pairs(white, 300, size=16, largest=2, degrees=30, seed=0)
    assert pairs.min() == 255
    assert abs(motions[:, 2]).max() <= 30 and abs(motions[:, :2]).max() == 2
