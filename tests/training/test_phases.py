"""The division of a run into phases."""

import itertools

import pytest

from tfssl.errors import ConfigError
from tfssl.methods.base import Phase
from tfssl.training.parts import divide, part_of


def phases(*fractions):
    return tuple(Phase(f"p{i}", fraction, None, 1.0) for i, fraction in enumerate(fractions))


def borders(fractions, epochs):
    return [part.end for part in divide(phases(*fractions), epochs)]


@pytest.mark.parametrize(
    ("fractions", "epochs", "ends"),
    [
        ((1.0,), 7, [7]),
        ((0.5, 0.5), 2, [1, 2]),
        ((0.25, 0.75), 8, [2, 8]),
        ((1 / 3,) * 3, 9, [3, 6, 9]),
        ((0.01, 0.99), 2, [1, 2]),  # no phase is left out
        ((0.98, 0.01, 0.01), 3, [1, 2, 3]),
    ],
)
def test_shares_of_epochs(fractions, epochs, ends):
    assert borders(fractions, epochs) == ends


def test_every_epoch_has_one_phase():
    for fractions, epochs in itertools.product([(0.2, 0.8), (0.1, 0.1, 0.8), (0.9, 0.05, 0.05)], range(3, 40)):
        parts = divide(phases(*fractions), epochs)
        assert [e for part in parts for e in range(part.first, part.end)] == list(range(epochs))
        assert all(part.end > part.first for part in parts)


def test_fewer_epochs_than_phases_is_refused():
    with pytest.raises(ConfigError, match=r"`epochs` must be at least 2.*p0, p1.*epochs=1"):
        divide(phases(0.5, 0.5), 1)


def test_a_checkpoint_at_a_border_belongs_to_the_phase_that_ends_there():
    parts = divide(phases(0.5, 0.5), 4)
    assert [part_of(parts, step, 10) for step in (0, 19, 20, 21, 40)] == [0, 0, 0, 1, 1]
