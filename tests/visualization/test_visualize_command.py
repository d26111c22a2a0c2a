"""The command line of visualizations: what it writes, what it refuses."""

import json

import pytest

from tfssl.cli import main

from .conftest import small_encoder


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mine.keras"
    small_encoder(5).save(path)
    return path


def test_filters_beside_untrained_and_another(model, tmp_path, capsys):
    assert call("visualize", model, "filters", "--out", tmp_path, "--compare", "random:alexnet_s") == 0
    shown = capsys.readouterr().out
    assert "roughness" in shown and "untrained" in shown and "random:alexnet_s" in shown
    files = {"filters-mine.keras.png", "filters-untrained.png", "filters-random-alexnet_s.png", "index.html"}
    assert {path.name for path in tmp_path.iterdir()} == files | {"numbers.json"}
    numbers = json.loads((tmp_path / "numbers.json").read_text())["numbers"]
    assert list(numbers) == ["mine.keras", "untrained", "random:alexnet_s"]
    assert numbers["mine.keras"]["roughness"] != numbers["untrained"]["roughness"]


def test_random_network_is_its_own_control(classes, tmp_path, capsys):
    options = ["--data", classes, "--limit", 12, "--image-size", 32, "--k", 2, "--tap", "conv3", "--out", tmp_path]
    assert call("visualize", "random:alexnet_s", "neighbors", *options) == 0
    record = json.loads((tmp_path / "numbers.json").read_text())
    assert list(record["numbers"]) == ["random:alexnet_s"] and record["protocol"]["tap_of_random:alexnet_s"] == "conv3"
    assert "broken" in capsys.readouterr().err or record["protocol"]["images"] == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["poetry"], "nothing to draw called 'poetry'; known: filters, dream"),
        (["filters", "--tap", "conv1"], "no option `tap`"),
        (["filters", "--data", "builtin"], "no option `data`"),
        (["neighbors"], "`data` is missing"),
        (["distance"], "`photo` is missing"),
        (["distance", "--photo", "one.jpg"], "at least twice"),
        (["dream", "--photo", "none.jpg"], "none.jpg"),
        (["dream", "--photo", "a.jpg", "--photo", "b.jpg"], "once for dream"),
        (["units", "--data", "builtin", "--tap", "conv9"], "has no 'conv9'; it has conv1, conv2"),
        (["units", "--data", "builtin", "--tap", "conv1", "--tap", "conv2"], "once for units"),
        (["embedding", "--data", "builtin", "--perplexity", "30"], "below a third of the 8 images"),
        (["filters", "--compare", "elsewhere/mine.keras"], "elsewhere/mine.keras"),
    ],
)
def test_wrong_use_is_one_line(model, tmp_path, capsys, arguments, message):
    assert call("visualize", model, *arguments, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_two_networks_of_one_name(model, tmp_path, capsys):
    assert call("visualize", model, "filters", "--compare", model, "--out", tmp_path) == 2
    assert "called 'mine.keras'" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    assert call("visualize", "--help") == 0
    assert "Example: tfssl visualize" in capsys.readouterr().out
