"""Training runs: the run directory, exact resume after a kill, and every way a run can go wrong."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from tests.training.stopping import stopped_and_resumed, weights
from tfssl.config import parse_config
from tfssl.errors import ConfigError, ModelError, SourceError, TrainingError
from tfssl.training import checkpoint
from tfssl.training.fit import fit
from tfssl.training.optimizers import build_optimizer
from tfssl.training.runs import load_run, load_weights

# Small enough that building and compiling it takes a second; dropout, because it holds random state.
TINY = {
    "method": "jigsaw",
    "backbone": "small",
    "resize": 48,
    "crop_size": 45,
    "tile": 12,
    "channel_jitter": 1,
    "permutations": 4,
    "fc6": 8,
    "fc7": 8,
    "dropout": 0.5,
    "batch_size": 4,
    "steps_per_epoch": 4,
    "epochs": 2,
    "checkpoint_steps": 3,
    "schedule": "cosine",
    "warmup_steps": 2,
}


def configuration(photos, **changes):
    return parse_config({**TINY, "data": str(photos), **changes})


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    fit(configuration(photos), run)
    return run


def test_run_directory_is_complete(finished):
    for name in ("config.yaml", "model.keras", "history.csv", "metrics.json", "skipped.csv", "log.txt"):
        assert (finished / name).is_file(), name
    assert sorted(p.name for p in (finished / "samples").iterdir()) == ["epoch_0001.png", "epoch_0002.png"]
    with open(finished / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [4, 8]
    assert all(np.isfinite(float(r["loss"])) for r in rows)
    assert float(rows[-1]["learning_rate"]) < 1e-9  # the cosine has arrived at zero
    assert json.loads((finished / "metrics.json").read_text())["steps"] == 8


def test_finished_run_loads_and_is_left_alone(finished, photos):
    method, model = load_run(finished)
    assert method.backbone == "small" and model.dtype_policy.name == "float32"
    before = (finished / "model.keras").read_bytes()
    fit(configuration(photos), finished)
    assert (finished / "model.keras").read_bytes() == before


@pytest.mark.slow
def test_worker_processes_give_the_same_weights(finished, photos, tmp_path):
    """And end with the run."""
    from tfssl.data import workers

    started = []

    class Watched(workers._Worker):
        def __init__(self):
            super().__init__()
            started.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_Worker", Watched)
        fit(configuration(photos, workers=1), tmp_path / "run")
    for ours, theirs in zip(weights(tmp_path / "run"), weights(finished), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [worker._process.returncode for worker in started] == [0]


def test_the_number_of_workers_may_change_when_a_run_goes_on(finished, photos):
    fit(configuration(photos, workers=1), finished)


@pytest.mark.parametrize(("gpus", "workers", "expected"), [(0, None, 0), (1, None, 3), (1, 0, 0), (0, 2, 2)])
def test_workers_by_default_where_there_is_a_gpu(photos, monkeypatch, gpus, workers, expected):
    import tensorflow as tf

    from tfssl.data import FileSource, ParallelSource, image_source
    from tfssl.training.fit import _reading

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"] * gpus)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    source = image_source(str(photos))
    with _reading(source, workers) as reading:
        assert (reading.workers if isinstance(reading, ParallelSource) else 0) == expected
        assert isinstance(reading, ParallelSource if expected else FileSource)


@pytest.mark.parametrize(("repair", "expected"), [(True, 0.5), (False, 1.5)])
def test_the_rate_in_the_history_is_that_of_a_network_that_learns(repair, expected):
    """Without a repair network the generator's optimizer never takes a step."""
    from tfssl.config import load_config
    from tfssl.training.callbacks import learning_rate

    method = load_config("spot_artifacts/cpu", [f"repair={repair}", "discriminator_learning_rate_scale=3"]).method
    assert learning_rate(method.model(keras.optimizers.SGD(0.5))) == pytest.approx(expected)


