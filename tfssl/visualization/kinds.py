"""The kinds of pictures by name. Each is one function of networks, which knows no method."""

import importlib

from tfssl.errors import ConfigError, suggest
from tfssl.options import declared

_FUNCTIONS = {
    "filters": "tfssl.visualization.conv1",
    "dream": "tfssl.synthesis.dream",
    "neighbors": "tfssl.visualization.neighbors",
    "units": "tfssl.visualization.units",
    "embedding": "tfssl.visualization.embedding",
    "distance": "tfssl.visualization.distance",
}

KINDS = tuple(_FUNCTIONS)
"""Names of the kinds."""


def get_kind(name):
    """The function that makes pictures of a kind, ``(networks, ..., *, out, ...) -> {network: {name: number}}``.

    Raises:
        ConfigError: for an unknown name; lists the known ones.
    """
    _check(name)
    return getattr(importlib.import_module(_FUNCTIONS[name]), name)


def kind_options(name: str) -> dict[str, object]:
    """``{argument: default}`` of a kind's function, found without importing it, see :func:`tfssl.options.declared`.

    Raises:
        ConfigError: as :func:`get_kind`.
    """
    _check(name)
    return declared(_FUNCTIONS[name], name)


def _check(name):
    if name not in _FUNCTIONS:
        raise ConfigError(f"there is no kind of picture {name!r}; {suggest(name, KINDS)}")
