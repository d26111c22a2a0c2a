"""Motions of poses, classes of them, and the way back to a path."""

import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.ops.trajectory import (
    centers,
    headings,
    motions,
    path_of,
    poses_of_path,
    steps_of_windows,
    to_classes,
    uniform_edges,
    wrapped,
)


def degrees(*values):
    return np.radians(np.array(values, np.float64))


def winding(count, seed=0):
    """Steps of a drive that turns to both sides."""
    rng = np.random.default_rng(seed)
    turns = np.convolve(rng.normal(0, 0.05, count + 9), np.ones(10) / 10, "valid")
    return np.stack([rng.uniform(0.5, 1.0, count), turns], axis=1)


def test_four_right_angles_close_a_square():
    path = path_of(np.tile([1.0, np.pi / 2], (4, 1)))
    np.testing.assert_allclose(path[-1, :2], 0, atol=1e-12)
    assert path[-1, 2] - path[0, 2] == pytest.approx(2 * np.pi)
    sides = np.diff(path[:, :2], axis=0)
    np.testing.assert_allclose(np.linalg.norm(sides, axis=1), 1)
    np.testing.assert_allclose((sides * np.roll(sides, 1, axis=0)).sum(axis=1), 0, atol=1e-12)


def test_headings_wrap():
    assert np.degrees(wrapped(degrees(-179 - 179))) == pytest.approx(2)
    np.testing.assert_allclose(wrapped([np.pi, -np.pi, 3 * np.pi]), np.pi)
    path = np.stack([np.zeros(2), np.arange(2.0), degrees(179, -179)], axis=1)
    np.testing.assert_allclose(np.degrees(motions(poses_of_path(path), 1)), [[np.degrees(1.0), 2]])


def test_headings_are_those_of_the_z_axis():
    ahead, left = poses_of_path(np.array([[0, 0, np.pi / 2], [0, 0, np.pi]]))
    np.testing.assert_allclose(ahead, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(left[:3, 2], [-1, 0, 0], atol=1e-12)  # looks where x falls: to the left
    np.testing.assert_allclose(left[:3, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(headings(np.stack([ahead, left])), [np.pi / 2, np.pi])


def test_a_path_gives_its_motions_back():
    steps = winding(40)
    poses = poses_of_path(path_of(steps))
    np.testing.assert_allclose(motions(poses, 1), steps, atol=1e-12)
    over_four = motions(poses, 4)
    np.testing.assert_allclose(over_four[:, 1], np.convolve(steps[:, 1], np.ones(4) / 4, "valid"))
    assert (over_four[:, 0] <= np.convolve(steps[:, 0], np.ones(4) / 4, "valid") + 1e-12).all()  # a chord is no longer


def test_windows_are_averaged_for_each_step():
    np.testing.assert_allclose(steps_of_windows([1.0, 3.0, 5.0], 2), [1, 2, 4, 5])
    np.testing.assert_allclose(steps_of_windows(np.full((7, 2), 0.3), 4), np.full((10, 2), 0.3))


@pytest.mark.parametrize("bins", [2, 9, 40])
def test_classes_are_at_most_half_a_bin_off(bins):
    values = np.random.default_rng(0).uniform(-1, 2, 500)
    edges = uniform_edges(-1, 2, bins)
    found = to_classes(values, edges)
    assert np.abs(centers(edges)[found] - values).max() <= 3 / bins / 2 + 1e-12
    assert found.min() == 0 and found.max() == bins - 1
    np.testing.assert_array_equal(to_classes([-5.0, edges[1], 2.0, 7.0], edges), [0, 1, bins - 1, bins - 1])


def test_more_classes_bring_the_path_to_the_truth():
    poses = poses_of_path(path_of(winding(200)))
    true = motions(poses, 1)
    errors = []
    for bins in (5, 50, 500, 5000):
        edges = [uniform_edges(column.min(), column.max(), bins) for column in true.T]
        values = [centers(e)[to_classes(column, e)] for e, column in zip(edges, true.T, strict=True)]
        path = path_of(np.stack(values, axis=1))
        errors.append(np.linalg.norm(path[:, :2] - poses[:, [0, 2], 3], axis=1).max())
    assert errors == sorted(errors, reverse=True) and errors[0] > 1 and errors[-1] < 0.01


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: uniform_edges(1, 1, 4), "`low` must be below `high`"),
        (lambda: uniform_edges(0, 1, 0), "`bins` must be an integer of at least 1"),
        (lambda: motions(np.zeros((4, 4, 4)), 4), "`span` must be an integer from 1 to 3"),
        (lambda: path_of(np.zeros((3, 3))), "`steps` must have shape"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