def test_a_run_with_dropout_loads(finished):
    """Dropout holds the state of a random generator, whose name differs from build to build."""
    saved = keras.saving.load_model(finished / "model.keras", compile=False)
    for ours, theirs in zip(load_run(finished)[1].weights, saved.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 3, 4, 6])
def test_resume_gives_the_same_weights(photos, finished, tmp_path, stop_after):
    """Stopped after any step, before, at and after a checkpoint or the end of an epoch."""
    stopped_and_resumed(configuration(photos), tmp_path / "run", stop_after)
    for ours, theirs in zip(weights(tmp_path / "run"), weights(finished), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    history = [(tmp_path / "run" / "history.csv").read_text(), (finished / "history.csv").read_text()]
    ours, theirs = ([row["loss"] for row in csv.DictReader(text.splitlines())] for text in history)
    np.testing.assert_allclose([float(v) for v in ours], [float(v) for v in theirs], rtol=1e-6)


@pytest.mark.slow
def test_killed_process_resumes_bit_for_bit(photos, finished, tmp_path):
    """The real thing: kill -9 of `tfssl train` in the middle, and the same command again."""
    config = configuration(photos)
    config.save(tmp_path / "config.yaml")
    command = [sys.executable, "-m", "tfssl", "train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "run").glob("checkpoint/step_*.npz")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "model.keras").exists()
    subprocess.run(command, check=True, capture_output=True)
    for ours, theirs in zip(weights(tmp_path / "run"), weights(finished), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_damaged_checkpoint_falls_back_to_the_one_before(photos, tmp_path):
    run = tmp_path / "run"
    fit(configuration(photos), run)
    newest = sorted((run / "checkpoint").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    config = configuration(photos)
    model = config.method.model(build_optimizer(config.settings, 8))
    model.optimizer.build(model.trainable_variables)
    state, arrays = checkpoint.newest(run / "checkpoint")
    assert state.step == 6
    checkpoint.assign(model, arrays, run / "checkpoint")
    other = config.method.model(keras.optimizers.SGD())
    with pytest.raises(ModelError, match="another network or optimizer"):
        checkpoint.assign(other, arrays, run / "checkpoint")


def test_another_configuration_is_refused(finished, photos):
    with pytest.raises(ModelError, match="batch_size 4 -> 2"):
        fit(configuration(photos, batch_size=2), finished)


def test_a_folder_of_other_things_is_refused(photos, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ModelError, match="not empty"):
        fit(configuration(photos), tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_nan_stops_with_a_message_and_keeps_good_checkpoints(photos, tmp_path):
    with pytest.raises(TrainingError, match=r"loss became (nan|inf).*learning_rate") as caught:
        fit(
            configuration(
                photos, learning_rate=1e20, optimizer="sgd", schedule="constant", checkpoint_steps=1, epochs=9
            ),
            tmp_path / "run",
        )
    assert "\n" not in str(caught.value)
    for file in (tmp_path / "run" / "checkpoint").iterdir():
        with np.load(file) as archive:
            assert all(np.isfinite(archive[k]).all() for k in archive.files if k != "state")


def test_warns_when_the_loss_does_not_beat_the_baseline(photos, tmp_path, caplog, monkeypatch):
    from tfssl.methods import Jigsaw

    monkeypatch.setattr(Jigsaw, "baseline", 0.1)
    with caplog.at_level("WARNING", logger="tfssl"):
        fit(configuration(photos, baseline_steps=5), tmp_path / "run")
    assert "ignores its input" in caplog.text


def test_unreadable_files_are_named_in_the_run(photos, tmp_path):
    import shutil

    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "broken.jpg").write_bytes(next(folder.glob("*.jpg")).read_bytes()[:700])
    fit(configuration(folder), tmp_path / "run")
    with open(tmp_path / "run" / "skipped.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [os.path.basename(r["file"]) for r in rows] == ["broken.jpg"] and rows[0]["reason"]


def test_folder_of_broken_files_is_an_error(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(8):
        (tmp_path / "photos" / f"{i}.jpg").write_bytes(b"not an image")
    with pytest.raises(SourceError, match=r"mostly|half|cannot be"):
        fit(configuration(tmp_path / "photos"), tmp_path / "run")


def test_too_few_images_for_a_batch(photos, tmp_path):
    with pytest.raises(SourceError, match="batch_size"):
        fit(configuration(photos, steps_per_epoch=None, batch_size=64), tmp_path / "run")


def test_two_devices_train_like_one(photos, finished, tmp_path):
    """MirroredStrategy over two logical CPU devices; sums over replicas differ in rounding only."""
    fit(configuration(photos, devices=2), tmp_path / "run")
    rows = [
        list(csv.DictReader((run / "history.csv").read_text().splitlines())) for run in (tmp_path / "run", finished)
    ]
    # Batch statistics are per replica, so losses agree roughly and not exactly.
    np.testing.assert_allclose(*([float(r["loss"]) for r in table] for table in rows), rtol=0.1)


def test_devices_must_divide_the_batch(photos, tmp_path):
    with pytest.raises(ConfigError, match="multiple of devices"):
        fit(configuration(photos, devices=3), tmp_path / "run")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.slow
def test_mixed_precision_trains(photos, tmp_path, precision):
    fit(configuration(photos, precision=precision), tmp_path / "run")
    assert keras.mixed_precision.global_policy().name == "float32"  # the policy of the process is restored
    _, model = load_run(tmp_path / "run")
    assert model.get_layer("fc8").compute_dtype == "float32"


def test_validation_loss_is_recorded(photos, tmp_path):
    fit(configuration(photos, validation=str(photos)), tmp_path / "run")
    assert "val_loss" in (tmp_path / "run" / "history.csv").read_text().splitlines()[0]


def test_starts_from_the_weights_of_another_run(photos, finished, tmp_path):
    fit(
        configuration(photos, weights=str(finished), epochs=1, steps_per_epoch=1, learning_rate=1e-12), tmp_path / "run"
    )
    trained, start = load_run(tmp_path / "run")[1], load_run(finished)[1]
    np.testing.assert_allclose(trained.get_layer("fc8").kernel, start.get_layer("fc8").kernel, atol=1e-6)


def test_partly_fitting_weights_are_refused(finished):
    from tfssl.methods import Jigsaw

    other = Jigsaw(**{**load_run(finished)[0].model_dump(), "permutations": 5}).model()
    with pytest.raises(ModelError, match=r"fits \d+ of \d+ weights"):
        load_weights(other, finished)


def test_callbacks_are_called(photos, tmp_path):
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))))
    fit(configuration(photos), tmp_path / "run", callbacks=[watch])
    assert seen == [(0, ["accuracy", "loss"]), (1, ["accuracy", "loss"])]


def test_former_names_of_keys_in_a_run_are_read(finished, tmp_path):
    """A run of an earlier version; in a configuration of one's own the former name is an error."""
    from tfssl.config import load_config

    text = (finished / "config.yaml").read_text().replace("gray_fraction: 0.3", "gray_share: 0.25")
    assert "gray_share" in text
    (tmp_path / "config.yaml").write_text(text)
    assert load_config(tmp_path / "config.yaml").method.gray_fraction == 0.25
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match="unknown key `gray_share`: it is now called `gray_fraction`"):
        load_config(tmp_path / "mine.yaml")


def test_a_run_on_a_network_of_ones_own_loads(photos, tmp_path):
    """config.yaml knows such a backbone by name only: the run's own file holds it."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="one")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="two")(x)
    config = configuration(photos, backbone=keras.Model(inputs, x, name="mine"), epochs=1, steps_per_epoch=1)
    trained = fit(config, tmp_path / "run")
    method, model = load_run(tmp_path / "run")
    assert method.backbone == "object:mine" and "conv" not in method.encoder(model).taps
    for ours, theirs in zip(model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
