"""Folders whose names TensorFlow takes for patterns, and disks that take no more."""

import errno
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfssl
from tfssl.cli import main
from tfssl.errors import ModelError
from tfssl.export.savedmodel import GraphModel, export_savedmodel, plain_path
from tfssl.export.serving import WARMUP, read_warmup
from tfssl.export.tflite import run_tflite


@pytest.mark.slow
def test_an_export_below_a_name_of_glob_characters_is_read(exported, tmp_path, model):
    folder = shutil.copytree(exported, tmp_path / "a[1]*?\\ b" / "colorizer")
    _, network = tfssl.load(str(folder))
    for ours, theirs in zip(network.weights, model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)  # most are stored in float16
    lightness = {"lightness": np.full((1, 64, 64, 1), 50, np.float32)}
    with GraphModel(folder / "1") as served:
        assert served.run("predict_ab", lightness)["ab"].shape == (1, 64, 64, 2)
        with pytest.raises(ModelError, match="did you mean `predict_ab`"):
            served.run("predictab", lightness)
    assert len(read_warmup(folder / "1" / WARMUP)) == 3
    (answer,) = run_tflite(folder / "colorizer_int8.tflite", "predict_ab", [lightness])
    assert answer["ab"].shape == (1, 64, 64, 2)


def test_an_export_can_be_written_there(method, model, tmp_path, monkeypatch):
    monkeypatch.setattr("tfssl.export.savedmodel._parity", lambda *_: {})
    monkeypatch.setattr(
        type(method), "serving", lambda self, network: {"predict_ab": serving(self, network)["predict_ab"]}
    )
    out = tmp_path / "runs [2]" / "?"
    export_savedmodel(method, model, out)
    with plain_path(out / "1") as plain:
        assert tf.saved_model.load(str(plain)).signatures.keys() == {"predict_ab", "serving_default"}
    assert not list(out.parent.glob(".*"))


def serving(method, network):
    from tfssl.color.serving import endpoints

    return endpoints(method, network)


@pytest.mark.parametrize(
    "full",
    [
        tf.errors.ResourceExhaustedError(None, None, "/x/variables/part; No space left on device"),
        OSError(errno.ENOSPC, "No space left on device", "/x/saved_model.pb"),
    ],
    ids=["TensorFlow", "Python"],
)
def test_a_full_disk_is_one_line_with_the_folder(method, model, tmp_path, monkeypatch, capsys, full):
    def write_out(*_, **__):
        raise full

    monkeypatch.setattr("tfssl.export.savedmodel.write_savedmodel", write_out)
    monkeypatch.setattr("tfssl.export.run.load_source", lambda _: (method, model))
    with pytest.raises(SystemExit) as done:
        main(["export", "colorizer", "--out", str(tmp_path / "out")])
    assert done.value.code == 2
    assert capsys.readouterr().err.endswith(f"{os.strerror(errno.ENOSPC)}: {tmp_path / 'out'}\n")
    assert not list(tmp_path.iterdir())
