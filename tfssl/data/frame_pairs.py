"""Two frames of a clip that are near each other in time, or far."""

import numpy as np

_TRIES = 64
SLACK = 1e-6
"""Seconds, for sums of floats."""


def near_pair(times, window, rng):
    """Numbers of two frames at most ``window`` seconds apart, the earlier one first; ``times`` as those of a clip."""
    check_frames(2, times)
    for _ in range(_TRIES):
        first = int(rng.integers(len(times)))
        near = np.flatnonzero(abs(times - times[first]) <= window + SLACK)
        if len(near) > 1:
            return sorted((first, int(rng.choice(near[near != first]))))
    raise ValueError(f"no two of its frames are within {window:g} s of each other; raise window")


def far_pair(times, window, rng):
    """Numbers of two frames more than ``window`` seconds apart, the earlier one first."""
    check_frames(2, times)
    for _ in range(_TRIES):
        first = int(rng.integers(len(times)))
        far = np.flatnonzero(abs(times - times[first]) > window + SLACK)
        if len(far):
            return sorted((first, int(rng.choice(far))))
    raise ValueError(f"it lasts {times[-1] - times[0]:.2f} s, and far frames are more than {window:g} s apart")


def check_frames(count, times):
    """ValueError if there are fewer times than frames in a tuple of ``count``."""
    if len(times) < count:
        raise ValueError(f"a clip of {len(times)} frames has no {'pairs' if count == 2 else 'triples'} of them")
