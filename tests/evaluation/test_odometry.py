"""Drift at the end of a path, and the errors of KITTI's benchmark."""

import numpy as np
import pytest

from tfssl.evaluation.odometry import final_errors, path_length, segment_errors
from tfssl.ops.trajectory import path_of, poses_of_path


def drive(count, speed=1.0, turn=0.0):
    return poses_of_path(path_of(np.tile([speed, turn], (count, 1))))


def test_a_right_path_has_no_errors():
    truth = drive(300, turn=0.01)
    assert path_length(truth) == pytest.approx(300)
    assert final_errors(truth, truth) == (0, 0)
    found = segment_errors(truth, truth)
    assert set(found[:, 0]) == {100, 200}
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-6)


def test_too_long_by_a_tenth():
    truth, estimate = drive(250), drive(250, speed=1.1)
    drift, heading = final_errors(truth, estimate)
    assert drift == pytest.approx(0.1) and heading == 0
    found = segment_errors(truth, estimate)
    # The first frame beyond 100 m is the 101st: 10.1 m too far, over 100 m.
    np.testing.assert_allclose(found[found[:, 0] == 100][:, 1], 0.101, atol=1e-6)
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-6)


def test_a_steady_turn_that_is_not_there():
    turn = np.radians(0.05)
    truth, estimate = drive(250), drive(250, turn=turn)
    assert final_errors(truth, estimate)[1] == pytest.approx(5)
    found = segment_errors(truth, estimate)
    hundred = found[found[:, 0] == 100]
    assert len(hundred) == 15  # from frames 0, 10, ... 140, because 101 frames follow each
    np.testing.assert_allclose(hundred[:, 2], 0.05 * 101 / 100, atol=1e-6)
    # The chord of an arc: across by (1 - cos a) / k, short by s - sin(a) / k.
    angle = 101 * turn
    apart = np.hypot((1 - np.cos(angle)) / turn, 101 - np.sin(angle) / turn)
    np.testing.assert_allclose(hundred[:, 1], apart / 100, rtol=1e-4)


def test_short_paths_have_short_parts_only():
    truth = drive(50)
    assert segment_errors(truth, truth).shape == (0, 3)
    found = segment_errors(truth, drive(50, speed=1.2), lengths=(10, 20))
    assert set(found[:, 0]) == {10, 20} and (found[:, 1] > 0.2).all()


def test_errors_do_not_depend_on_where_both_paths_begin():
    truth, estimate = drive(220, speed=0.97, turn=0.01), drive(220, speed=1.05, turn=0.011)
    moved = poses_of_path(np.array([[5.0, -3.0, 2.0]]))[0]
    np.testing.assert_allclose(segment_errors(moved @ truth, estimate), segment_errors(truth, estimate), atol=1e-6)
