"""Runs that are stopped where it hurts, and go on as if they had not been."""

import csv
import json
import os
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.stopping import weights
from tests.training.test_fit import configuration
from tfssl import files
from tfssl.data.images import image_source
from tfssl.errors import ConfigError, ModelError, SourceError, TrainingError
from tfssl.training import checkpoint, directory
from tfssl.training.fit import _tell_start, fit
from tfssl.training.runs import load_weights

TIMES = ("seconds", "wait_fraction")
OPEN_END = {"schedule": "constant", "warmup_steps": 0, "optimizer": "sgd", "learning_rate": 0.01}


class Killed(Exception):
    pass


def contents(run):
    """What a run leaves: weights, rows, metrics, samples; times apart."""
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    rows = [{k: v for k, v in row.items() if k not in TIMES} for row in rows]
    metrics = {k: v for k, v in json.loads((run / "metrics.json").read_text()).items() if k not in TIMES}
    samples = {path.name: path.read_bytes() for path in (run / "samples").iterdir()}
    return rows, metrics, samples, [w.tobytes() for w in weights(run)]


@pytest.fixture(scope="module")
def config(photos):
    return configuration(photos, validation=str(photos))


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    fit(config, out)
    return contents(out)


def kill_at(monkeypatch, name, number, after):
    """Die before or after the ``number``-th file of that name takes its place."""
    replace, seen = os.replace, []

    def replaced(source, target):
        seen.append(os.path.basename(target).startswith(name))
        if seen[-1] and sum(seen) == number:
            if after:
                replace(source, target)
            raise Killed
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", replaced)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name, number, after",
    [
        ("history.csv", 1, True),  # between a row and its checkpoint
        pytest.param("history.csv", 2, False, marks=SLOW),
        pytest.param("step_", 1, True, marks=SLOW),
        pytest.param("step_", 2, True, marks=SLOW),
        pytest.param("step_", 4, True, marks=SLOW),  # of the last epoch: only the model is missing
        pytest.param("config.yaml", 1, False, marks=SLOW),
        pytest.param("config.yaml", 1, True, marks=SLOW),
        pytest.param("model.keras", 1, True, marks=SLOW),
    ],
)
def test_a_killed_run_ends_as_an_unbroken_one(config, whole, tmp_path, monkeypatch, name, number, after):
    with monkeypatch.context() as patch:
        kill_at(patch, name, number, after)
        with pytest.raises(Killed):
            fit(config, tmp_path / "run")
    fit(config, tmp_path / "run")
    assert contents(tmp_path / "run") == whole


@pytest.mark.parametrize("event", ["test_batch", "train_batch"])
@pytest.mark.slow
def test_a_signal_saves_between_steps(config, whole, tmp_path, event):
    """Also in the validation of an epoch whose steps are all done: the row is written when the run goes on."""
    asked = []

    def ask(batch, logs=None):
        if not asked:
            asked.append(batch)
            os.kill(os.getpid(), signal.SIGINT)

    stopper = keras.callbacks.LambdaCallback()
    setattr(stopper, f"on_{event}_begin", ask)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "run", callbacks=[stopper])
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "run" / "checkpoint" / f"step_{1 if event == 'train_batch' else 4:09d}.npz").exists()
    fit(config, tmp_path / "run")
    assert contents(tmp_path / "run") == whole


@pytest.mark.slow
def test_a_pending_epoch_of_an_earlier_version_is_finished(config, whole, tmp_path, monkeypatch):
    """Its checkpoints know nothing of metrics and rows."""
    with monkeypatch.context() as patch:
        kill_at(patch, "history.csv", 1, False)
        with pytest.raises(Killed):
            fit(config, tmp_path / "run")
    run = tmp_path / "run"
    (file,) = (run / "checkpoint").glob("step_*3.npz")
    with np.load(file) as archive:
        state = json.loads(str(archive["state"]))
        arrays = {name: archive[name] for name in archive.files if name != "state"}
    kept = {name: state[name] for name in ("step", "loss_sum", "loss_count", "seconds")}
    np.savez(file, state=np.array(json.dumps(kept)), **arrays)
    (run / "data.json").unlink()
    fit(config, run)
    rows, _, samples, trained = contents(run)
    assert (samples, trained) == whole[2:]
    np.testing.assert_allclose([float(r["loss"]) for r in rows], [float(r["loss"]) for r in whole[0]], rtol=1e-6)


@pytest.mark.slow
def test_a_finished_run_gets_more_epochs(photos, tmp_path):
    short, long = (configuration(photos, epochs=n, **OPEN_END) for n in (1, 2))
    fit(short, tmp_path / "run")
    fit(long, tmp_path / "run")
    fit(long, tmp_path / "other")
    assert contents(tmp_path / "run") == contents(tmp_path / "other")
    with pytest.raises(ModelError, match=r"epochs 2 -> 1.*weights="):
        fit(short, tmp_path / "run")
    (tmp_path / "run" / "model.keras").write_bytes(b"PK")  # made again of the last checkpoint
    fit(long, tmp_path / "run")
    assert weights(tmp_path / "run")


@pytest.mark.slow
def test_a_run_that_diverged_goes_on_with_another_learning_rate(photos, tmp_path):
    """From a checkpoint without NaN; and never ends with a model that holds some."""
    run, options = tmp_path / "run", OPEN_END | {"checkpoint_steps": 1}
    with pytest.raises(TrainingError, match="lower learning_rate"):
        fit(configuration(photos, **options | {"learning_rate": 1e20}), run)
    assert not (run / "model.keras").exists()
    model = fit(configuration(photos, **options | {"learning_rate": 1e-5}), run)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)
    assert all(np.isfinite(w).all() for w in weights(run))


