"""The division of a run among the phases of its method."""

import dataclasses

from tfssl.errors import ConfigError
from tfssl.methods.base import Phase


@dataclasses.dataclass(frozen=True)
class Part:
    """Epochs ``first`` to ``end`` - 1, counted from 0, of a phase."""

    phase: Phase
    first: int
    end: int


def divide(phases, epochs):
    """Divide the epochs of a run among the phases of its method: a :class:`Part` each, one epoch at least."""
    if epochs < len(phases):
        names = ", ".join(phase.name for phase in phases)
        raise ConfigError(f"`epochs` must be at least {len(phases)}, one for each phase ({names}). Received: {epochs=}")
    parts, fraction, first = [], 0.0, 0
    for number, phase in enumerate(phases):
        fraction += phase.fraction
        latest = epochs - (len(phases) - number - 1)  # leaves one epoch for each phase that follows
        end = min(max(round(fraction * epochs), first + 1), latest)
        parts.append(Part(phase, first, end))
        first = end
    return parts


def part_of(parts, step, steps_per_epoch):
    """Number of the part that a checkpoint of ``step`` was written in: at a border, the one that ends there."""
    return next(i for i, part in enumerate(parts) if step <= part.end * steps_per_epoch)
