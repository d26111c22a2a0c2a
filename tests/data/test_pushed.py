"""A finger that pushes things: what moves, what does not, and that everything follows from a seed."""

import pickle

import numpy as np
import pytest

from tfssl.data.pushed import FINGER, pushed_source
from tfssl.errors import ConfigError


def test_the_same_seed_gives_the_same_clips():
    first, again, other = (pushed_source(count=3, frames=4, seed=seed).example(1) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["clip"].pixels, again["clip"].pixels)
    np.testing.assert_array_equal(first["actions"], again["actions"])
    assert (first["clip"].pixels != other["clip"].pixels).any()


def test_pickled_sources_draw_the_same():
    source = pushed_source(count=2, frames=3)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(source)).example(1)["clip"].pixels, source.example(1)["clip"].pixels
    )


def test_a_state_and_an_action_give_the_next_state():
    source = pushed_source(count=1, frames=6, size=64, speed=3.0)
    example = source.acted(0, np.float32([[0.5, -0.5]] * 6))
    steps = np.diff(example["states"] * 64, axis=0)
    inside = np.abs(example["states"][1:]).max(axis=1) < 0.5 - FINGER
    assert inside.any()
    np.testing.assert_allclose(steps[inside], [[1.5, -1.5]] * inside.sum(), atol=1e-4)


def test_the_finger_stays_inside():
    states = pushed_source(count=1, frames=40, size=32, speed=4.0).acted(0, np.float32([[1, 1]] * 40))["states"]
    np.testing.assert_allclose(states[-1], 0.5 - FINGER, atol=1e-6)


def test_things_are_pushed_and_nothing_else_moves():
    source = pushed_source(count=1, frames=8, size=48, things=1, noise=0, speed=3.0)
    start = source._start(0)
    aim = start["things"][0] - start["finger"]
    there = source.acted(0, np.tile(aim / np.hypot(*aim), (8, 1)))
    where = start
    for action in there["actions"]:
        where = source._moved(where, action)
    moved = where["things"][0] - start["things"][0]
    assert np.dot(moved, aim) > 0 and np.hypot(*moved) > 1
    away = source.acted(0, np.zeros((8, 2)))["clip"].pixels
    assert (away == away[0]).all(), "no action, no motion"


def test_bodies_do_not_overlap():
    source = pushed_source(count=5, frames=2, size=64, things=2)
    for index in range(5):
        where = source._start(index)
        gap = np.hypot(*(where["things"][0] - where["things"][1]))
        assert gap >= where["radii"].sum() - 1.0


def test_other_actions_in_the_same_scene():
    source = pushed_source(count=1, frames=5, noise=0)
    actions = source.actions(0)
    changed = actions.copy()
    changed[2:] *= -1
    ours, theirs = (source.acted(0, part)["clip"].pixels for part in (actions, changed))
    np.testing.assert_array_equal(ours[:3], theirs[:3])
    assert (ours[3:] != theirs[3:]).any()


@pytest.mark.parametrize("wrong", [{"count": 0}, {"frames": 1}, {"size": 8}, {"things": -1}, {"speed": 0}])
def test_values_outside_their_range(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}`"):
        pushed_source(**wrong)
