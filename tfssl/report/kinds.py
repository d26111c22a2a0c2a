"""The kinds of what ``tfssl visualize`` draws, by name. Each is one function of networks, which knows no method."""

import importlib

from tfssl import runtime
from tfssl.errors import ConfigError, ModelError, suggest
from tfssl.options import declared

_FUNCTIONS = {
    "filters": "tfssl.visualization.filters",
    "dream": "tfssl.synthesis.dream",
    "neighbors": "tfssl.visualization.neighbors",
    "units": "tfssl.visualization.units",
    "embedding": "tfssl.visualization.embedding",
    "distance": "tfssl.visualization.neighbors",
    "steps": "tfssl.local.steps",
}

KINDS = tuple(_FUNCTIONS)  # names of the kinds


def draw(kind: str, networks, **options):
    """Draw a kind, ``{network: encoder}`` -> ``{network: {name: number}}``; a ConfigError for an unknown one."""
    for name, network in networks.items():
        modality = getattr(network, "modality", "image")
        if modality != "image":
            raise ModelError(f"{name} is an encoder of modality {modality!r}; {kind} needs one of images")
    with runtime.measuring():
        return getattr(importlib.import_module(_module(kind)), kind)(networks, **options)


def kind_options(kind: str) -> dict[str, object]:
    """``{argument: default}`` of a kind's function, found without importing it, see :func:`tfssl.options.declared`."""
    return declared(_module(kind), kind)


def _module(kind):
    if not isinstance(kind, str) or kind not in _FUNCTIONS:
        raise ConfigError(f"there is nothing to draw called {kind!r}; {suggest(kind, KINDS)}")
    return _FUNCTIONS[kind]
