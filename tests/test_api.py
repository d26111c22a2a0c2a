"""The calls most people need: what they refuse, in one line that names the argument, and what they read anew."""

import os
import types
from pathlib import Path

import keras
import numpy as np
import pytest

import tfssl
from tfssl import api
from tfssl.errors import ArgumentError, ConfigError, SourceError, TfsslError
from tfssl.export import export_run
from tfssl.options import as_path
from tfssl.report import write_report
from tfssl.resources import model_state

MODEL = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
GRAY = np.zeros((9, 9), np.uint8)
METHOD = types.SimpleNamespace(image_size=32, output_stride=4, temperature=0.5)

NO_PATHS = {
    "colorize image": ("image", lambda: tfssl.colorize(MODEL)),
    "colorize model": ("model", lambda: tfssl.colorize(GRAY, model=MODEL)),
    "load": ("source", lambda: tfssl.load(MODEL)),
    "load_encoder": ("source", lambda: tfssl.load_encoder(MODEL)),
    "evaluate": ("source", lambda: tfssl.evaluate(MODEL, "builtin")),
    "evaluate task": ("source", lambda: tfssl.evaluate(MODEL, "builtin", task="knn")),
    "evaluate out": ("out", lambda: tfssl.evaluate("colorizer", "builtin", out=3)),
    "evaluate table": ("table", lambda: tfssl.evaluate("colorizer", "builtin", table=3)),
    "evaluate compare": ("compare", lambda: tfssl.evaluate("colorizer", "builtin", compare=[MODEL])),
    "visualize": ("source", lambda: api.visualize(MODEL, "filters", out="x")),
    "visualize out": ("out", lambda: api.visualize("random:small", "filters", out=None)),
    "visualize compare": ("compare", lambda: api.visualize("random:small", "filters", out="x", compare=MODEL)),
    "load_config": ("config", lambda: tfssl.load_config(MODEL)),
    "fit config": ("config", lambda: tfssl.fit("colorization/cpu", "x")),
    "fit out": ("out", lambda: tfssl.fit(tfssl.load_config("colorization/cpu"), MODEL)),
    "train out": ("out", lambda: tfssl.train("colorization/cpu", out=3)),
    "export": ("source", lambda: export_run(MODEL, "x")),
    "export out": ("out", lambda: export_run("colorizer", MODEL)),
    "report": ("runs", lambda: write_report(MODEL, "x")),
    "report of models": ("runs", lambda: write_report([MODEL], "x")),
}


@pytest.mark.parametrize("name", NO_PATHS)
def test_what_is_no_path_is_refused_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argument, call = NO_PATHS[name]
    with pytest.raises(ArgumentError, match=rf"^`{argument}` must be [^\n]*$"):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("temperature", [3, -1, 0, float("nan"), True, "warm"])
def test_temperature_is_checked(temperature):
    with pytest.raises(ConfigError, match=r"`temperature` must be a number in \(0, 1\]"):
        tfssl.colorize(GRAY, temperature=temperature)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan"), True, "much"])
def test_strength_is_checked(strength):
    with pytest.raises(ConfigError, match=r"`strength` must be a number in \[0, 2\]"):
        tfssl.colorize(GRAY, strength=strength)


@pytest.mark.parametrize("variant", [-1, 9, 1.5, True, "first"])
def test_variant_is_checked(variant):
    with pytest.raises(ConfigError, match="`variant` must be a whole number from 0 to 8"):
        tfssl.colorize(GRAY, variant=variant)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    for path in ("nope.jpg", tmp_path, tmp_path / "text.jpg", "~nobody-of-that-name/a.jpg"):
        with pytest.raises(SourceError, match="cannot be read") as raised:
            tfssl.colorize(path)
        assert Path(path).name in str(raised.value)


def test_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("out", "~/r") == tmp_path / "r"
    assert as_path("out", "~nobody-of-that-name/r") == Path("~nobody-of-that-name/r")
    for value in ("", "a\0b"):
        with pytest.raises(ConfigError, match="`out`"):
            as_path("out", value)


@pytest.mark.parametrize(
    "call, fix",
    [
        (lambda: tfssl.load("colorizr"), "did you mean `colorizer`"),
        (lambda: tfssl.load_config("colorization/cup"), "did you mean `colorization/cpu`"),
        (lambda: api.visualize("random:small", ["filters"], out="x"), "did you mean `filters`"),
    ],
)
def test_unknown_names_come_with_the_nearest(call, fix):
    with pytest.raises(TfsslError, match=fix):
        call()


def test_a_model_that_was_written_anew_is_another_state(tmp_path, monkeypatch):
    """Also with the same size and time, as when a run of the same network is trained again."""
    run = tmp_path / "runs" / "x"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("method: colorization")
    (run / "model.keras").write_bytes(b"old")
    monkeypatch.chdir(tmp_path)
    before = model_state("model", "runs/x")
    assert before == model_state("model", run) and before[0] == str(run)
    stat = (run / "model.keras").stat()
    (run / "new").write_bytes(b"new")
    os.utime(run / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(run / "new", run / "model.keras")
    assert model_state("model", "runs/x") != before


def test_a_predictor_is_kept_as_long_as_its_model_is_the_same(monkeypatch):
    loaded, states = [], iter([1, 1, 2])
    monkeypatch.setattr(api, "model_state", lambda name, source: ("m", next(states)))
    monkeypatch.setattr(
        api, "_predictor", lambda source, state: loaded.append((source, state)) or (METHOD, _predict, None)
    )
    for _ in range(3):
        tfssl.colorize(GRAY, model="m")
    assert loaded == [("m", 1), ("m", 1), ("m", 2)], "the state is part of the key of the cache"


def _predict(lightness, temperature=None):
    return np.zeros((len(lightness), 8, 8, 2), np.float32)
