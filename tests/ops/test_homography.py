"""Homographies: known ones are found again, also among points that go elsewhere."""

import numpy as np
import pytest

from tfssl.ops.homography import apply_homography, fit_homography, ransac_homography

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(0, 300, (40, 2))
# Turned by about 6 degrees, shifted by (5, -3), and a little perspective.
TRUE = np.array([[0.99, -0.1, 5.0], [0.1, 0.99, -3.0], [1e-4, -2e-4, 1.0]])


def test_by_hand():
    shift = np.array([[1, 0, 3], [0, 1, -2], [0, 0, 1]])
    np.testing.assert_allclose(apply_homography(shift, [[1, 1], [0, 5]]), [[4, -1], [3, 3]])
    # (2 x, 2 y) / (x + 1): from (1, 3) to (2, 6) / 2.
    np.testing.assert_allclose(apply_homography([[2, 0, 0], [0, 2, 0], [1, 0, 1]], [[1, 3]]), [[1, 3]])
    assert np.isinf(apply_homography([[1, 0, 0], [0, 1, 0], [1, 0, 1]], [[-1, 2]])).all()


@pytest.mark.parametrize("count", [4, 40])
def test_a_known_one_is_found(count):
    moved = apply_homography(TRUE, POINTS[:count])
    np.testing.assert_allclose(fit_homography(POINTS[:count], moved), TRUE, atol=1e-6)


def test_others_do_not_matter():
    moved = apply_homography(TRUE, POINTS)
    moved[:15] += RNG.uniform(5, 30, (15, 2))
    matrix, inliers = ransac_homography(POINTS, moved, np.random.default_rng(1))
    np.testing.assert_allclose(matrix, TRUE, atol=1e-6)
    np.testing.assert_array_equal(inliers, np.arange(40) >= 15)


def test_weights_decide_between_two():
    moved = POINTS + np.where(np.arange(40)[:, None] < 25, [4.0, 0.0], [0.0, 4.0])
    for weights, first in ((None, True), (np.where(np.arange(40) < 25, 0.1, 1.0), False)):
        _, inliers = ransac_homography(POINTS, moved, np.random.default_rng(0), weights=weights)
        np.testing.assert_array_equal(inliers, (np.arange(40) < 25) == first)


def test_what_has_none_is_said():
    with pytest.raises(ValueError, match="needs 4 points, there are 3"):
        fit_homography(POINTS[:3], POINTS[:3])
    with pytest.raises(ValueError, match="needs 4 points, there are 3"):
        ransac_homography(POINTS[:3], POINTS[:3], RNG)
    line = np.stack([np.arange(9.0), 2 * np.arange(9.0)], axis=1)
    with pytest.raises(ValueError, match="on a line"):
        fit_homography(line, line)
    with pytest.raises(ValueError, match="no homography"):
        ransac_homography(line, line, RNG)
