"""Motions between poses: card, tests 2 and 3."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tfssl.ops.poses import planar_motion, relative_pose

RNG = np.random.default_rng(0)


def random_pose():
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=RNG).as_matrix()
    pose[:3, 3] = RNG.normal(size=3) * 5
    return pose


def yawed(angle, shift=(0, 0, 0)):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("y", angle).as_matrix()
    pose[:3, 3] = shift
    return pose


def test_the_motion_that_was_put_in_comes_out():
    for _ in range(5):
        first, motion = random_pose(), random_pose()
        np.testing.assert_allclose(relative_pose(first, first @ motion), motion, atol=1e-6)
        x, z, _ = planar_motion(first, first @ motion)
        np.testing.assert_allclose([x, z], motion[[0, 2], 3], atol=1e-6)


def test_only_the_world_form_depends_on_the_world():
    first, second, world = random_pose(), random_pose(), random_pose()
    moved = world @ first, world @ second
    np.testing.assert_allclose(planar_motion(*moved), planar_motion(first, second), atol=1e-6)
    ours, theirs = planar_motion(*moved, "world"), planar_motion(first, second, "world")
    assert abs(ours - theirs)[:2].max() > 0.1
    assert ours[2] == pytest.approx(theirs[2], abs=1e-6), "turns are relative in both"


def test_axes_agree_where_the_first_camera_is_the_world():
    second = yawed(0.3, (1, 2, 3))
    np.testing.assert_allclose(planar_motion(np.eye(4), second), [1, 3, 0.3], atol=1e-9)
    np.testing.assert_allclose(planar_motion(np.eye(4), second, "world"), [1, 3, 0.3], atol=1e-9)
    # A camera that looks along x: what lies before it is its z, though the world calls it x.
    right = yawed(np.pi / 2)
    ahead = right @ yawed(0, (0, 0, 2))
    np.testing.assert_allclose(planar_motion(right, ahead), [0, 2, 0], atol=1e-9)
    np.testing.assert_allclose(planar_motion(right, ahead, "world"), [2, 0, 0], atol=1e-9)


def test_swapping_inverts():
    first, motion = random_pose(), random_pose()
    there, back = relative_pose(first, first @ motion), relative_pose(first @ motion, first)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-6)
    for angle in (0.2, -1.0, 3.0):
        one, other = yawed(0.7), yawed(0.7 + angle)
        np.testing.assert_allclose(planar_motion(one, other), [0, 0, angle], atol=1e-9)
        np.testing.assert_allclose(planar_motion(other, one), [0, 0, -angle], atol=1e-9)


def test_many_at_once_and_wrong_axes():
    poses = np.stack([random_pose() for _ in range(6)])
    motions = planar_motion(poses[:3], poses[3:])
    np.testing.assert_allclose(motions[1], planar_motion(poses[1], poses[4]))
    with pytest.raises(ValueError, match=r"`axes` must be one of camera, world\. Received: axes='car'"):
        planar_motion(poses[0], poses[1], "car")
