"""The check of an export: what it passes, and that it says in words what is broken."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfssl.errors import ModelError
from tfssl.export.check import check_config, check_export, check_operators, check_warmup, main, tflite_steps
from tfssl.export.folder import read_report
from tfssl.export.savedmodel import GraphModel
from tfssl.export.serving import CONFIG, WARMUP
from tfssl.files import sha256


def accept(folder, *names):
    """Write the fingerprints of changed files into export.json, so that later steps have to notice."""
    report = json.loads((folder / "export.json").read_text())
    for name in names:
        report["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    (folder / "export.json").write_text(json.dumps(report))


def failures(folder):
    return [finding.text for finding in check_export(folder) if not finding.passed]


def replay(version):
    return list(check_warmup(lambda: GraphModel(version), version))


@pytest.mark.slow
def test_a_good_export_passes_in_a_fresh_process(exported, root):
    result = subprocess.run(
        [sys.executable, "-m", "tfssl.export.check", str(exported)],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAILED" not in result.stdout
    for words in (
        "files: all 7 are there",
        "all of TensorFlow's core",
        "all 96 weights matched",
        "colorize_bytes runs in graph mode",
        "predict_ab runs in graph mode",
        "serving_default runs in graph mode",
        "3 requests replayed",
        "serves colorizer from /models/colorizer",
        "colorizer_int8.tflite: runs in LiteRT",
    ):
        assert words in result.stdout


def test_a_deleted_variable_file_is_named_and_nothing_runs(copy):
    (copy / "1" / "variables" / "variables.index").unlink()
    found = failures(copy)
    assert found[0] == "files: missing: 1/variables/variables.index"
    assert any(text.startswith("Keras model: the variables of") and "cannot be read" in text for text in found)
    assert any(text.startswith("warm-up: the graph-mode loader cannot load it") for text in found)
    assert all("\n" not in text for text in found)


def test_changed_weights_are_noticed_without_the_fingerprints(copy):
    """Half of the weights overwritten: the loader is content, the checksum inside the checkpoint is not."""
    (data,) = (copy / "1" / "variables").glob("variables.data*")
    content = bytearray(data.read_bytes())
    content[1000:2000] = bytes(1000)
    data.write_bytes(content)
    assert failures(copy)[0].startswith("files: changed since the export: 1/variables/variables.data")
    accept(copy, data.relative_to(copy).as_posix())
    assert any("Checksum" in text or "checksum" in text for text in failures(copy))


@pytest.mark.slow
def test_weights_of_another_network_are_noticed(copy, method, lively):
    """A SavedModel that is whole, but not the one that the .tflite was made from."""
    from tfssl.export.network import StoredNetwork
    from tfssl.export.savedmodel import write_savedmodel

    other = lively(method.model(), seed=9)
    shutil.move(copy / "1" / WARMUP.parent, copy / "warm-up")
    shutil.rmtree(copy / "1")
    write_savedmodel(copy / "1", method.serving(StoredNetwork(other)))
    shutil.move(copy / "warm-up", copy / "1" / WARMUP.parent)
    found = failures(copy)
    assert found[0].startswith("files: changed since the export: ")
    assert found[1].startswith("colorizer_int8.tflite: output ab differs from the Keras model by")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"colorizer"', "7", "is no ModelServerConfig: 6:11"),
        ("base_path", "base_pth", "an absolute base_path"),
        ('"/models', '"models', "an absolute base_path"),
        ('model_platform: "tensorflow"', "", "model_platform"),
        ("config {", "# config {", "is no ModelServerConfig"),
    ],
)
def test_a_damaged_model_config(exported, tmp_path, old, new, words):
    text = (exported / CONFIG).read_text()
    body = text.index("model_config_list")
    (tmp_path / CONFIG).write_text(text[:body] + text[body:].replace(old, new, 1))
    with pytest.raises(ModelError) as caught:
        list(check_config(tmp_path))
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "operator", ["EagerPyFunc", "MyCustomOp", "ReadFile", "WriteFile", "MatchingFiles", "SaveV2", "TFRecordDatasetV2"]
)
def test_a_foreign_operator_is_named(copy, operator):
    saved = SavedModel()
    path = copy / "1" / "saved_model.pb"
    saved.ParseFromString(path.read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function  # in no fixed order; some only save
    next(f for f in functions if "signature_wrapper" in f.signature.name).node_def[0].op = operator
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match=f": {operator}; nothing of it was run"):
        list(check_operators(copy / "1"))


def test_nothing_runs_of_a_graph_with_a_foreign_operator(copy):
    path = copy / "1" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"EncodePng", b"WriteFile"))
    findings = check_export(copy)
    assert [(f.passed, f.text.partition(":")[0]) for f in findings] == [(False, "files"), (False, "operators")]


@pytest.mark.parametrize("name", ["../precious", "/etc/hostname", "1/../../precious"])
def test_names_that_lead_out_of_the_folder_are_refused(copy, name):
    precious = copy.parent / "precious"
    precious.write_text("mine")
    report = json.loads((copy / "export.json").read_text())
    for change in ({"files": {name: {}}}, {"tflite": {name: {"quantize": "none", "side": 1, "signature": "f"}}}):
        (copy / "export.json").write_text(json.dumps(report | change))
        with pytest.raises(ModelError, match="lies outside of the export"):
            read_report(copy)
    (copy / "export.json").write_text(json.dumps(report | {"savedmodel": report["savedmodel"] | {"version": "../1"}}))
    with pytest.raises(ModelError, match="version"):
        read_report(copy)
    assert precious.read_text() == "mine"


def test_python_functions_do_not_pass(tmp_path):
    archive = keras.export.ExportArchive()
    spec = [tf.TensorSpec((None,), tf.float32, name="x")]
    archive.add_endpoint("f", lambda x: {"y": tf.numpy_function(lambda a: a, [x], tf.float32)}, input_signature=spec)
    archive.write_out(str(tmp_path / "1"), verbose=False)
    with pytest.raises(ModelError, match="PyFunc"):
        list(check_operators(tmp_path / "1"))


def test_a_damaged_warm_up_is_named(copy):
    path = copy / "1" / WARMUP
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelError, match="warm-up record 2 is damaged"):
        replay(copy / "1")


def test_a_warm_up_for_another_signature_is_named(copy):
    from tfssl.export.serving import write_warmup

    write_warmup(copy / "1" / WARMUP, "colorizer", [("classify", {"lightness": 1.0})])
    with pytest.raises(ModelError, match="no signature 'classify'; there are: colorize_bytes, predict_ab"):
        replay(copy / "1")
    write_warmup(copy / "1" / WARMUP, "colorizer", [("predict_ab", {"luminance": 1.0})])
    with pytest.raises(ModelError, match=r"takes lightness\. Received: luminance"):
        replay(copy / "1")


def test_a_bad_picture_fails_in_words(exported):
    with GraphModel(exported / "1") as served:
        answer = served.run("colorize_bytes", {"image_bytes": [b"no picture"]})
        assert answer["status"].tolist() == [b"not a JPEG, PNG, BMP, GIF or WebP file"]
        for shape in ((64, 64, 1), (1, 64, 64, 2), ()):
            with pytest.raises(ModelError, match="predict_ab fails: "):
                served.run("predict_ab", {"lightness": np.zeros(shape, np.float32)})


def test_a_damaged_tflite_is_named(copy):
    path = copy / "colorizer_int8.tflite"
    path.write_bytes(b"not a model at all")
    (operators, answers) = (step for _, step in tflite_steps(copy, read_report(copy)))
    with pytest.raises(ModelError, match=r"^not a \.tflite file$"):
        list(operators())
    with pytest.raises(ModelError, match=r"^colorizer_int8\.tflite cannot be run: "):
        list(answers())


def test_exit_status(copy, tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert (
        capsys.readouterr().err.strip() == f"tfssl: {str(tmp_path / 'nowhere')!r} is no export: it has no export.json"
    )
    assert main([]) == 2
    report = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps({**report, "savedmodel": {}}))
    assert main([str(copy)]) == 2
    assert "is damaged: 'version'" in capsys.readouterr().err
    del report["savedmodel"], report["tflite"]
    report["files"] = {"\x1b[2Jgone": {"bytes": 0, "sha256": ""}}
    (copy / "export.json").write_text(json.dumps(report))
    assert main([str(copy)]) == 1
    out = capsys.readouterr().out
    assert "FAILED  export.json lists neither" in out
    assert r"missing: \x1b[2Jgone" in out and "\x1b" not in out
