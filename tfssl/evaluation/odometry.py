"""How far an estimated path goes astray: drift at its end, and the errors of KITTI's odometry benchmark, in NumPy."""

import numpy as np

from tfssl.ops.arguments import check_integers, check_shapes
from tfssl.ops.trajectory import headings, wrapped


def path_length(poses):
    """Meters that a camera went, of poses (N, 4, 4)."""
    check_shapes(poses=(poses, "N 4 4"))
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


def final_errors(truth, estimate):
    """Where a path ends, beside where it should.

    Args:
        truth, estimate: poses, float (N, 4, 4), camera to world.

    Returns:
        ``(drift, heading)``: distance between both ends as a fraction of the true length, and degrees between both
        headings, per 100 m of it.
    """
    check_shapes(truth=(truth, "N 4 4"), estimate=(estimate, "N 4 4"))
    length = path_length(truth)
    drift = np.linalg.norm(truth[-1, :3, 3] - estimate[-1, :3, 3]) / length
    return float(drift), float(
        np.degrees(abs(wrapped(headings(truth[-1:])[0] - headings(estimate[-1:])[0]))) * 100 / length
    )


def segment_errors(truth, estimate, lengths=(100, 200, 300, 400, 500, 600, 700, 800), step=10):
    """Errors over parts of a path, as KITTI's development kit computes them.

    From every ``step``-th frame to the first one further along the true path than each length: ``E = (P^-1 P')^-1 (Q^-1
    Q')`` of estimated poses P, P' and true ones Q, Q'; the length of its shift and the angle of its rotation, each over
    the length.

    Args:
        truth, estimate: poses, float (N, 4, 4), camera to world.
        lengths: of the parts in meters.
        step: frames from one start to the next.

    Returns:
        float64 (K, 3): length in meters, translation error as a fraction, rotation error in degrees per meter of each
        part; none where the path is too short.

    Reference:
        A. Geiger, P. Lenz, R. Urtasun: Are we ready for autonomous driving? The KITTI vision benchmark suite. CVPR
        2012.
    """
    check_shapes(truth=(truth, "N 4 4"), estimate=(estimate, "N 4 4"))
    check_integers(1, step=step)
    gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(truth[:, :3, 3], axis=0), axis=1))])
    found = []
    for first in range(0, len(truth), step):
        for length in lengths:
            last = int(np.searchsorted(gone, gone[first] + length, side="right"))
            if last >= len(truth):
                continue
            should = np.linalg.solve(truth[first], truth[last])
            error = np.linalg.solve(np.linalg.solve(estimate[first], estimate[last]), should)
            angle = np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1))
            found.append((length, np.linalg.norm(error[:3, 3]) / length, np.degrees(angle) / length))
    return np.array(found).reshape(-1, 3)