def test_weights_of_an_unfinished_run_are_those_of_its_last_good_checkpoint(tmp_path, caplog):
    def network(units=2):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)])
        model.compile("adam")
        model.optimizer.build(model.trainable_variables)
        return model

    (tmp_path / "config.yaml").write_text("method: jigsaw\n")
    with pytest.raises(ModelError, match="neither a model nor a checkpoint"):
        load_weights(network(), tmp_path)
    trained, other = network(), keras.Sequential(network().layers)
    checkpoint.save(trained, checkpoint.TrainingState(step=6), tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "step_000000009.npz").write_bytes(b"PK")
    load_weights(other, tmp_path)
    np.testing.assert_array_equal(other.layers[0].kernel, trained.layers[0].kernel)
    assert "not finished: these are its weights of step 6" in caplog.text
    with pytest.raises(ModelError, match="fits 0 of 2 weights"):
        load_weights(network(units=5), tmp_path)


def test_a_run_begins_with_what_it_will_do(photos, tmp_path):
    told = []
    reporter, source = type("R", (), {"message": lambda self, text: told.append(text)})(), image_source(str(photos))
    _tell_start(configuration(photos), tmp_path, source, 3, 8, reporter)
    words = f"jigsaw: {len(source)} images ({photos}), 1 CPU, steps 3 to 8 of 4 examples, to {tmp_path}"
    assert [line.replace("GPU", "CPU") for line in told] == [words]


@pytest.mark.parametrize("stage", ["savez", "fsync", "replace", "unlink"])
def test_a_kill_inside_the_write_of_a_checkpoint_leaves_a_whole_one(tmp_path, monkeypatch, stage):
    """What a killed process has half written stays where it is: here too."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd")
    for step in (1, 2):
        checkpoint.save(model, checkpoint.TrainingState(step=step), tmp_path)

    def die(*arguments, **options):
        if stage == "savez":
            arguments[0].write(b"PK half of it")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die if stage == "unlink" else lambda *arguments, **options: None)
        if stage != "unlink":
            patch.setattr(np if stage == "savez" else files.os, stage, die)
        with pytest.raises(Killed):
            checkpoint.save(model, checkpoint.TrainingState(step=3), tmp_path)
    left = [path for path in tmp_path.iterdir() if not path.match("step_*.npz")]
    assert len(left) == (stage != "unlink")
    state, arrays = checkpoint.newest(tmp_path)
    assert state.step == (3 if stage == "unlink" else 2)
    np.testing.assert_array_equal(arrays[0], model.layers[0].kernel)
    checkpoint.save(model, checkpoint.TrainingState(step=3), tmp_path)
    assert checkpoint.newest(tmp_path)[0].step == 3 and len(list(tmp_path.glob("step_*.npz"))) == 2


def test_a_checkpoint_never_holds_nan(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.layers[0].bias.assign([np.nan])
    model.compile("sgd")
    with pytest.raises(TrainingError, match=r"1 of .* variables became NaN"):
        checkpoint.save(model, checkpoint.TrainingState(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_damaged_checkpoints_are_no_beginning(tmp_path):
    for step in (1, 2):
        (tmp_path / f"step_{step:09d}.npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"all checkpoints .* are damaged"):
        checkpoint.newest(tmp_path)


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"optimizer": "adamww"}, ConfigError),
        ({"momentum": 0.9}, ConfigError),
        ({"schedule": "cosine", "learning_rate": {0: 1.0}}, ConfigError),
        ({"augment": [{"RandomFlipp": {}}]}, ConfigError),
        ({"devices": 3}, ConfigError),
        ({"devices": 4}, ConfigError),
        ({"weights": "/no/such/run"}, ModelError),
        ({"validation": "/no/such/folder"}, SourceError),
    ],
    ids=lambda value: next(iter(value), None) if isinstance(value, dict) else "",
)
def test_nothing_is_written_before_the_configuration_is_checked(photos, tmp_path, changes, error):
    with pytest.raises(error):
        fit(configuration(photos, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_data_is_refused(photos, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name / "photos").mkdir(parents=True)
        (tmp_path / name / "photos" / "1.jpg").write_bytes(b"x")
    config = configuration("photos")

    def claim(count=1):
        paths = [os.path.abspath("photos/1.jpg")] * count
        source = type("S", (list,), {"paths": paths})(paths)
        directory.claim(config, tmp_path / "run", directory.data_record(config.settings, source), 4)

    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    claim()
    claim()
    with pytest.raises(ModelError, match="holds 2 items, not 1 as when it began"):
        claim(2)
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(ModelError, match="other files than"):
        claim()
    monkeypatch.chdir(tmp_path / "a")
    (tmp_path / "a" / "photos" / "1.jpg").write_bytes(b"xy")
    with pytest.raises(ModelError, match="other names or sizes"):
        claim()
    (tmp_path / "run" / "data.json").unlink()  # a run of an earlier version
    claim()


def test_damaged_tables_are_read_as_far_as_they_go(tmp_path):
    from tfssl.files import read_table
    from tfssl.training.callbacks import SkippedTable

    file = tmp_path / "skipped.csv"
    for text in ("", "file,reason\na.jpg,bad\nb.j", "\0\0\0", 'file,reason\n"a', "x,y\n1,2\n"):
        file.write_text(text)
        SkippedTable(file).add("c.jpg", "worse")
        assert [row["file"] for row in read_table(file)][-1] == "c.jpg"
