"""An encoder in, numbers out: metrics and transfer tasks that know no method.

A task is a module of ``tasks/`` that has a function ``evaluate(encoder, data, *, out=None, ...)``; its options are the
function's keyword arguments. Adding a file adds a task to ``tfssl evaluate --task``.
"""

import difflib
import importlib
import pkgutil
from pathlib import Path

from tfssl.errors import ConfigError

_FOLDER = Path(__file__).parent / "tasks"


def task_names():
    """Names of all tasks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)]))


def get_task(name):
    """The ``evaluate`` function of a task.

    Raises:
        ConfigError: naming the nearest task, if there is none of that name.
    """
    known = task_names()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        fix = f"did you mean `{close[0]}`?" if close else "known tasks: " + ", ".join(known)
        raise ConfigError(f"unknown task `{name}`: {fix}")
    return importlib.import_module(f"{__name__}.tasks.{name}").evaluate
