"""The rules that keep the code in floors: who may import whom, what a method's folder holds, how long a file gets."""

import ast
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tfssl"
METHODS = sorted(p.parent.name for p in (PACKAGE / "methods").glob("*/__init__.py"))
DOORS = ("__init__.py", "data.py", "network.py", "loss.py", "evaluate.py")
MAX_LINES = 350

# Area -> areas it may import, besides itself. OPEN is open to all; "*" is everything.
# An area is a folder or a file of tfssl/; the folder methods/ counts as methods.base (base.py and __init__.py) and
# one area for each method.
ALLOWED = {
    "errors": set(),
    "files": set(),
    "imports": set(),
    "options": set(),
    "resources": set(),
    "quiet": set(),
    "runtime": set(),
    "interrupts": set(),
    "optimizers": set(),
    "ops": set(),
    "layers": {"ops"},
    "losses": {"ops"},
    "backbones": {"ops", "layers", "losses"},
    "data": {"ops"},
    "transfer": {"ops", "layers", "losses", "backbones", "data"},
    "evaluation": {"ops", "layers", "data", "transfer", "visualization"},  # it draws what it measures
    "visualization": {"ops", "layers", "data"},
    "color": {"ops", "layers", "data", "endpoint", "visualization"},
    "discovery": {"ops", "layers", "data", "visualization"},
    "local": {"ops", "layers", "backbones", "data", "visualization"},
    "synthesis": {"ops", "layers", "data", "visualization"},
    "grouping": {"ops", "layers", "data", "visualization"},
    "realism": {"ops", "data", "visualization", "color"},
    "endpoint": {"data"},  # sample inputs are made of the builtin photographs
    "methods.base": {"backbones", "data", "endpoint"},
    "methods.*": {
        "ops",
        "layers",
        "losses",
        "optimizers",
        "backbones",
        "data",
        "evaluation",
        "visualization",
        "color",
        "discovery",
        "synthesis",
        "grouping",
        "endpoint",
        "methods.base",
    },
    "config": {"methods.base"},
    "training": {"methods.base", "data", "config", "optimizers"},
    # data: int8 needs representative images; color: the page colorizes as `tfssl colorize` does.
    "export": {"backbones", "color", "endpoint", "methods.base", "data", "config", "training"},
    "report": {"config", "data", "evaluation", "methods.base", "synthesis", "training", "visualization"},
    "encoders": {"backbones", "evaluation", "export", "local", "training"},
    "api": {"*"},
    "cli": {"*"},
    "__main__": {"*"},
    "__init__": set(),  # its public names are reached lazily, by strings
}
OPEN = {"errors", "files", "imports", "interrupts", "options", "resources", "quiet", "runtime"}

