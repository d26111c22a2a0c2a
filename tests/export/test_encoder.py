"""Exports of an encoder alone: pictures in, named taps out."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfssl
from tfssl import methods
from tfssl.errors import ModelError
from tfssl.export import export_run, export_savedmodel, export_tflite, load_savedmodel
from tfssl.export.check import main as check
from tfssl.export.check_savedmodel import GraphModel
from tfssl.export.serving import WARMUP, read_warmup
from tfssl.methods import Colorization
from tfssl.methods.encoding import feature_endpoints, is_encoder


class Stub(Colorization):
    """A colorizer that exports its encoder."""

    export_name = None

    def served(self, model):
        return self.encoder(model)

    def serving(self, network):
        return feature_endpoints(network)


@pytest.fixture(scope="module")
def stub():
    return Stub(backbone="small", resize=None, crop_size=48, image_size=64)


@pytest.fixture(autouse=True)
def found_by_name(monkeypatch):
    monkeypatch.setattr(methods, "get", lambda name: {"stub": Stub}[name])


@pytest.fixture(scope="module")
def trained(stub, lively):
    return lively(stub.model())


@pytest.fixture(scope="module")
def folder(stub, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("encoder") / "export"
    export_savedmodel(stub, trained, out)
    return out


def test_what_tells_an_encoder(stub, trained):
    assert is_encoder(stub.encoder(trained)) and not is_encoder(trained)
    rgb = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(rgb)
    assert not is_encoder(keras.Model(rgb, {"conv1": pooled})), "a vector is no map"
    assert not is_encoder(keras.Model(rgb, {"logits": keras.layers.Conv2D(2, 1)(rgb)}))


def test_the_check_passes(folder, capsys):
    assert check([str(folder)]) == 0
    printed = capsys.readouterr().out
    for words in ("features runs in graph mode; conv1 within", "features_float runs in graph mode", "serves stub from"):
        assert words in printed


def test_the_encoder_alone_is_stored(folder, stub, trained):
    report = json.loads((folder / "export.json").read_text())["savedmodel"]
    assert report["serving_default"] == "features" and report["parity"]["features"]["relative"] is True
    assert report["signatures"]["features"]["inputs"] == {"images": {"dtype": "uint8", "shape": [None, None, None, 3]}}
    assert set(report["signatures"]["features_float"]["outputs"]) == {f"conv{i}" for i in range(1, 6)}
    method, network = load_savedmodel(folder)
    assert method == stub and is_encoder(network)
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


def test_an_export_can_be_exported_again(folder, tmp_path):
    lines = export_run(folder, tmp_path / "half", quantize="float16")
    assert (
        "features -> conv1: mean error against the Keras model" in lines[2] and "times its mean magnitude" in lines[2]
    )
    assert check([str(tmp_path / "half")]) == 0
    full, half = ((path / "1" / "variables").glob("variables.data*") for path in (folder, tmp_path / "half"))
    assert next(half).stat().st_size < 0.55 * next(full).stat().st_size


def test_errors_are_judged_by_the_size_of_the_features(stub, trained, tmp_path, monkeypatch):
    """A thousandth of the magnitude is refused whether features are large or small."""
    from tfssl.export import savedmodel
    from tfssl.export.samples import differences

    want = {"conv1": np.full((1, 4, 4, 2), 1e-4, np.float32)}
    assert differences(want, {"conv1": want["conv1"] * 1.01}, relative=True)["conv1"].mean() == pytest.approx(
        0.01, 1e-3
    )
    monkeypatch.setattr(
        savedmodel,
        "StoredNetwork",
        lambda network, weights: (
            lambda x, training: {tap: 1.01 * values for tap, values in network(x, training=training).items()}
        ),
    )
    with pytest.raises(ModelError, match=r"features differs from the Keras model by 0\.01 on average"):
        export_savedmodel(stub, trained, tmp_path / "off")
    assert not list(tmp_path.iterdir())


def test_what_needs_the_whole_model_says_so(folder, stub, trained, tmp_path):
    with pytest.raises(ModelError, match="holds only the encoder of a stub model"):
        tfssl.load(folder)
    for model in (trained, tfssl.load_encoder(folder)):
        with pytest.raises(ModelError, match=r"stub has no \.tflite form, it exports features, features_float"):
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
