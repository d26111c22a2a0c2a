"""Exports of an encoder alone: pictures in, named taps out."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfssl
from tfssl.backbones import Encoder
from tfssl.endpoint import feature_endpoints, relative
from tfssl.errors import ModelError
from tfssl.export import export_run, export_savedmodel, export_tflite, load_savedmodel
from tfssl.export.check import main as check
from tfssl.export.network import network_from_values
from tfssl.export.savedmodel import GraphModel, read_variables
from tfssl.export.serving import WARMUP, read_warmup
from tfssl.methods import Colorization, DenoisingAutoencoder


class Stub(Colorization):
    """A colorizer that exports its encoder."""

    export_name = "stub"

    def served(self, model):
        return self.encoder(model)

    def serving(self, network):
        return feature_endpoints(network)


@pytest.fixture(scope="module")
def stub():
    return Stub(backbone="small", resize=None, crop_size=48, image_size=64)


@pytest.fixture(scope="module")
def trained(stub, lively):
    return lively(stub.model())


@pytest.fixture(scope="module")
def folder(stub, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("encoder") / "export"
    export_savedmodel(stub, trained, out)
    return out


def test_the_check_passes(folder, capsys):
    assert check([str(folder)]) == 0
    printed = capsys.readouterr().out
    for words in ("features runs in graph mode; conv1 within", "features_float runs in graph mode", "serves stub from"):
        assert words in printed


def test_the_encoder_alone_is_stored(folder, stub, trained):
    report = json.loads((folder / "export.json").read_text())
    taps = {f"conv{i}": 4 for i in range(1, 6)}
    assert report["encoder"] == {"modality": "image", "taps": taps, "smallest": 1}
    report = report["savedmodel"]
    assert (
        report["serving_default"] == "features" and report["parity"]["features"]["unit"] == "times its mean magnitude"
    )
    assert report["signatures"]["features"]["inputs"] == {"images": {"dtype": "uint8", "shape": [None, None, None, 3]}}
    assert set(report["signatures"]["features_float"]["outputs"]) == {f"conv{i}" for i in range(1, 6)}
    method, network = load_savedmodel(folder)
    assert method == stub and type(network) is Encoder
    assert len(network.variables) == len(stub.encoder(trained).variables) < len(trained.variables)


def test_served_taps_are_those_of_the_encoder(folder, stub, trained):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    scaled = pixels.astype(np.float32) / 255
    wanted = stub.encoder(trained)(scaled, training=False)
    loaded = tfssl.load_encoder(folder)(scaled, training=False)
    with GraphModel(folder / "1") as served:
        answers = [served.run("features", {"images": pixels}), served.run("features_float", {"images": scaled})]
    for answer in [*answers, loaded]:
        assert set(answer) == set(wanted)
        for tap, values in wanted.items():
            np.testing.assert_allclose(answer[tap], values, atol=1e-4 * float(np.abs(values).max()))


def test_warm_up_sends_a_photograph(folder):
    requests = dict(read_warmup(folder / "1" / WARMUP))
    assert list(requests) == ["features", "features_float", "serving_default"]
    images = requests["features"]["images"]
    assert images.dtype == np.uint8 and images.shape[0] == 1 and images.std() > 10
    np.testing.assert_allclose(requests["features_float"]["images"], images / 255, atol=1e-6)


@pytest.mark.slow
def test_an_export_can_be_exported_again(folder, tmp_path):
    lines = export_run(folder, tmp_path / "half", quantize="float16")
    assert (
        "features -> conv1: mean error against the Keras model" in lines[2] and "times its mean magnitude" in lines[2]
    )
    assert check([str(tmp_path / "half")]) == 0
    full, half = ((path / "1" / "variables").glob("variables.data*") for path in (folder, tmp_path / "half"))
    assert next(half).stat().st_size < 0.55 * next(full).stat().st_size


@pytest.mark.slow
def test_errors_are_judged_by_the_size_of_the_features(stub, trained, tmp_path, monkeypatch):
    """A thousandth of the magnitude is refused whether features are large or small."""
    from tfssl.export import savedmodel

    want = np.full((1, 4, 4, 2), 1e-4, np.float32)
    assert relative({}, want, want * 1.01).mean() == pytest.approx(0.01, 1e-3)
    monkeypatch.setattr(
        savedmodel,
        "StoredNetwork",
        lambda network, weights: (
            lambda x, training: {tap: 1.01 * values for tap, values in network(x, training=training).items()}
        ),
    )
    with pytest.raises(
        ModelError, match=r"exported features: output conv1 differs from the Keras model by 0\.01 times"
    ):
        export_savedmodel(stub, trained, tmp_path / "off")
    assert not list(tmp_path.iterdir())


def test_what_needs_the_whole_model_says_so(folder, stub, trained, tmp_path):
    with pytest.raises(ModelError, match=r"holds only the encoder of a .*:Stub model"):
        tfssl.load(folder)
    for model in (trained, tfssl.load_encoder(folder)):
        with pytest.raises(ModelError, match=r"Stub has no \.tflite form, it exports features, features_float"):
            export_tflite(stub, model, tmp_path / "phone")


def test_the_exported_encoder_is_evaluated(folder, tmp_path):
    for part in ("train", "test"):
        for level, name in ((60, "dark"), (180, "light")):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(4):
                picture = np.random.default_rng(i).integers(level - 50, level + 50, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(picture).save(tmp_path / part / name / f"{i}.png")
    record = tfssl.evaluate(folder, tmp_path, task="knn", image_size=32, pool=1, seeds=1, taps=["conv1"])
    assert record["accuracy"].value == 1.0 and record["accuracy"].baselines["untrained"] <= 1.0


@pytest.mark.slow
def test_mixed_precision_is_served_in_float32(stub, lively, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = lively(stub.model())
    finally:
        keras.config.set_dtype_policy("float32")
    export_savedmodel(stub, mixed, tmp_path / "export")
    assert check([str(tmp_path / "export")]) == 0
    outputs = tf.saved_model.load(str(tmp_path / "export" / "1")).signatures["features"].structured_outputs
    assert {spec.dtype for spec in outputs.values()} == {tf.float32}


def test_a_weight_that_the_encoder_never_reads_may_be_missing(tmp_path):
    """The bias of the way back of a tied layer is not in a SavedModel; one that is read still has to be."""
    method = DenoisingAutoencoder(backbone="dense", crop_size=6, units=[8])
    model = method.model()
    export_savedmodel(method, model, tmp_path / "export")
    _, network = load_savedmodel(tmp_path / "export")
    pixels = np.random.default_rng(0).random((1, 12, 12, 3), dtype=np.float32)
    np.testing.assert_allclose(network(pixels)["conv1"], method.encoder(model)(pixels)["conv1"], atol=1e-5)
    values = read_variables(tmp_path / "export" / "1")
    del values["layer1/bias"]
    with pytest.raises(ModelError, match="fits 2 of 3 weights"):
        network_from_values(method, values, "it")
