"""Several encoders as one: what they learned from different tasks, side by side."""

import re

import keras
from keras import layers

from tfssl.backbones.encoder import Encoder, as_encoder
from tfssl.errors import ConfigError
from tfssl.layers.resizing import ResizeToStride

BETWEEN = "+"
"""Stands between the taps of different encoders in the name of a joined one."""


def ensemble(encoders, taps=None):
    """Join encoders to one, whose taps are theirs, one behind the other along the channels.

    Maps of later encoders are resized bilinearly to that of the first. The encoders keep their variables: what trains
    the ensemble trains them.

    Args:
        encoders: ``{name: keras.Model}``, at least two, of the same modality, as :func:`tfssl.load_encoder` gives them.
        taps: names of the joined taps: ``"conv5"`` is that tap of every encoder, ``"conv5+fc6"`` one of each, in their
            order. None: all names that every encoder has.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder`; its ``value_range`` is theirs, or [0, 1] where theirs differ.

    Raises:
        ConfigError: for fewer than two encoders, encoders that take different things, or taps that cannot be joined.

    Example:
        >>> both = ensemble({"split": tfssl.load_encoder("runs/split"), "context": tfssl.load_encoder("runs/context")})
        >>> both(images)["conv5"].shape[-1]   # the channels of both
    """
    if not isinstance(encoders, dict) or len(encoders) < 2:
        raise ConfigError(f"`encoders` must be a dict of at least two encoders. Received: encoders={encoders!r}")
    members = {name: as_encoder(network, repr(name)) for name, network in encoders.items()}
    first = next(iter(members.values()))
    for name, member in members.items():
        if member.modality != first.modality or _ranks(member) != _ranks(first):
            raise ConfigError(
                f"`ensemble`: the encoders take different things, {first.takes}, and {name}: {member.takes}"
            )
    chosen = {tap: _parts(tap, members) for tap in (_shared(members) if taps is None else taps)}
    inputs = keras.tree.map_structure(lambda tensor, *_: _input(tensor), first.input)
    value_range, maps = _value_range(members), []
    for number, (name, member) in enumerate(members.items(), 1):
        # Under a name of its own: networks of one name cannot be layers of one model.
        label = re.sub(r"\W+", "_", f"member{number}_{name}")
        member = Encoder(member.input, dict(member.output), name=label, smallest=member.smallest)
        scaled = keras.tree.map_structure(_to_range(value_range, member.value_range), inputs)
        maps.append(member(scaled))
    outputs = {tap: _join([maps[i][part] for i, part in enumerate(parts)], tap) for tap, parts in chosen.items()}
    smallest = max(member.smallest for member in members.values())
    return Encoder(inputs, outputs, "ensemble", modality=first.modality, smallest=smallest, value_range=value_range)


def _ranks(encoder):
    return [(len(tensor.shape), tensor.shape[-1]) for tensor in encoder.inputs]


def _input(tensor):
    return keras.Input((*(None for _ in tensor.shape[1:-1]), tensor.shape[-1]), dtype=tensor.dtype, name=tensor.name)


def _shared(members):
    first, *others = members.values()
    shared = [t for t, rank in first.taps.items() if all(other.taps.get(t) == rank for other in others)]
    if not shared:
        known = "; ".join(f"{name}: {', '.join(member.taps)}" for name, member in members.items())
        example = BETWEEN.join(next(reversed(member.taps)) for member in members.values())
        raise ConfigError(f"`ensemble`: no tap has the same name everywhere ({known}); name pairs, taps={example}")
    return shared


def _parts(tap, members):
    """The tap of each member that a joined tap is made of."""
    parts = tap.split(BETWEEN) if BETWEEN in tap else [tap] * len(members)
    if len(parts) != len(members):
        raise ConfigError(f"`taps`: {tap!r} names {len(parts)} taps, there are {len(members)} encoders in the ensemble")
    for part, (name, member) in zip(parts, members.items(), strict=True):
        if part not in member.taps:
            raise ConfigError(f"`taps`: {name} has no {part!r}, it has {', '.join(member.taps)}")
    if len({member.taps[part] for part, member in zip(parts, members.values(), strict=True)}) > 1:
        raise ConfigError(f"`taps`: {tap!r} joins maps and vectors, which have no cells; join maps with maps")
    return parts


def _value_range(members):
    ranges = {member.value_range for member in members.values()}
    if len(ranges) > 1 and None in ranges:
        raise ConfigError("`ensemble`: an encoder has no value_range; set it, or join encoders that have none")
    return ranges.pop() if len(ranges) == 1 else (0.0, 1.0)


def _to_range(own, wanted):
    if own == wanted:
        return lambda x: x
    (low, high), (floor, ceiling) = own, wanted
    scale = (ceiling - floor) / (high - low)
    return layers.Rescaling(scale, floor - low * scale)


def _join(parts, name):
    if len(parts[0].shape) == 4:
        parts = [parts[0], *(ResizeToStride(1)([part, parts[0]]) for part in parts[1:])]
    return layers.Concatenate(name=f"joined_{name}".replace(BETWEEN, "_"))(parts)
