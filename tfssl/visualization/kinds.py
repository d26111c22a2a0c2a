"""The kinds of pictures by name. Each is one function of networks, which knows no method."""

import importlib
import inspect

from tfssl.errors import ConfigError

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
    if name not in _FUNCTIONS:
        raise ConfigError(f"there is no kind of picture {name!r}; known: {', '.join(KINDS)}")
    return getattr(importlib.import_module(_FUNCTIONS[name]), name)


def visualize(networks, kind, *, out, progress=None, **options):
    """Make pictures of one kind.

    Args:
        networks: ``{name: keras.Model}``, encoders to set side by side, RGB in [0, 1], (B, H, W, 3) ->
            ``{tap: (B, h, w, c)}``; an untrained one belongs among them.
        kind: one of :data:`KINDS`.
        out: folder for the pictures, ``index.html`` and ``numbers.json``.
        progress: called with (done, in all).
        **options: of the kind's function; None stands for its default.

    Returns:
        ``{network: {name: number}}``.

    Raises:
        ConfigError: for an unknown kind or option, or one that is needed and missing.
    """
    function = get_kind(kind)
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
