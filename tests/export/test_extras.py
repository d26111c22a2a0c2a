"""Exports after a plain install: what works without the extras, and what says which one it needs."""

import importlib.util
import sys

import numpy as np
import pytest

from tfssl.errors import ModelError
from tfssl.export import export_run, export_savedmodel, export_tflite
from tfssl.export.check import check_export
from tfssl.export.serving import read_warmup, write_warmup
from tfssl.methods import ContextEncoder

EXTRAS = ("tensorflow_serving", "ai_edge_litert", "ai_edge_quantizer")


@pytest.fixture
def plain(monkeypatch):
    """Python as it is after an install without extras."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in EXTRAS else find(name, *a))
    for name in [*EXTRAS, *(name for name in sys.modules if name.startswith(EXTRAS))]:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.slow
def test_both_formats_are_written_and_checked(plain, tmp_path):
    method = ContextEncoder(network="small", mask="blocks", overlap=2, resize=40, crop_size=32)
    model = method.model()
    export_savedmodel(method, model, tmp_path / "out")
    export_tflite(method, model, tmp_path / "out")
    findings = check_export(tmp_path / "out")
    assert all(finding.passed for finding in findings), "\n".join(map(str, findings))
    assert findings[-1].text.startswith("context_encoder_float32.tflite: runs in LiteRT; filled within")


@pytest.mark.parametrize("kind", ["float16", "dynamic", "int8"])
def test_quantization_names_its_extra_before_anything_is_loaded(plain, tmp_path, kind):
    with pytest.raises(ModelError, match=rf"^quantize='{kind}' needs .*: pip install 'tfssl\[mobile\]'") as caught:
        export_run(tmp_path / "no run at all", tmp_path / "out", format="tflite", quantize=kind)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_warm_up_requests_are_those_of_tensorflow_serving(tmp_path):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    image, lightness = np.array([b"\x89PNG"], object), np.ones((1, 2, 2, 1), np.float32)
    write_warmup(
        tmp_path / "warm-up", "mine", [("first", {"image_bytes": image}), ("second", {"lightness": lightness})]
    )
    records = [
        prediction_log_pb2.PredictionLog.FromString(r.numpy())
        for r in tf.data.TFRecordDataset([str(tmp_path / "warm-up")])
    ]
    requests = [record.predict_log.request for record in records]
    assert [(r.model_spec.name, r.model_spec.signature_name) for r in requests] == [
        ("mine", "first"),
        ("mine", "second"),
    ]
    assert tf.make_ndarray(requests[0].inputs["image_bytes"]).tolist() == [b"\x89PNG"]
    np.testing.assert_array_equal(tf.make_ndarray(requests[1].inputs["lightness"]), lightness)
    # And theirs are read here.
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(records[1].SerializeToString())
    ((name, inputs),) = read_warmup(tmp_path / "theirs")
    assert name == "second"
    np.testing.assert_array_equal(inputs["lightness"], lightness)
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "mine"
    with tf.io.TFRecordWriter(str(tmp_path / "other")) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(ModelError, match="record 0 is no predict request"):
        read_warmup(tmp_path / "other")


def test_model_config_is_that_of_tensorflow_serving(tmp_path):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    from tfssl.export.serving import read_config, write_config

    write_config(tmp_path / "model.config", "mine")
    text = (tmp_path / "model.config").read_text()
    (theirs,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert (theirs.name, theirs.base_path, theirs.model_platform) == ("mine", "/models/mine", "tensorflow")
    versions = "model_version_policy { specific { versions: 1 } }"
    (tmp_path / "model.config").write_text(text.replace('"tensorflow"', f'"tensorflow" {versions}'))
    (ours,) = read_config(tmp_path / "model.config")
    assert ours.base_path == theirs.base_path
