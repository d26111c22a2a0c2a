"""Every script says what it does when it is asked, and does nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    path
    for folder in ("benchmarks", "examples", "tools")
    for path in sorted((ROOT / folder).glob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]
LIGHT = ("check_snippets", "demo", "discovery", "golden", "machine", "make_tables")  # answer without TensorFlow


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_main_reads_its_arguments_before_it_does_anything(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "what --help says"
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    calls = [
        ast.unparse(node.func) for statement in main.body for node in ast.walk(statement) if isinstance(node, ast.Call)
    ]
    read = next(n for n, name in enumerate(calls) if name.endswith("parse_args"))
    before = {name.rpartition(".")[2] for name in calls[:read]}
    building = {"ArgumentParser", "add_argument", "add_mutually_exclusive_group", "splitlines"}
    assert before <= building | {"join", "list", "str", "Path"}


@pytest.mark.parametrize("path", [p for p in SCRIPTS if p.stem in LIGHT], ids=lambda p: p.stem)
def test_help_is_printed(path):
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("usage:") and not done.stderr
