"""An encoder in, numbers out: metrics and transfer tasks that know no method.

A task is a module of this folder that has a function ``evaluate(encoder, data, *, out=None, ...)``; its options are
the function's keyword arguments. Adding a file adds a task to ``tfssl evaluate --task``.
"""

import importlib
import pkgutil


def tasks():
    """Names of all tasks, sorted."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if hasattr(importlib.import_module(f"{__name__}.{name}"), "evaluate"))


def get_task(name):
    """The ``evaluate`` function of a task.

    Raises:
        ConfigError: naming the nearest task, if there is none of that name.
    """
    import difflib

    from tfssl.errors import ConfigError

    known = tasks()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        mend = f"did you mean `{close[0]}`?" if close else "known tasks: " + ", ".join(known)
        raise ConfigError(f"unknown task `{name}`: {mend}")
    return importlib.import_module(f"{__name__}.{name}").evaluate
