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


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Models with layers, losses, metrics and classes of the library's own, compiled, as a run saves them."""
    folder = tmp_path_factory.mktemp("saved")
    for name in SAVED:
        load_config(f"{name}/cpu").method.model().save(folder / f"{name}.keras")
    return folder


@pytest.mark.parametrize("order", ["import tfssl, keras", "import keras, tfssl"])
def test_import_tfssl_is_enough_for_keras_to_load_models(order, saved):
    load = "import json, sys; print(json.dumps([keras.saving.load_model(f).count_params() for f in sys.argv[1:]]))"
    files = [saved / f"{name}.keras" for name in SAVED]
    counts = run(f"{order}; {load}", *files)
    assert all(count > 100_000 for count in counts)


def test_import_tfssl_is_enough_for_every_dotted_name_of_the_documents():
    documents = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + [*ROOT.glob("docs/*.md")]
    documents += ROOT.glob("configs/**/*.yaml")
    texts = [document.read_text(encoding="utf-8") for document in documents]
    for path in (ROOT / "tfssl").rglob("*.py"):  # what docstrings refer to: :class:`tfssl.data.source.Source`
        texts += re.findall(r":\w+:`(tfssl\.[\w.]+)`", path.read_text(encoding="utf-8"))
    names = sorted({name for text in texts for name in re.findall(r"(?<![\w./-])tfssl(?:\.[A-Za-z_]\w*)+", text)})
    assert len(names) > 50
    code = """
import json, operator, sys, tfssl
def missing(name):
    try:
        operator.attrgetter(name.removeprefix("tfssl."))(tfssl)
    except AttributeError as error:
        return f"{name}: {error}"
print(json.dumps([text for text in map(missing, sys.argv[1:]) if text]))
"""
    assert run(code, *names) == []


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


def test_unknown_names_are_attribute_errors():
    import tfssl

    with pytest.raises(AttributeError, match="colourize"):
        _ = tfssl.colourize
