"""Who takes part in an evaluation: an encoder, the same network untrained, the pixels themselves, other encoders."""

import dataclasses

import keras

from tfssl.errors import ConfigError

RESERVED = ("encoder", "untrained", "pixels")
"""Names that compared encoders may not have."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An encoder under a name.

    Args:
        name: ``"encoder"`` for the one that is evaluated, ``"untrained"``, ``"pixels"`` or that of a compared one.
        network: ``keras.Model``, RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, c)}``.
        taps: the taps to measure.
        redrawn: whether its weights are random, and drawn anew for each seed.
    """

    name: str
    network: keras.Model
    taps: tuple[str, ...]
    redrawn: bool = False

    def runs(self, seeds):
        """Yield ``(network, its seeds)``: one network for all seeds, or another one for each."""
        if self.redrawn:
            yield from ((untrained(self.network, seed), [seed]) for seed in range(seeds))
        else:
            yield self.network, list(range(seeds))


def contestants(encoder, *, taps=None, trained=True, compare=None):
    """The encoder, its baselines and what it is compared with.

    Args:
        encoder: ``keras.Model`` to evaluate.
        taps: names of the taps to measure; None for all.
        trained: False if its weights are random: then each seed draws new ones, and that is its own baseline.
        compare: further encoders, ``{name: keras.Model}``.

    Returns:
        List of :class:`Contestant`. There is no untrained network beside one without weights, no pixels beside
        pixels.

    Raises:
        ConfigError: for a tap that the encoder lacks, a reserved name, or something that is no encoder.
    """
    found = [Contestant("encoder", encoder, _taps(encoder, taps), redrawn=not trained)]
    if trained and encoder.variables:
        found.append(Contestant("untrained", encoder, found[0].taps, redrawn=True))
    if list(encoder.output) != ["pixels"]:
        found.append(Contestant("pixels", pixel_encoder(), ("pixels",)))
    for name, network in (compare or {}).items():
        if name in RESERVED:
            raise ConfigError(f"`compare`: the name {name!r} is taken; choose another one")
        shared = [tap for tap in taps or () if tap in network.output]
        found.append(Contestant(name, network, _taps(network, shared or None)))
    return found


def untrained(encoder, seed):
    """The same architecture with new random weights, as its initializers draw them.

    Args:
        encoder: ``keras.Model``.
        seed: of the weights; sets the global seeds of Python, NumPy and the backend.

    Returns:
        ``keras.Model`` that shares no weights with ``encoder``.
    """
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(encoder)


def pixel_encoder():
    """An encoder whose only tap, ``pixels``, is the picture: RGB in [0, 1], (B, H, W, 3) -> the same."""
    rgb = keras.Input((None, None, 3), name="rgb")
    return keras.Model(rgb, {"pixels": keras.layers.Identity(name="pixels")(rgb)}, name="pixels")


def _taps(network, wanted):
    if not isinstance(network, keras.Model) or not isinstance(network.output, dict):
        raise ConfigError(f"{getattr(network, 'name', network)!r} is no encoder: it must answer with a dict of taps")
    unknown = sorted(set(wanted or ()) - set(network.output))
    if unknown:
        raise ConfigError(f"`taps`: there is no {unknown[0]!r}; the encoder has {', '.join(network.output)}")
    return tuple(wanted or network.output)
