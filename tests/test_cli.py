"""The command line as a user types it: what it prints, what it writes, its exit codes."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import typer
from PIL import Image

from tfssl.cli import main
from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs
from tfssl.resources import savedmodels

TINY = ["resize=48", "crop_size=32", "batch_size=4", "steps_per_epoch=2", "epochs=1", "warmup_steps=0"]


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for path in builtin_photographs():
        with Image.open(path) as image:
            image.convert("RGB").resize((96, 72)).save(folder / f"{path.stem}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert call("train", "colorization/cpu", "--data", photos, "--out", out, *TINY) == 0
    return out


def test_help_of_every_command_has_an_example(capsys):
    assert call("--help") == 0
    commands = [
        "methods",
        "train",
        "evaluate",
        "discover",
        "colorize",
        "inpaint",
        "prior",
        "export",
        "check-export",
        "visualize",
        "report",
    ]
    listing = capsys.readouterr().out
    for command in commands:
        assert command in listing
        assert call(command, "--help") == 0
        assert f"Example: tfssl {command}" in capsys.readouterr().out


def test_version_and_methods(capsys):
    assert call("--version") == 0 and "tfssl 0." in capsys.readouterr().out
    assert call("methods") == 0
    listing = capsys.readouterr().out
    assert "colorization" in listing and "Zhang, Isola, Efros" in listing and "4.79" in listing


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train"], "config"),
        (["train", "colorization/cup"], "shipped ones: "),
        (["train", "colorization/cpu", "bach_size=4"], "did you mean `batch_size`"),
        (["train", "colorization/cpu", "--data", "/no/such/folder"], "/no/such/folder"),
        (["train", "colorization/cpu", "--dta", "x"], "--dta"),
        (["evaluate", "no-such-run"], "no model 'no-such-run'"),
        (["export", "no-such-run", "--out", "x"], "no-such-run"),
        (["colorize", "x.jpg"], "--out"),
        (["colorize", "x.jpg", "--out", "y", "--temperature", "3"], "--temperature"),
        (["prior", "/no/such/folder", "--out", "x.npy"], "/no/such/folder"),
        (["colorise"], "colorise"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not list(tmp_path.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, typer.Abort])
def test_interrupted_is_said_and_exit_130(interruption, capsys, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise interruption

    monkeypatch.setattr("tfssl.training.fit.fit", stop)
    assert call("train", "jigsaw/cpu", "--out", tmp_path / "run") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "tfssl: interrupted"


def test_train_writes_a_run_and_says_so(run, photos, capsys):
    assert (run / "model.keras").is_file() and (run / "samples" / "epoch_0001.png").is_file()
    assert call("train", "colorization/cpu", "--data", photos, "--out", run, *TINY) == 0  # finished: nothing to do
    assert f"run {run}:" in capsys.readouterr().out
    assert call("train", "colorization/cpu", "--data", photos, "--out", run, *TINY, "seed=1") == 2
    assert "seed 0 -> 1" in capsys.readouterr().err


def test_evaluate_writes_json_table_and_sheet(run, photos, tmp_path, capsys):
    assert call("evaluate", run, "--data", photos, "--out", tmp_path, "--limit", 3, "--compare", run) == 0
    assert "auc_raw" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["metrics"]["images"]["value"] == 3
    with open(tmp_path / "per_image.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 100


def test_prior_of_own_photographs_trains(run, photos, tmp_path, capsys):
    assert call("prior", photos, "--out", tmp_path / "mine") == 0
    prior = np.load(tmp_path / "mine.npy")
    assert prior.shape == (313,) and prior.sum() == pytest.approx(1)
    out = tmp_path / "run"
    assert (
        call("train", "colorization/cpu", f"prior={tmp_path / 'mine.npy'}", "--data", photos, "--out", out, *TINY) == 0
    )


@pytest.fixture(scope="module")
def inpainter(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "inpainter"
    small = ["resize=40", "crop_size=32", "batch_size=4", "steps_per_epoch=2", "epochs=1", "warmup_steps=0"]
    assert call("train", "context_encoder/cpu", "--data", photos, "--out", out, *small) == 0
    return out


def test_inpaint_with_a_mask_of_ones_own(inpainter, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    hole = np.zeros((60, 90), bool)
    hole[20:35, 40:60] = True
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "photo.png")
    Image.fromarray(np.where(hole, np.uint8(255), np.uint8(0))).save(tmp_path / "hole.png")
    call_it = ["inpaint", tmp_path / "in", "--model", inpainter, "--out", tmp_path / "out", "--mask"]
    assert call(*call_it, tmp_path / "hole.png") == 0
    assert "1 filled" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "photo.png") as image:
        filled = np.asarray(image)
    np.testing.assert_array_equal(filled[~hole], pixels[~hole])
    assert (filled[hole] != pixels[hole]).any(axis=-1).mean() > 0.9
    assert (tmp_path / "out" / "sheets" / "photo.png.png").is_file()
    Image.new("L", (10, 10), 255).save(tmp_path / "small.png")
    assert call(*call_it, tmp_path / "small.png", "--overwrite") == 1
    assert "10x10" in capsys.readouterr().err


def test_inpaint_refuses_another_methods_model(run, tmp_path, capsys):
    assert call("inpaint", "photo.jpg", "--model", run, "--out", tmp_path / "out") == 2
    assert "give a context_encoder model" in capsys.readouterr().err


def test_neighbors_from_a_bank(inpainter, photos, tmp_path, capsys):
    bank = tmp_path / "bank"
    bank.mkdir()
    for path in sorted(photos.iterdir())[:3]:
        (bank / path.name).write_bytes(path.read_bytes())
    assert call("evaluate", inpainter, "--data", photos, "--bank", bank, "--out", tmp_path / "results") == 0
    assert json.loads((tmp_path / "results" / "metrics.json").read_text())["metrics"]["bank"]["value"] == 3
    assert call("evaluate", inpainter, "--data", photos, "--bank", tmp_path / "nothing") == 2
    assert "nothing" in capsys.readouterr().err.splitlines()[-1]


def test_colorize_a_nested_folder_with_a_bad_file(run, tmp_path, capsys):
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    for path in builtin_gray_photographs()[:2]:
        with Image.open(path) as image:
            image.convert("L").resize((60, 40)).save(source / "deep" / f"{path.stem}.png")
    (source / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    assert call("colorize", source, "--out", out, "--model", run) == 1
    captured = capsys.readouterr()
    assert "2 colorized" in captured.out and "broken.jpg" in captured.err
    results = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert results == sorted(f"deep/{p.stem}.png" for p in builtin_gray_photographs()[:2])
    with Image.open(out / results[0]) as image:
        assert image.size == (60, 40) and image.mode == "RGB"
    (source / "broken.jpg").unlink()
    assert call("colorize", source, "--out", out, "--model", run) == 0
    assert "2 already there" in capsys.readouterr().out


def test_shipped_colorizer_works_from_another_folder(tmp_path):
    """A fresh process, elsewhere, with the model's name only."""
    assert (savedmodels() / "colorizer" / "MANIFEST.json").is_file()
    gray = builtin_gray_photographs()[0]
    environment = {**os.environ, "PYTHONPATH": str(savedmodels().parent)}
    command = [sys.executable, "-m", "tfssl", "colorize", str(gray), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out" / gray.name) as image, Image.open(gray) as original:
        assert image.size == original.size
        pixels = np.asarray(image.convert("RGB"), np.float64)
    assert np.abs(pixels[..., 0] - pixels[..., 2]).mean() > 1, "the result has color"


def test_python_one_liners(tmp_path):
    import tfssl

    picture = tfssl.colorize(str(builtin_gray_photographs()[0]))
    assert picture.mode == "RGB" and picture.size == (512, 512)
    method, model = tfssl.load("colorizer")
    assert method.name() == "colorization" and model.count_params() < 4_000_000
    with pytest.raises(TypeError, match="image"):
        tfssl.colorize(3)
