"""Paths of a camera on the ground: motions of poses, their classes, and the way back to a path, in NumPy."""

import numpy as np

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_integers, check_shapes


def wrapped(angles):
    """Angles in radians brought to (-pi, pi]: from 179 to -179 degrees it is +2, not -358."""
    return np.pi - np.mod(np.pi - np.asarray(angles, np.float64), 2 * np.pi)


def headings(poses):
    """Direction of the camera's z axis in the x-z plane, radians from the x axis towards z: poses (N, 4, 4) -> (N,)."""
    check_shapes(poses=(poses, "N 4 4"))
    return np.arctan2(poses[:, 2, 2], poses[:, 0, 2])


def motions(poses, span=4):
    """What a camera does over ``span`` frames: speed and change of heading, each per frame.

    Args:
        poses: float (N, 4, 4): camera to world, x to the right, y down, z ahead, meters.
        span: frames from the first to the last of a window, N > span.

    Returns:
        float64 (N - span, 2): ``|t(i + span) - t(i)| / span`` in meters; and the change of :func:`headings` from i to
        i + span, wrapped to (-pi, pi], over span, in radians: above 0 to the left.
    """
    check_shapes(poses=(poses, "N 4 4"))
    check_integers(1, len(poses) - 1, span=span)
    places, angles = poses[:, :3, 3], headings(poses)
    speed = np.linalg.norm(places[span:] - places[:-span], axis=1)
    return np.stack([speed, wrapped(angles[span:] - angles[:-span])], axis=1) / span


def uniform_edges(low, high, bins):
    """Borders of ``bins`` classes of equal width from ``low`` to ``high``: float64 (bins + 1,)."""
    check_integers(1, bins=bins)
    if not low < high:
        raise ConfigError(f"`low` must be below `high`. Received: low={low!r}, high={high!r}")
    return np.linspace(low, high, bins + 1)


def to_classes(values, edges):
    """Number of the class of each value, int64 of the shape of ``values``; beyond the ends they belong to the ends."""
    check_shapes(edges=(edges, "E"))
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def centers(edges):
    """Middle of each class, (bins,): what a class stands for."""
    check_shapes(edges=(edges, "E"))
    return (edges[1:] + edges[:-1]) / 2


def steps_of_windows(values, span):
    """Motions of each step between frames: the mean over all windows that hold the step.

    Args:
        values: float (W, ...), of windows that begin at each frame in turn and are ``span`` steps long, per frame.
        span: steps of a window.

    Returns:
        float64 (W + span - 1, ...).
    """
    check_integers(1, span=span)
    values = np.asarray(values, np.float64)
    sums = np.zeros((len(values) + span - 1, *values.shape[1:]))
    counts = np.zeros(len(sums))
    for shift in range(span):
        sums[shift : shift + len(values)] += values
        counts[shift : shift + len(values)] += 1
    return sums / counts.reshape(-1, *[1] * (values.ndim - 1))


def path_of(steps, heading=np.pi / 2):
    """Follow a motion from (0, 0), each step along the heading in its middle, which is exact for arcs.

    ``th' = th + dth``, ``x' = x + v cos(th + dth / 2)``, ``z' = z + v sin(th + dth / 2)``.

    Args:
        steps: float (N, 2): distance in meters and change of heading in radians of each step.
        heading: at the start, in radians; pi / 2 looks along z.

    Returns:
        float64 (N + 1, 3): x, z and heading.
    """
    check_shapes(steps=(steps, "N 2"))
    turned = heading + np.concatenate([[0.0], np.cumsum(steps[:, 1])])
    middle = turned[:-1] + np.asarray(steps)[:, 1] / 2
    moves = np.asarray(steps)[:, :1] * np.stack([np.cos(middle), np.sin(middle)], axis=1)
    return np.concatenate([np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)]), turned[:, None]], axis=1)


def poses_of_path(path):
    """Poses on the ground, float64 (N, 4, 4), camera to world, of x, z and heading, (N, 3)."""
    check_shapes(path=(path, "N 3"))
    poses = np.tile(np.eye(4), (len(path), 1, 1))
    x, z, heading = np.asarray(path, np.float64).T
    poses[:, 0, 0], poses[:, 2, 0] = np.sin(heading), -np.cos(heading)
    poses[:, 0, 2], poses[:, 2, 2] = np.cos(heading), np.sin(heading)
    poses[:, 0, 3], poses[:, 2, 3] = x, z
    return poses
