"""Methods, found by folder: ``tfssl/methods/<name>/`` holds the class ``<Name>``.

``tfssl.methods.Colorization`` imports the folder when it is first used. A method of one's own, in any module that can
be imported, is named ``module:Class`` in configurations. Importing a module runs it, also when the ``config.yaml`` of a
run or an export names it; their own folders are never searched for modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from tfssl.errors import ConfigError, reason_of, suggest

if TYPE_CHECKING:
    from tfssl.methods.base import Method


def names() -> list[str]:
    """Folder names of all methods, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def get(name: str) -> type[Method]:
    """The method class of a folder name, or of ``module:Class``.

    Raises:
        ConfigError: naming the nearest method, if there is none of that name, the module cannot be imported, or what
            it holds under that name is no method.
    """
    module, colon, attribute = str(name).partition(":")
    if colon:
        return _own(str(name), module, attribute)
    if name not in names():
        raise ConfigError(f"unknown method `{name}`: {suggest(name, names(), 'known methods')}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), _class_name(name))


def _own(name, module, attribute):
    from tfssl.methods.base import Method

    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ConfigError(f"unknown method `{name}`: give module:Class, such as my_package.frames:FramePairs")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"unknown method `{name}`: {reason_of(error)}; give module:Class that can be imported"
        ) from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise ConfigError(
            f"method `{name}`: importing {module} raised {type(error).__name__}: {reason_of(error)}"
        ) from error
    classes = [key for key, value in vars(found).items() if isinstance(value, type) and issubclass(value, Method)]
    classes = [key for key in classes if found.__dict__[key] is not Method]
    if attribute not in classes:
        what = "is no class of tfssl's Method" if hasattr(found, attribute) else "does not exist"
        fix = suggest(attribute, classes, "its methods")
        raise ConfigError(f"unknown method `{name}`: {attribute} {what} in {module}; {fix}")
    return getattr(found, attribute)


def _class_name(name):
    return "".join(part.capitalize() for part in name.split("_"))


def __getattr__(attribute: str) -> type[Method]:
    for name in names():
        if _class_name(name) == attribute:
            return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


def __dir__():
    return [*globals(), *map(_class_name, names())]
