"""The command line as a user types it: what it prints, what it writes, its exit codes."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from tfssl.cli import main
from tfssl.cli.app import check_data
from tfssl.color.prior import smooth_prior
from tfssl.data.builtin import builtin_gray_photographs, builtin_photographs
from tfssl.errors import SourceError
from tfssl.evaluation.record import Record
from tfssl.resources import savedmodels

TINY = ["resize=48", "crop_size=32", "batch_size=4", "steps_per_epoch=2", "epochs=1", "warmup_steps=0"]


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


def test_parts_of_the_builtin_data_are_no_files():
    check_data("builtin:test")
    with pytest.raises(SourceError, match="no folder, file or matching glob"):
        check_data("builtins")


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


def test_home_in_any_path_option(tmp_path, monkeypatch):
    """Shells leave the ~ of --out=~/run to the program."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = []
    monkeypatch.setattr("tfssl.training.fit.fit", lambda config, run, **options: found.append(run) or 1 / 0)
    for words in (["--out=~/run"], ["--out", "~/run"]):
        with pytest.raises(ZeroDivisionError):
            main(["train", "jigsaw/cpu", *words])
    assert found == [tmp_path / "run"] * 2


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_is_one_line(named, tmp_path, monkeypatch, capsys):
    def fill(*arguments, **options):
        file = [str(tmp_path / "model.keras")] if named else []
        raise OSError(errno.ENOSPC, "No space left on device", *file)

    monkeypatch.setattr("tfssl.training.fit.fit", fill)
    assert call("train", "jigsaw/cpu", "--out", tmp_path / "run") == 2
    where = tmp_path / ("model.keras" if named else "run")
    assert capsys.readouterr().err == f"tfssl: No space left on device: {where}\n"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, typer.Abort])
def test_interrupted_is_said_and_exit_130(interruption, capsys, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise interruption

    monkeypatch.setattr("tfssl.training.fit.fit", stop)
    assert call("train", "jigsaw/cpu", "--out", tmp_path / "run") == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "tfssl: interrupted; the same command goes on from the last checkpoint"


def test_tensorboard_is_a_flag(photos, tmp_path):
    pytest.importorskip("tensorboard")
    out = tmp_path / "run"
    assert call("train", "colorization/cpu", "--data", photos, "--out", out, "--tensorboard", *TINY) == 0
    assert list((out / "tensorboard").rglob("events.out.tfevents.*"))


def test_train_writes_a_run_and_says_so(run, photos, capsys):
    assert (run / "model.keras").is_file() and (run / "samples" / "epoch_0001.png").is_file()
    assert call("train", "colorization/cpu", "--data", photos, "--out", run, *TINY) == 0  # finished: nothing to do
    assert f"run {run}:" in capsys.readouterr().out
    assert call("train", "colorization/cpu", "--data", photos, "--out", run, *TINY, "seed=1") == 2
    assert "seed 0 -> 1" in capsys.readouterr().err


def test_options_are_flags_or_assignments(run, photos, monkeypatch):
    """--name value is name=value, wherever it stands; what comes twice is a list."""
    seen = []
    monkeypatch.setattr("tfssl.api.evaluate", lambda source, data, **options: seen.append(options) or Record("knn", {}))
    for line in (
        ["--limit", 3, run, "--compare", "a b", "--compare", "c", "--data", photos, "--taps=conv1,conv2"],
        [run, "--data", photos, "limit=3", 'compare=["a b", c]', "taps=conv1,conv2"],
    ):
        assert call("evaluate", *line) == 0
    first, second = ({name: value for name, value in options.items() if name != "progress"} for options in seen)
    assert first == second
    assert {"limit": 3, "compare": ["a b", "c"], "taps": "conv1,conv2"}.items() <= first.items()


def test_evaluate_writes_json_table_and_sheet(run, photos, tmp_path, capsys):
    assert call("evaluate", run, "--data", photos, "--out", tmp_path, "--limit", 3, "--compare", run) == 0
    assert "auc_raw" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["metrics"]["images"]["value"] == 3
    with open(tmp_path / "per_image.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 100


@pytest.mark.slow
def test_prior_of_own_photographs_trains(run, photos, tmp_path, capsys):
    assert call("prior", photos, "--out", tmp_path / "mine") == 0
    prior = np.load(tmp_path / "mine.npy")
    assert prior.shape == (313,) and prior.sum() == pytest.approx(1)
    assert (prior > 0).mean() > 0.9  # smoothed: it is used as it is
    assert call("prior", photos, "--out", tmp_path / "counts", "--sigma", "0") == 0
    np.testing.assert_allclose(prior, smooth_prior(np.load(tmp_path / "counts.npy")))
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
    assert call("colorize", source, "--out", out, "--model", run, "--temperature", 0.9) == 0
    assert "already there, but made with other settings: 2; --overwrite" in capsys.readouterr().err


def test_colorize_with_all_options(run, tmp_path, capsys):
    photo, out = builtin_gray_photographs()[0], tmp_path / "out"
    (tmp_path / "hints.json").write_text(json.dumps({photo.name: [{"x": 9, "y": 9, "color": "teal"}]}))
    options = ["--strength", 0.5, "--variants", 1, "--hints", tmp_path / "hints.json", "--preview"]
    assert call("colorize", photo, "--out", out, "--model", run, *options) == 0
    captured = capsys.readouterr()
    assert "1 colorized, 0 already there" in captured.out and "1 colorized as variant 1" in captured.out
    assert "preview/001.png" in captured.out
    names = {photo.name, f"{photo.stem}_1{photo.suffix}", "preview/001.png"}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == names
    (out / "preview" / "001.png").unlink()
    assert call("colorize", photo, "--out", out, "--model", run, *options) == 0
    assert "1 already there" in capsys.readouterr().out and (out / "preview" / "001.png").is_file()


def test_what_films_have_not_is_said_once(run, tiny_data, tmp_path, capsys):
    clip, out = sorted(Path(tiny_data("clips")).glob("*.mp4"))[0], tmp_path / "out"
    (tmp_path / "in").mkdir()
    for file in (clip, builtin_gray_photographs()[0]):
        shutil.copy(file, tmp_path / "in")
    options = ["--model", run, "--variants", 2, "--preview", "--format", "png"]
    assert call("colorize", tmp_path / "in", "--out", out, *options) == 0
    captured = capsys.readouterr()
    assert captured.err.count("1 film colored without --variants, --preview, --format: of images only") == 1
    assert "ignored" not in captured.err and captured.out.count("1 colorized as variant") == 2
    assert [p.name for p in out.rglob("*.mp4")] == [clip.name] and len(list(out.glob("*.png"))) == 3
    assert call("colorize", clip, "--out", out, *options) == 0
    assert "variant" not in capsys.readouterr().out, "there is none to make"


@pytest.mark.slow
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
    assert method.name() == "colorization" and model.count_params() == 4_456_953
    with pytest.raises(TypeError, match="image"):
        tfssl.colorize(3)


def test_data_may_name_a_split(tmp_path):
    from tfssl.cli.app import check_data
    from tfssl.errors import SourceError

    check_data(f"{tmp_path}:train")
    with pytest.raises(
        SourceError, match=r"`--data` is no folder, file or matching glob. Received: --data='.*gone:train'"
    ):
        check_data(f"{tmp_path}/gone:train")
