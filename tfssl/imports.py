"""Names that are imported when they are first used, and what has to happen when Keras and TensorFlow are.

``import tfssl`` imports neither of them: TensorFlow takes seconds.
"""

import ast
import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path

_KERAS_REGISTRY = "keras.src.saving.object_registration"


def lazy(package: str, file: str) -> tuple[Callable, Callable, list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package that imports its names when they are first used.

    Its names are those that its file (``__name__``, ``__file__``) imports under ``TYPE_CHECKING``, for type checkers.
    """
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    home = {alias.name: node.module or package for node in imports for alias in node.names}

    def find(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home[name] == package:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(home[name]), name)

    return find, lambda: list(home), list(home)


def offer_modules(package) -> None:
    """Let a package (the module), and every one inside it, offer what lies in its folder, imported when first used.

    So ``import tfssl`` is enough for ``tfssl.ops.color.rgb_to_lab``, and editors show what there is.
    """
    _offer(package)
    sys.meta_path.insert(0, _PackageFinder(f"{package.__name__}."))


class _PackageFinder(importlib.abc.MetaPathFinder):
    def __init__(self, prefix):
        self._prefix = prefix

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(self._prefix):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _offer(module)

            spec.loader.exec_module = exec_module
        return spec


def _offer(package):
    own_find, own_names = (vars(package).get(name) for name in ("__getattr__", "__dir__"))

    @functools.cache
    def modules():
        return {found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")}

    def find(name):
        if name in modules():
            return importlib.import_module(f"{package.__name__}.{name}")
        if own_find is not None:
            return own_find(name)
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

    def names():
        return sorted({*modules(), *(vars(package) if own_names is None else own_names())})

    package.__getattr__, package.__dir__ = find, names


def around_import(name: str, context: Callable[[], contextlib.AbstractContextManager]) -> None:
    """Import a module inside a context, whenever that will be. Nothing happens if it is imported already."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name, context))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name, context):
        self._name, self._context = name, context

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                with self._context():
                    execute(module)

            spec.loader.exec_module = exec_module
        return spec


def register_with_keras() -> None:
    """Let Keras find the registered classes of this package in the files it reads, without importing them before."""
    if _KERAS_REGISTRY in sys.modules:
        _extend_registry()
    else:
        around_import(_KERAS_REGISTRY, _then_extend_registry)


@contextlib.contextmanager
def _then_extend_registry():
    yield
    _extend_registry()


def _extend_registry():
    registry = sys.modules[_KERAS_REGISTRY]
    if not isinstance(registry.GLOBAL_CUSTOM_OBJECTS, _Registry):
        registry.GLOBAL_CUSTOM_OBJECTS = _Registry(registry.GLOBAL_CUSTOM_OBJECTS)


class _Registry(dict):
    """Keras' table of custom objects. A name of ours that is missing is looked for in the files that register some."""

    def __contains__(self, name):
        if not super().__contains__(name) and isinstance(name, str) and name.startswith("tfssl>"):
            _import_registered(name.removeprefix("tfssl>"))
        return super().__contains__(name)


def _import_registered(name):
    package = Path(__file__).resolve().parent
    word = re.compile(rf"\b{re.escape(name)}\b")
    for file in sorted(package.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "register_keras_serializable(" in text and word.search(text):
            parts = file.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
