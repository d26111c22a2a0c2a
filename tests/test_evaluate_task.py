"""`tfssl evaluate --task`: what can be evaluated, what is written, what is refused in one line."""

import csv
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

import tfssl
from tfssl.api import evaluate
from tfssl.cli import main
from tfssl.cli.app import listing, report_written
from tfssl.errors import ConfigError, ModelError
from tfssl.evaluation import task_names
from tfssl.evaluation.record import read_record


def call(*arguments):
    """Exit code of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("labeled"), np.random.default_rng(0)
    for part in ("train", "test"):
        for channel, name in enumerate(("blue", "green")):
            (folder / part / name).mkdir(parents=True)
            for i in range(8):
                pixels = random.integers(0, 200, (40, 32, 3))
                pixels[..., channel] += 50
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(4, 3, name="one")(rgb)
    encoder = keras.Model(rgb, {"conv1": one, "conv2": keras.layers.Conv2D(4, 3, name="two")(one)})
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    encoder.save(path)
    return path


@pytest.mark.parametrize(
    "source", [pytest.param("colorizer", marks=pytest.mark.slow), "random:alexnet_s", "pixels", "file"]
)
@pytest.mark.parametrize("task", ["linear_probe", "knn"])
def test_each_kind_of_encoder(root, encoder_file, tmp_path, capsys, source, task):
    source = encoder_file if source == "file" else source
    options = ["image_size=32", "pool=1", "seeds=1", "--out", tmp_path]
    assert call("evaluate", source, "--task", task, "--data", root / "train", "--test", root / "test", *options) == 0
    printed, started = capsys.readouterr()
    record = read_record(tmp_path)
    start = re.escape(f"the task {task} of {source} on {root / 'train'}: ")
    assert re.match(rf"{start}\d+ fits; results go to {re.escape(str(tmp_path))}\n", started)
    assert record.task == task and record.about["model"] == str(source)
    assert next(record.lines()) in printed
    assert ("untrained" in record["accuracy"].baselines) == (source not in ("random:alexnet_s", "pixels"))
    assert ("pixels" in record["accuracy"].baselines) == (source != "pixels")
    assert "runs.csv, taps.png" in printed


def test_from_python(root, encoder_file):
    options = {"image_size": 32, "pool": 1, "seeds": 1}
    record = evaluate(encoder_file, root, task="knn", taps=["conv2"], compare=["random:alexnet_s"], **options)
    assert record["accuracy"].baselines["random:alexnet_s"] <= 1.0
    assert "tap_conv2" in record and "tap_conv1" not in record


def test_an_ensemble_beside_its_members(root, encoder_file, tmp_path, capsys):
    options = ["image_size=32", "pool=1", "seeds=1", "taps=conv2", "--out", tmp_path]
    joined = ["--ensemble", "random:alexnet_s", "--ensemble", "random:vgg_s"]
    assert call("evaluate", encoder_file, *joined, "--task", "knn", "--data", root, *options) == 0
    record = read_record(tmp_path)
    members = {"encoder.keras", "random:alexnet_s", "random:vgg_s"}
    assert record.about["model"] == f"{encoder_file} + random:alexnet_s + random:vgg_s"
    assert members | {"untrained", "pixels", "chance"} == record["accuracy"].baselines.keys()
    with open(tmp_path / "runs.csv", newline="") as file:
        numbers = {row["encoder"]: int(row["numbers"]) for row in csv.DictReader(file)}
    assert numbers["encoder"] == sum(numbers[name] for name in members)


def test_pairs_of_taps_beside_their_parts(root, encoder_file):
    options = {"image_size": 32, "pool": 1, "seeds": 1, "taps": "conv1+conv3"}
    record = evaluate(encoder_file, root, task="knn", ensemble="random:vgg_s", **options)
    assert record.details["tap"] == "conv1+conv3"
    assert record.details["encoders"]["random:vgg_s"]["tap"] in ("conv1", "conv3")
    assert record.details["encoders"]["encoder.keras"]["tap"] == "conv1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "`ensemble` joins encoders, for a task: name one"),
        ({"task": "classification", "strategy": "joint"}, "`ensemble`: strategy=joint"),
        ({"task": "knn", "ensemble": ["random:vgg_s"] * 2}, "`ensemble`: two of them are called 'random:vgg_s'"),
        ({"task": "knn", "ensemble": "no-such-run"}, "no model 'no-such-run'"),
    ],
)
def test_ensembles_that_cannot_be_measured(root, options, words):
    with pytest.raises((ConfigError, ModelError), match=re.escape(words)):
        evaluate("colorizer", root, **{"ensemble": "random:vgg_s", **options})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pixels", "--task", "linear_prob"], "did you mean `linear_probe`"),
        (["pixels", "--task", "linear_probe"], "`data` must be a folder with one folder of images for each class"),
        (
            ["pixels", "--task", "knn", "--temperature", "0.5"],
            "the task knn: there is no option `temperature`; known: ",
        ),
        (["colorizer", "--pool", "3"], "the metrics of colorization: there is no option `pool`; known: temperature, "),
        (["pixels"], "no model 'pixels'"),
        (["random:alexnot", "--task", "knn"], "no backbone 'alexnot', did you mean 'alexnet'"),
        (["gone.keras", "--task", "knn"], "no such file: 'gone.keras'"),
        (["no-such-run", "--task", "knn"], "no model 'no-such-run'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1 and "Traceback" not in error


def test_a_missing_test_set_is_named(root, capsys):
    assert call("evaluate", "pixels", "--task", "knn", "--data", root / "train") == 2
    assert "`test` is missing" in capsys.readouterr().err


def test_an_encoder_without_its_weights_is_refused(encoder_file, tmp_path):
    """A file whose second layer has lost its weights, and one that is no encoder."""
    with zipfile.ZipFile(encoder_file) as archive:
        archive.extractall(tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "r+") as weights:
        del weights["layers"]["conv2d_1" if "conv2d_1" in weights["layers"] else "two"]
    broken = tmp_path / "broken.keras"
    with zipfile.ZipFile(broken, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.write(tmp_path / name, name)
    with pytest.raises(ModelError, match=r"holds \d+ of \d+ weights"):
        tfssl.load_encoder(broken)
    flow = keras.Input((None, None, 2))
    keras.Model(flow, keras.layers.Conv2D(2, 3)(flow)).save(tmp_path / "other.keras")
    with pytest.raises(ModelError, match="is no encoder"):
        tfssl.load_encoder(tmp_path / "other.keras")


def test_random_weights_are_the_same_each_time():
    one, two = (tfssl.load_encoder("random:alexnet_s") for _ in range(2))
    assert list(one.output) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(one.variables, two.variables, strict=True))
    with pytest.raises(ConfigError, match="no backbone"):
        tfssl.load_encoder("random:")


@pytest.mark.slow
def test_an_encoder_file_with_layers_of_the_library_is_read_in_a_new_process(tmp_path):
    from tfssl.config import load_config

    method = load_config("jigsaw/cpu").method
    method.encoder(method.model()).save(tmp_path / "encoder.keras")
    code = f"import tfssl; print(*tfssl.load_encoder({str(tmp_path / 'encoder.keras')!r}).output)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_evaluations_are_appended_to_a_table(root, encoder_file, tmp_path):
    table = tmp_path / "results.csv"
    options = ["--task", "knn", "--data", root, "image_size=32", "pool=1", "seeds=1", "--table", table]
    assert call("evaluate", encoder_file, *options, "--out", tmp_path / "one") == 0
    assert call("evaluate", "pixels", *options, "--out", tmp_path / "two") == 0
    rows = list(csv.DictReader(table.open(newline="")))
    assert [row["model"] for row in rows] == [str(encoder_file), "pixels"]
    assert rows[0]["weights_sha256"] == hashlib.sha256(encoder_file.read_bytes()).hexdigest()
    assert float(rows[0]["accuracy"]) == read_record(tmp_path / "one")["accuracy"].value
    assert call("evaluate", "pixels", *options) == 0, "a table needs no folder"
    assert len(list(csv.DictReader(table.open(newline="")))) == 3


def test_only_what_was_written_is_listed(tmp_path, capsys):
    (tmp_path / "compared-with-another.png").write_bytes(b"")
    before = listing(tmp_path)
    (tmp_path / "filters.png").write_bytes(b"")
    report_written(tmp_path, before)
    assert capsys.readouterr().out == f"written to {tmp_path}: filters.png\n"


def test_models_compared_by_a_methods_own_metrics_go_by_their_names(monkeypatch):
    seen = {}
    monkeypatch.setattr("tfssl.api.load", lambda source="": (Measured(seen), source))
    with pytest.raises(StopIteration):
        evaluate("colorizer", "builtin", compare=["runs/vivid", "colorizer"])
    assert list(seen["compare"]) == ["vivid", "colorizer"]


class Measured:
    """A method that only notes what its metrics are asked for."""

    def __init__(self, seen):
        self.seen = seen

    def evaluate(self, model, data, *, out=None, compare=None):
        self.seen["compare"] = compare
        raise StopIteration


@pytest.mark.parametrize(
    ("option", "place", "words"),
    [
        ("--table", "results.xlsx", "a table of results is a .csv or .json file"),
        ("--table", "file/results.csv", "`table` must be a folder"),
        ("--table", "other.csv", "is no table of results"),
        ("--out", "file", "`out` must be a folder"),
        ("--out", "file/deeper", "`out` must be a folder"),
    ],
)
@pytest.mark.parametrize("task", [[], ["--task", "knn"]])
def test_outputs_are_checked_before_anything_is_loaded(option, place, words, task, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name in ("load", "load_encoder"):
        monkeypatch.setattr(f"tfssl.api.{name}", lambda *_: pytest.fail("the work began"))
    before = sorted(tmp_path.iterdir())
    assert call("evaluate", "colorizer", *task, option, tmp_path / place) == 2
    assert words in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [["visualize", "colorizer", "filters"], ["report", "colorizer"], ["discover", "colorizer", "--data", "builtin"]],
)
def test_every_command_checks_its_folder_first(command, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call(*command, "--out", tmp_path / "file") == 2
    assert "`out` must be a folder" in capsys.readouterr().err


def test_an_error_inside_the_data_pipeline_is_one_line(root, encoder_file, capsys, monkeypatch):
    from tfssl.data.labeled import LabeledCrop

    sample = LabeledCrop.__call__

    def broken(self, example, *rest):
        if example["label"]:  # the first example is also read outside the graph
            raise TypeError("the mask is of another size")
        return sample(self, example, *rest)

    monkeypatch.setattr(LabeledCrop, "__call__", broken)
    assert call("evaluate", encoder_file, "--task", "knn", "--data", root, "image_size=32") == 2
    start, error = capsys.readouterr().err.splitlines()
    assert (
        start.startswith("the task knn of") and error.startswith("tfssl: ") and "the mask is of another size" in error
    )


def test_docs_name_every_task():
    text = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in task_names())


def test_help_names_every_task(capsys):
    from tfssl.evaluation import task_names

    assert call("evaluate", "--help") == 0
    assert set(task_names()) <= set(re.findall(r"\w+", capsys.readouterr().out))


def test_more_options_of_a_task_are_checked(root, capsys):
    assert call("evaluate", "pixels", "--task", "linear_probe", "--data", root, "crop=10") == 2
    assert "there is no option `crop`; did you mean `crops`?" in capsys.readouterr().err
    assert call("evaluate", "pixels", "--task", "classification", "--data", root, "learning_rate=fast") == 2
    assert "`learning_rate` must be a number. Received: learning_rate='fast'" in capsys.readouterr().err
    options = ["image_size=32", "pool=1", "seeds=1", "crops=10"]
    assert call("evaluate", "pixels", "--task", "linear_probe", "--data", root, *options) == 0
    assert "ten_crop" in capsys.readouterr().out
