"""A method that is named ``module:Class``: what is wrong with the name is said in one line."""

import pytest

from tfssl import methods
from tfssl.errors import ConfigError
from tfssl.methods.jigsaw import Jigsaw


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Function that writes a module into a package on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "strange_package").mkdir()

    def write(name, text):
        (tmp_path / "strange_package" / f"{name}.py").write_text(text)
        return f"strange_package.{name}"

    return write


def test_one_of_a_package_is_found(module):
    name = module("good", "from tfssl.methods.jigsaw import Jigsaw\nclass Mine(Jigsaw):\n    pass\n")
    assert issubclass(methods.get(f"{name}:Mine"), Jigsaw)
    with pytest.raises(ConfigError, match=r"Mime does not exist .*did you mean `Mine`"):
        methods.get(f"{name}:Mime")


WRONG = {
    "raises": ("raise KeyError('two\\nlines')", "Mine", "raised KeyError"),
    "exits": ("import sys\nsys.exit(3)", "Mine", "raised SystemExit: 3"),
    "broken": ("def (", "Mine", "raised SyntaxError"),
    "lacks": ("import not_there_at_all", "Mine", "No module named 'not_there_at_all'"),
    "value": ("Mine = 3", "Mine", "is no class of tfssl's Method"),
    "other": ("class Mine:\n    pass", "Mine", "is no class of tfssl's Method"),
    "base": ("from tfssl.methods.base import Method", "Method", "is no class of tfssl's Method"),
    "empty": ("", "Mine", "Mine does not exist"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_module_is_one_line(case, module):
    text, attribute, said = WRONG[case]
    with pytest.raises(ConfigError, match=said) as caught:
        methods.get(f"{module(case, text)}:{attribute}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [":Mine", "os:", "os:path:join", ".os:path", "os..path:join", "../os:path", "os:path.join", "a b:C", "os:1"]
)
def test_names_that_are_none_are_refused_before_anything_is_imported(name, monkeypatch):
    monkeypatch.setattr(methods.importlib, "import_module", lambda *names: pytest.fail("imported"))
    with pytest.raises(ConfigError, match="give module:Class"):
        methods.get(name)


def test_a_missing_module_is_named():
    with pytest.raises(ConfigError, match="No module named 'nowhere'"):
        methods.get("nowhere.at_all:Mine")


def test_the_folder_of_a_run_is_not_searched_for_modules(tmp_path):
    from tfssl.config import load_config

    (tmp_path / "beside_the_run.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "config.yaml").write_text("method: beside_the_run:Mine\n")
    with pytest.raises(ConfigError, match="No module named 'beside_the_run'"):
        load_config(tmp_path / "config.yaml")
    assert not (tmp_path / "ran").exists()
