"""Methods, found by folder: ``tfssl/methods/<name>/`` holds the class ``<Name>``.

``tfssl.methods.Colorization`` imports the folder when it is first used. A method of one's own, in any module that can
be imported, is named ``module:Class`` in configurations.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from tfssl.errors import ConfigError, suggest

if TYPE_CHECKING:
    from tfssl.methods.base import Method


def names() -> list[str]:
    """Folder names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def get(name: str) -> type[Method]:
    """The method class of a folder name, or of ``module:Class``.

    Raises:
        ConfigError: naming the nearest method, if there is none of that name.
    """
    module, colon, attribute = str(name).partition(":")
    if colon:
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"unknown method `{name}`: {error}; give module:Class that can be imported") from None
    if name not in names():
        raise ConfigError(f"unknown method `{name}`: {suggest(name, names(), 'known methods')}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), _class_name(name))


def _class_name(name):
    return "".join(part.capitalize() for part in name.split("_"))


def __getattr__(attribute: str) -> type[Method]:
    for name in names():
        if _class_name(name) == attribute:
            return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


def __dir__():
    return [*globals(), *map(_class_name, names())]
