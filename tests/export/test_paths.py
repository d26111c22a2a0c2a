"""Folders whose names TensorFlow takes for patterns, and disks that take no more."""

import errno
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfssl
from tfssl.cli import main
from tfssl.export.check import main as check
from tfssl.export.savedmodel import export_savedmodel, plain_path


def test_an_export_below_a_name_of_glob_characters_loads_and_passes_its_check(exported, tmp_path, model, capsys):
    folder = shutil.copytree(exported, tmp_path / "a[1]*?\\ b" / "colorizer")
    assert check([str(folder)]) == 0, capsys.readouterr().out
    _, network = tfssl.load(str(folder))
    for ours, theirs in zip(network.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, np.asarray(theirs).astype(np.float16))  # as they are stored


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
    from tfssl.methods.colorization.serving import endpoints

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
