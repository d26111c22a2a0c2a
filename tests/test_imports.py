"""``import tfssl`` is quick, offers its names to editors, and is enough for Keras to read what was saved."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfssl.config import load_config

ROOT = Path(__file__).resolve().parent.parent
SAVED = ("jigsaw", "context_prediction", "context_encoder")
LAZY = [p for p in sorted((ROOT / "tfssl").rglob("__init__.py")) if "= lazy(" in p.read_text(encoding="utf-8")]


def run(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def registered():
    """Names under which classes of the package are registered with Keras, read from its files."""
    for path in sorted((ROOT / "tfssl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in getattr(node, "decorator_list", ()):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("register_keras_serializable"):
                    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
                    assert given["package"] == "tfssl", f"{path}: {node.name}"
                    yield f"tfssl>{given.get('name', node.name)}"


@pytest.mark.slow
def test_import_tfssl_is_enough_for_keras_to_read_what_was_saved(tmp_path):
    """Compiled models, as runs save them; and every registered class, whatever model it is in."""
    names = sorted(registered())
    assert len(names) > 30 and len(set(names)) == len(names), "a name is registered twice"
    files = [tmp_path / f"{name}.keras" for name in SAVED]
    for name, file in zip(SAVED, files, strict=True):
        load_config(f"{name}/cpu").method.model().save(file)
    code = """
import json, sys, tfssl, keras
counts = [keras.saving.load_model(file).count_params() for file in sys.argv[1:4]]
def found(name):
    saved = {"module": None, "class_name": name.split(">")[1], "config": {"name": "x"}, "registered_name": name}
    try:
        return keras.saving.get_registered_name(type(keras.saving.deserialize_keras_object(saved))) == name
    except Exception as error:  # found, unless Keras says so: this configuration lacks what many classes need
        return "Could not locate" not in str(error)
print(json.dumps([counts, [name for name in sys.argv[4:] if not found(name)], found("tfssl>Nothing")]))
"""
    counts, missing, nothing = run(code, *files, *names)
    assert all(count > 100_000 for count in counts)
    assert missing == [] and not nothing


@pytest.mark.slow
def test_import_tfssl_is_enough_for_every_dotted_name_of_the_documents_after_keras_too():
    """And for Keras to find a class of ours where it was imported first."""
    documents = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + [*ROOT.glob("docs/*.md")]
    documents += ROOT.glob("configs/**/*.yaml")
    texts = [document.read_text(encoding="utf-8") for document in documents]
    for path in (ROOT / "tfssl").rglob("*.py"):  # what docstrings refer to: :class:`tfssl.data.source.Source`
        texts += re.findall(r":\w+:`(tfssl\.[\w.]+)`", path.read_text(encoding="utf-8"))
    names = sorted({name for text in texts for name in re.findall(r"(?<![\w./-])tfssl(?:\.[A-Za-z_]\w*)+", text)})
    assert len(names) > 50
    code = """
import json, operator, sys
import keras, tfssl
found = keras.saving.get_registered_object("tfssl>Upsample")
def missing(name):
    try:
        operator.attrgetter(name.removeprefix("tfssl."))(tfssl)
    except AttributeError as error:
        return f"{name}: {error}"
print(json.dumps([found is tfssl.layers.resizing.Upsample, *filter(None, map(missing, sys.argv[1:]))]))
"""
    assert run(code, *names) == [True]


def test_packages_offer_what_lies_in_their_folders_before_it_is_imported():
    packages = "color", "data", "discovery", "evaluation", "evaluation.tasks", "layers", "methods", "ops", "synthesis"
    code = """
import json, operator, sys, tfssl
tfssl.methods.jigsaw.data  # methods are packages too
offered = [dir(tfssl), *(dir(operator.attrgetter(name)(tfssl)) for name in sys.argv[1:])]
print(json.dumps([offered, "tensorflow" in sys.modules]))
"""
    offered, heavy = run(code, *packages)
    assert not heavy
    for name, found in zip(["", *packages], offered, strict=True):
        folder = ROOT.joinpath("tfssl", *name.split("."))
        inside = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}
        assert {n for n in inside if not n.startswith("_")} <= set(found), name


def test_importing_the_package_imports_neither_keras_nor_tensorflow():
    modules = "tfssl", "tfssl.api", "tfssl.config", "tfssl.cli", "tfssl.data.tfrecord", "tfssl.data.workers"
    code = (
        "import importlib, json, sys; [importlib.import_module(m) for m in sys.argv[1:]];"
        "print(json.dumps([m for m in ('keras', 'tensorflow', 'pandas', 'matplotlib') if m in sys.modules]))"
    )
    assert run(code, *modules) == []


@pytest.mark.parametrize("path", LAZY, ids=lambda p: p.parent.name)
def test_type_checkers_see_what_a_lazy_package_offers(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    seen = {alias.asname for block in blocks for statement in block.body for alias in statement.names}
    package = importlib.import_module(".".join(path.parent.relative_to(ROOT).parts))
    assert seen == set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    # A file of the name of what it holds would hide it as soon as it is imported; files that are offered are no such.
    holders = {name.asname: line.module for block in blocks for line in block.body for name in line.names}
    files = {file.stem for file in path.parent.glob("*.py")}
    assert not [name for name, module in holders.items() if name in files and module != package.__name__]


def test_unknown_names_are_attribute_errors():
    import tfssl

    with pytest.raises(AttributeError, match="colourize"):
        _ = tfssl.colourize
