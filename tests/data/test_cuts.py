"""Cuts of films: between unlike frames, and nowhere else."""

import numpy as np

from tfssl.data.cuts import find_cuts


def scene(seed, shape=(8, 9)):
    return np.random.default_rng(seed).uniform(20, 80, shape).astype(np.float32)


def test_a_cut_is_the_first_frame_of_a_shot():
    assert np.flatnonzero(find_cuts(np.stack([scene(0)] * 6 + [scene(1)] * 3 + [scene(0)]))).tolist() == [6, 9]
    assert find_cuts(scene(0)[None]).tolist() == [False]


def test_flashes_fades_and_black_frames_are_no_cuts():
    base = scene(0)
    frames = [base, base + 20, base * 0.4, base * 0.1, np.zeros_like(base), np.zeros_like(base)]
    assert not find_cuts(np.stack(frames)[[0, 1, 0, 2, 3]]).any()
    assert not find_cuts(np.stack(frames)[4:]).any()
