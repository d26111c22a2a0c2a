"""An encoder in, numbers out: metrics and transfer tasks that know no method.

A task is a module of ``tasks/`` that has a function ``evaluate(encoder, data, *, out=None, ...)``; its options are the
function's keyword arguments. Adding a file adds a task to ``tfssl evaluate --task``.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from tfssl.errors import ConfigError, suggest
from tfssl.options import declared

_FOLDER = Path(__file__).parent / "tasks"


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def get_task(name: str) -> Callable:
    """The ``evaluate`` function of a task.

    Raises:
        ConfigError: naming the nearest task, if there is none of that name.
    """
    return importlib.import_module(_module(name)).evaluate


def task_options(name: str) -> dict[str, object]:
    """``{option: default}`` of a task, found without importing it, see :func:`tfssl.options.declared`.

    Raises:
        ConfigError: as :func:`get_task`.
    """
    return declared(_module(name), "evaluate")


def _module(name):
    if name not in task_names():
        raise ConfigError(f"unknown task `{name}`: {suggest(name, task_names(), 'known tasks')}")
    return f"{__name__}.tasks.{name}"
