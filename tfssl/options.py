"""Options of a function by name: which there are, found without importing what it needs, and checking what is given."""

import ast
import numbers
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tfssl.errors import ArgumentError, ConfigError, suggest

_PACKAGE = Path(__file__).resolve().parent
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text"}

_EVERYWHERE = {"limit": 0, "pool": 0, "k": 0, "temperature": 0.0, "perplexity": 0.0}
"""What options are whose default is None."""

_FORMER = {"side": "image_size", "rate": "learning_rate", "crop": "crop_size", "batch": "batch_size"}

REQUIRED = object()
"""In place of a default: the option has to be given."""


def declared(module: str, function: str) -> dict[str, object]:
    """Arguments of a function below ``tfssl`` and their defaults, read from its source: importing may take TensorFlow.

    Returns:
        ``{argument: default}``; :data:`REQUIRED` where there is none, None where it is no literal.
    """
    found = _definition(module, function).args
    positional = [*found.posonlyargs, *found.args]
    defaults = [None] * (len(positional) - len(found.defaults)) + list(found.defaults) + list(found.kw_defaults)
    named = _constants(module)
    return {a.arg: _literal(d, named) for a, d in zip([*positional, *found.kwonlyargs], defaults, strict=True)}


def meanings(module: str, *function: str) -> dict[str, str]:
    """What the docstring of a function below ``tfssl``, a method of a class (two names) or a module says of arguments.

    Returns:
        ``{argument: text}`` of its ``Args:``, read from the source; without those that only refer to another place.
    """
    return described(ast.get_docstring(_definition(module, *function)) or "")


def described(docstring: str) -> dict[str, str]:
    """``{argument: text}`` of the ``Args:`` of a docstring, in one line each and without markup."""
    _, _, rest = docstring.partition("Args:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        if line.strip() and not line.startswith("    "):
            break  # the next part
        entry = re.fullmatch(r"    (\w+(?:, \w+)*): (.*)", line)
        if entry:
            names = entry[1].split(", ")
        for name in names:
            found[name] = f"{found.get(name, '')} {entry[2] if entry else line}".strip()
    plain = {name: re.sub(r":\w+:`~?([\w.]*\.)?(\w+)`", r"\2", text).replace("`", "") for name, text in found.items()}
    return {name: " ".join(text.split()) for name, text in plain.items() if not found[name].startswith("see :")}


def _definition(module, *names):
    """The syntax tree of a module below ``tfssl``, or of what has these names in it."""
    file = _PACKAGE.joinpath(*module.split(".")[1:])
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    node: ast.AST = ast.parse(file.read_text(encoding="utf-8"))
    for name in names:
        (node,) = (n for n in node.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name)
    return node


def check(given: Mapping[str, object], known: Mapping[str, object], what: str) -> None:
    """Refuse options that are not ``known`` (``{option: default}``), or of another kind than their default.

    ``what`` says in the message whose options they are.
    """
    for name, value in given.items():
        if name not in known:
            now = _FORMER.get(name)
            fix = f"it is now called `{now}`" if now in known else suggest(name, known)
            raise ConfigError(f"{what}: there is no option `{name}`; {fix}")
        default = _EVERYWHERE.get(name) if known[name] is None and value is not None else known[name]
        kind = _KINDS.get(type(default))
        if kind is not None and _KINDS.get(type(value)) != kind:
            raise ConfigError(f"{what}: `{name}` must be {kind}. Received: {name}={value!r}")
    for name, default in known.items():
        if default is REQUIRED and name not in given:
            raise ConfigError(f"{what}: `{name}` is missing; give {name}=VALUE")


def _constants(module):
    """What names that a module sets on its top level are set to: ``{name: syntax tree}``."""
    assigned = (node for node in _definition(module).body if isinstance(node, ast.Assign))
    return {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}


def _literal(node, named):
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(named.get(node.id, node) if isinstance(node, ast.Name) else node)
    except ValueError:
        return None


def at_least_one(**options):
    """Raise ConfigError for an option below 1; None passes."""
    for name, value in options.items():
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1. Received: {name}={value}")


def check_temperature(value: float | None, name: str = "temperature") -> None:
    """Raise ConfigError for a temperature of the annealed mean outside (0, 1]; None, the model's own, passes."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value <= 1):
        raise ConfigError(f"`{name}` must be a number in (0, 1]. Received: {name}={value!r}")


MAX_STRENGTH = 2.0
"""Beyond it colors leave what a screen can show."""


def check_strength(value: float, name: str = "strength") -> None:
    """Raise ConfigError for a factor of chroma outside [0, 2]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= MAX_STRENGTH:
        raise ConfigError(f"`{name}` must be a number in [0, {MAX_STRENGTH:g}]. Received: {name}={value!r}")


MAX_VARIANTS = 8
"""Other colorings of an image that can be asked for, see :mod:`tfssl.color.variants`."""


def check_variant(value: int, name: str = "variant") -> None:
    """Raise ConfigError for what is no whole number from 0, the usual coloring, to 8."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 0 <= value <= MAX_VARIANTS:
        raise ConfigError(f"`{name}` must be a whole number from 0 to {MAX_VARIANTS}. Received: {name}={value!r}")


def is_name(data):
    """Whether a text names data that are no files: ``builtin``, a part of them (``builtin:test``), ``tfds:NAME``, or
    what is rendered of images (``styles:photos/``)."""
    return data == "builtin" or data.startswith(("builtin:", "tfds:", "styles:"))


def as_path(name: str, value: str | os.PathLike) -> Path:
    """The path that an argument gives; ``~`` is the user's home.

    Raises:
        ArgumentError: if it is neither text nor a path.
        ConfigError: if it is empty, or no name of a file can hold it.
    """
    if not isinstance(value, (str, os.PathLike)):
        kind = type(value)
        package = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}'s "
        raise ArgumentError(
            f"`{name}` must be a path or a name, as text. Received: {name} of type {package}{kind.__name__}"
        )
    text = os.fsdecode(os.fspath(value))
    if not text or "\0" in text:
        raise ConfigError(f"`{name}` must be a path or a name. Received: {name}={text!r}")
    return Path(os.path.expanduser(text))  # unlike Path.expanduser it leaves an unknown ~name as it is