# These run on every Keras backend, so nothing in them, or below them, may name TensorFlow.
PORTABLE_AREAS = ("layers", "losses", "backbones", "optimizers")
PORTABLE_FILES = ("ops/color.py", "methods/*/network.py", "methods/*/loss.py")
PORTABLE_IMPORTS = {"keras", "numpy"}
ONE_BACKEND = {"ops/depthwise_gradient.py"}  # imported only where its backend computes


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Every import of a file, those inside functions included: (line, dotted name)."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in _running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            # `from tfssl import methods` names a module, `from tfssl.errors import X` does not: both forms resolve.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _running(node):
    """The nodes below, without those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield child
            yield from _running(child)


def area(dotted):
    """Area of a dotted name below tfssl, such as ``methods.colorization`` or ``ops``."""
    parts = dotted.split(".")[1:]
    if not parts or not any((PACKAGE / f"{parts[0]}{end}").exists() for end in ("", ".py")):
        return "__init__"
    if parts[0] != "methods":
        return parts[0]
    return f"methods.{parts[1]}" if len(parts) > 1 and parts[1] in METHODS else "methods.base"


def allowed(importer, imported):
    rules = ALLOWED["methods.*" if importer.startswith("methods.") and importer != "methods.base" else importer]
    return imported in {importer} | OPEN | rules or "*" in rules


def file_of(dotted):
    """The file that holds a dotted name below tfssl, or None."""
    parts = dotted.split(".")
    while len(parts) > 1:
        path = ROOT.joinpath(*parts)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
        parts.pop()
    return None


def show(path):
    return str(path.relative_to(ROOT))


def test_every_area_has_a_rule():
    found = {area(module_name(path)) for path in modules()}
    without = {name for name in found if name not in ALLOWED and not name.startswith("methods.")}
    assert not without, f"say in ALLOWED what {without} may import"


@pytest.mark.parametrize("path", modules(), ids=show)
def test_imports_only_lower_floors(path):
    importer = area(module_name(path))
    wrong = [
        f"{show(path)}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] == "tfssl" and name != "tfssl.__version__" and not allowed(importer, area(name))
    ]
    assert not wrong, f"{importer} may not import this: {wrong}"


def test_the_rules_catch_a_wrong_import():
    assert not allowed("ops", "data")
    assert not allowed("methods.colorization", "methods.jigsaw")
    assert not allowed("methods.colorization", "training")
    assert not allowed("evaluation", "methods.colorization")
    assert allowed("cli", "methods.colorization")
    assert allowed("methods.colorization", "methods.base")
    assert area("tfssl.methods.colorization.network.build_network") == "methods.colorization"
    assert area("tfssl.methods.base.Method") == area("tfssl.methods.names") == "methods.base"


def portable_files():
    files = [p for name in PORTABLE_AREAS for p in (PACKAGE / name).glob("*.py")]
    return sorted(files + [p for pattern in PORTABLE_FILES for p in PACKAGE.glob(pattern)])


@pytest.mark.parametrize("path", portable_files(), ids=show)
def test_portable_files_use_keras_only(path):
    seen, waiting, wrong = set(), [path], []
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for line, name in imports(current):
            top = name.split(".")[0]
            if top == "tfssl":
                below = file_of(name)
                if below is not None and below not in seen | {PACKAGE / name for name in ONE_BACKEND}:
                    waiting.append(below)
            elif top not in PORTABLE_IMPORTS and top not in sys.stdlib_module_names:
                wrong.append(f"{show(current)}:{line} imports {name}")
    assert not wrong, f"{show(path)} would not run on another Keras backend: {wrong}"


@pytest.mark.parametrize("name", METHODS)
def test_method_folder_has_all_doors(name):
    missing = [door for door in DOORS if not (PACKAGE / "methods" / name / door).is_file()]
    assert not missing, f"tfssl/methods/{name}/ lacks {missing}"


@pytest.mark.parametrize("name", METHODS)
def test_method_class_is_named_after_its_folder(name):
    tree = ast.parse((PACKAGE / "methods" / name / "__init__.py").read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert "".join(part.capitalize() for part in name.split("_")) in classes


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_method_has_configurations(name, preset):
    from tfssl.config import load_config

    path = ROOT / "configs" / name / f"{preset}.yaml"
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["method"] == name
    assert text.startswith("#"), f"{show(path)} must begin with its header: paper, command, time, memory, metric"
    assert load_config(path).method.name() == name


@pytest.mark.parametrize("name", METHODS)
def test_configurations_belong_to_a_method_and_load(name):
    from tfssl.config import load_config

    for path in sorted((ROOT / "configs" / name).glob("*.yaml")):
        assert load_config(path).method.name() == name, show(path)


def test_no_configuration_folder_without_a_method():
    assert {p.parent.name for p in (ROOT / "configs").glob("*/*.yaml")} <= set(METHODS)


def source_files():
    folders = ("tfssl", "tests", "tools", "benchmarks", "examples")
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", source_files(), ids=show)
def test_file_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.name not in ("utils.py", "util.py", "helpers.py", "common.py", "misc.py"), "say what is in it"


def test_every_folder_of_the_package_is_a_package():
    folders = {p.parent for p in modules()}
    assert not [show(folder) for folder in folders if not (folder / "__init__.py").is_file()]


@pytest.mark.parametrize("path", modules(), ids=show)
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    bare = [n.name for n in nodes if not n.name.startswith("_") and ast.get_docstring(n) is None]
    if tree.body and ast.get_docstring(tree) is None:
        bare.insert(0, "the module")
    assert not bare, f"{show(path)}: no docstring on {bare}"
