"""The options of a task, of a method's metrics and of a synthesis, as ``--help`` lists them."""

import contextlib
import dataclasses
import importlib.util
import inspect
import shutil
import textwrap

from tfssl import methods
from tfssl.cli.app import TakesOptions
from tfssl.errors import TfsslError
from tfssl.evaluation import task_meanings, task_options
from tfssl.options import REQUIRED, described, meanings
from tfssl.resources import method_of
from tfssl.synthesis.recipe import Recipe, recipe_options


class EvaluateCommand(TakesOptions):
    """``tfssl evaluate``: ``--task TASK --help`` lists the options of the task, ``RUN --help`` those of its metrics."""

    def is_switch(self, name, words):
        task, method = _task(words), _method(words)
        if task is None and method is None:
            return False
        known = task_options(task) if task is not None else methods.get(method).metric_options()
        return known.get(name) is False

    def options_help(self, words):
        task, name = _task(words), _method(words)
        if task is not None:
            return _listed(f"Options of the task {task}", task_options(task), task_meanings(task))
        if name is None:
            return "Options: of a task, tfssl evaluate --task TASK --help; of a method's, tfssl evaluate RUN --help"
        return _listed(f"Options of the metrics of {name}", methods.get(name).metric_options(), method_meanings(name))


class SynthesizeCommand(TakesOptions):
    """``tfssl synthesize``: ``--help`` lists the options of a recipe that are no flags."""

    def options_help(self, words):
        flags = {parameter.name for parameter in self.params}
        known = {name: default for name, default in recipe_options().items() if name not in flags}
        return _listed("Further options", known, described(inspect.getdoc(Recipe) or ""))


class GroupCommand(TakesOptions):
    """``tfssl group``: ``--help`` lists the settings that are no flags."""

    def options_help(self, words):
        from tfssl.grouping.group import Grouper  # scikit-learn takes a second
        from tfssl.grouping.scenes import SceneGrouper

        flags = {parameter.name for parameter in self.params}
        parts = []
        for heading, settings in (("Options of photographs", Grouper), ("Options of clips", SceneGrouper)):
            known = {field.name: field.default for field in dataclasses.fields(settings) if field.name not in flags}
            parts.append(_listed(heading, known, described(inspect.getdoc(settings) or "")))
        return "\n\n".join(parts)


def method_meanings(name):
    """``{option: what it means}`` of the metrics of a method, as its docstrings have it."""
    own = described(inspect.getdoc(methods.get(name).evaluate) or "")
    if ":" not in name and importlib.util.find_spec(f"tfssl.methods.{name}.evaluate"):
        own |= meanings(f"tfssl.methods.{name}.evaluate", "evaluate")
    return meanings("tfssl.methods.base", "Method", "evaluate") | own


def _task(words):
    """What a command line gives to ``--task``."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        flag, equals, value = word.partition("=")
        if flag == "--task":
            return value if equals else following
    return None


def _method(words):
    """Name of the method that a command line is about: of the first word that names one or a model; None without."""
    for word in words:
        if word in methods.names():
            return word
        with contextlib.suppress(TfsslError):
            if not word.startswith("-"):
                return method_of(word)
    return None


def _listed(heading, known, texts):
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    lines = [f"{heading}, written as NAME=VALUE or --NAME VALUE:"]
    for name, default in known.items():
        lines.append(f"  {name}" + ("" if default is REQUIRED else f"={_text(default)}"))
        lines += textwrap.wrap(texts.get(name, ""), width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _text(default):
    return "none" if default is None else str(default).lower() if isinstance(default, bool) else default
