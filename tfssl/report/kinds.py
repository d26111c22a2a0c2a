"""The kinds of what `tfssl visualize` draws, by name. Each is one function of networks, which knows no method."""

import importlib
import inspect

from tfssl.errors import ConfigError, ModelError

_FUNCTIONS = {
    "filters": "tfssl.visualization.filters",
    "dream": "tfssl.synthesis.dream",
    "neighbors": "tfssl.visualization.neighbors",
    "units": "tfssl.visualization.units",
    "embedding": "tfssl.visualization.embedding",
    "distance": "tfssl.visualization.neighbors",
}

KINDS = tuple(_FUNCTIONS)
"""Names of the kinds."""


def get_kind(name):
    """The function that draws a kind, ``(networks, ..., *, out, ...) -> {network: {name: number}}``.

    Raises:
        ConfigError: for an unknown name; lists the known ones.
    """
    if name not in _FUNCTIONS:
        raise ConfigError(f"there is nothing to draw called {name!r}; known: {', '.join(KINDS)}")
    return getattr(importlib.import_module(_FUNCTIONS[name]), name)


def visualize(networks, kind, *, out, progress=None, **options):
    """Draw what networks learned.

    Args:
        networks: ``{name: keras.Model}``, encoders to set side by side, RGB in [0, 1], (B, H, W, 3) ->
            ``{tap: (B, h, w, c)}``; an untrained one belongs among them.
        kind: one of :data:`KINDS`.
        out: folder for the images, ``index.html`` and ``numbers.json``.
        progress: called with (done, in all).
        **options: of the kind's function; None stands for its default.

    Returns:
        ``{network: {name: number}}``.

    Raises:
        ConfigError: for an unknown kind or option, or one that is needed and missing.
        ModelError: for an encoder of anything but images.
    """
    function = get_kind(kind)
    for name, network in networks.items():
        modality = getattr(network, "modality", "image")
        if modality != "image":
            raise ModelError(f"{name} is an encoder of modality {modality!r}; {kind} needs one of images")
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "networks"}
    given = {name: value for name, value in options.items() if value is not None}
    known = [name for name in parameters if name not in ("out", "progress", "skipped")]
    for name in given:
        if name not in parameters:
            raise ConfigError(f"{kind}: there is no option `{name}`; known: {', '.join(known) or 'none'}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in (*given, "out"):
            raise ConfigError(f"{kind}: `{name}` is missing; give it")
    if "progress" in parameters:
        given["progress"] = progress
    return function(networks, out=out, **given)
