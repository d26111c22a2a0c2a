"""A method of another kind through the whole house: trained, killed, resumed, evaluated, exported, reported.

``tests/own/frame_pairs.py`` is all there is of it; the library is not touched, only its public interface is used.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

from tfssl.cli import main
from tfssl.files import read_json

pytest.importorskip("av", reason="clips need the extra `video`")
ROOT = Path(__file__).resolve().parent.parent
CONFIG = {
    "method": "tests.own.frame_pairs:FramePairs", "batch_size": 4, "steps_per_epoch": 6, "epochs": 2,
    "checkpoint_steps": 4, "learning_rate": 0.003,
}  # fmt: skip


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def config(tmp_path_factory, tiny_data):
    file = tmp_path_factory.mktemp("config") / "pairs.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "data": tiny_data("clips")}))
    return file


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """Trained in one go."""
    out = tmp_path_factory.mktemp("runs") / "pairs"
    assert call("train", config, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Images of two colors, in folders."""
    folder, random = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for part in ("train", "test"):
        for channel, name in enumerate(("red", "green")):
            (folder / part / name).mkdir(parents=True)
            for i in range(6):
                pixels = random.integers(0, 200, (40, 32, 3))
                pixels[..., channel] += 50
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")
    return folder


def weights(run):
    return keras.saving.load_model(run / "model.keras", compile=False).weights


def test_learns(run):
    import pandas as pd

    history = pd.read_csv(run / "history.csv")
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert (run / "samples" / "epoch_0002.png").stat().st_size > 1000


@pytest.mark.slow
def test_killed_and_started_again_it_ends_the_same(config, run, tmp_path):
    command = [sys.executable, "-m", "tfssl", "train", str(config), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "run").glob("checkpoint/step_*.npz")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "model.keras").exists()
    assert call("train", config, "--out", tmp_path / "run") == 0
    for ours, theirs in zip(weights(tmp_path / "run"), weights(run), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_is_evaluated_by_its_own_metrics_and_by_tasks(run, classes, tiny_data, tmp_path, capsys):
    assert call("evaluate", run, "--data", tiny_data("clips"), "--out", tmp_path / "own", "batch_size=4") == 0
    accuracy = read_json(tmp_path / "own" / "metrics.json")["metrics"]["accuracy"]
    assert accuracy["value"] >= accuracy["baselines"]["chance"] == 0.25
    task = ["--task", "knn", "--data", classes, "--out", tmp_path / "knn", "image_size=32", "seeds=1"]
    assert call("evaluate", run, *task) == 0
    assert read_json(tmp_path / "knn" / "metrics.json")["metrics"]["accuracy"]["value"] > 0.5
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.slow
def test_is_exported_and_checked(run, tmp_path):
    assert call("export", run, "--out", tmp_path / "export") == 0
    assert call("check-export", tmp_path / "export") == 0


def test_is_reported(run, tiny_data, tmp_path):
    assert (
        call("evaluate", run, "--data", tiny_data("clips"), "--out", run / "evaluations" / "own", "batch_size=4") == 0
    )
    assert call("report", run, "--out", tmp_path / "page") == 0
    page = (tmp_path / "page" / "report.html").read_text()
    assert "Contrastive Predictive Coding" in page and "accuracy" in page


def test_a_clip_that_cannot_be_read_is_named(config, tiny_data, tmp_path):
    import shutil

    folder = tmp_path / "clips"
    shutil.copytree(tiny_data("clips"), folder)
    (folder / "broken.mp4").write_bytes(b"no clip")
    out = tmp_path / "run"
    assert call("train", config, "--data", folder, "--out", out, "epochs=1", "steps_per_epoch=7") == 0
    assert "broken.mp4" in (out / "skipped.csv").read_text()
