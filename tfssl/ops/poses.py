"""Poses of a moving camera, in NumPy: how it moved between two of them.

A pose is a matrix (..., 4, 4) that takes points of the camera to those of the world. Axes are KITTI's: x to the right,
y down, z forward.
"""

import numpy as np

from tfssl.ops.arguments import check_shapes

AXES = ("camera", "world")


def relative_pose(first, second):
    """Motion between two poses, float64 (..., 4, 4): points of the second camera to those of the first."""
    check_shapes(first=(first, "... 4 4"), second=(second, "... 4 4"))
    return np.linalg.solve(first, second)


def planar_motion(first, second, axes="camera"):
    """What a car does between two poses: shift along x and z, and turn about y.

    The turn is that of ``R1^T R2``, in [-pi, pi]; to the right it is positive. (The code of Agrawal et al. takes
    ``R2^T R1``, its negative.)

    Args:
        first, second: poses (..., 4, 4).
        axes: of the shift: ``"camera"``, those of the first camera, ``R1^T (t2 - t1)``, which do not depend on where
            the world has its origin; ``"world"``, ``t2 - t1``, as the code of Agrawal et al. has it.

    Returns:
        float64 (..., 3): x and z in the poses' unit, and the turn in radians.
    """
    if axes not in AXES:
        raise ValueError(f"`axes` must be one of {', '.join(AXES)}. Received: axes={axes!r}")
    motion = relative_pose(first, second)
    shift = motion[..., :3, 3] if axes == "camera" else second[..., :3, 3] - first[..., :3, 3]
    turn = np.arctan2(motion[..., 0, 2], motion[..., 2, 2])
    return np.stack([shift[..., 0], shift[..., 2], turn], axis=-1)
