"""evaluate, visualize, report and discover, stopped by a signal or by their data pipeline: one line, no half files."""

import os
import shutil
import signal

import pytest
import tensorflow as tf

from tfssl.cli import main
from tfssl.data.images import image_source
from tfssl.discovery.embedding import pixel_descriptor
from tfssl.resources import find_model

from .discovery.test_discover import Pixels, planted
from .visualization.conftest import small_encoder

COMMANDS = ["evaluate", "visualize", "report", "discover"]


@pytest.fixture
def words(request, tmp_path, tiny_data, monkeypatch):
    """The arguments of a command whose network and data are small."""
    command, out = request.param, ["--out", tmp_path / "out"]
    if command in ("evaluate", "visualize"):
        path = tmp_path / "mine.keras"
        small_encoder(5).save(path)
        if command == "visualize":
            return [command, path, "filters", *out]
        classes = tmp_path / "classes"
        for part in ("train", "test"):
            for name in ("first", "second"):
                shutil.copytree(tiny_data("images"), classes / part / name)
        return [command, path, "--task", "knn", "--data", classes, *out, "image_size=32", "limit=2", "seeds=1"]
    if command == "report":
        run = tmp_path / "run"
        run.mkdir()
        (run / "config.yaml").write_text("method: jigsaw\n")
        return [command, run, *out, "--data", "builtin"]
    monkeypatch.setattr("tfssl.api.load", lambda source: (Pixels(), None))
    monkeypatch.setattr("tfssl.discovery.discover.embed", lambda method, model: pixel_descriptor)
    objects = image_source(planted()[0])
    monkeypatch.setattr("tfssl.discovery.discover.image_source", lambda data: objects)
    return [
        command,
        find_model("colorizer"),
        "--data",
        "builtin",
        *out,
        "--set-size",
        6,
        "--top",
        20,
        "--constellations",
        300,
    ]


def call(arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.mark.parametrize(("number", "code", "said"), [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 143, "ended by SIGTERM"),
])  # fmt: skip
@pytest.mark.parametrize("words", COMMANDS, indirect=True)
def test_a_signal_while_a_file_is_written_leaves_no_half_one(words, number, code, said, tmp_path, capsys, monkeypatch):
    fsync = os.fsync

    def stop(descriptor):
        fsync(descriptor)
        signal.raise_signal(number)

    monkeypatch.setattr("tfssl.files.os.fsync", stop)
    assert call(words) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tfssl: ")]
    assert lines == [f"tfssl: {said}; the same command begins anew"]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("words", COMMANDS, indirect=True)
def test_an_error_of_the_data_pipeline_is_one_line(words, tmp_path, capsys, monkeypatch):
    def broken(*arguments, **options):
        message = "{{function_node __wrapped__IteratorGetNext}} SourceError: `data`: 'b.png' cannot be used\nTraceback"
        raise tf.errors.InvalidArgumentError(None, None, message)

    method = type("Method", (), {"sample_sheet": broken})()
    monkeypatch.setattr("tfssl.training.runs.load_run", lambda folder: (method, None))
    for place in ("evaluation.features.compared", "visualization.filters.filters", "discovery.discover.mine"):
        monkeypatch.setattr(f"tfssl.{place}", broken)
    code, error = call(words), capsys.readouterr().err
    if words[0] == "report":  # the page shows what is whole
        page = (tmp_path / "out" / "report.html").read_text()
        assert code == 0 and "No image of run was drawn: `data` cannot be drawn from: `data`: " in page
        return
    assert code == 2 and error.count("\n") == 1 and "'b.png' cannot be used" in error and "function_node" not in error
