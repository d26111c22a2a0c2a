"""Writing a SavedModel and getting the Keras model back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError, ModelError
from tfssl.export import export_run
from tfssl.export.folder import fingerprints, read_method, read_report, write_export
from tfssl.export.network import StoredNetwork, served_network
from tfssl.export.savedmodel import export_savedmodel, load_savedmodel, read_variables
from tfssl.export.serving import CONFIG, WARMUP, read_config, read_warmup
from tfssl.methods import Colorization


def values(model):
    return {variable.path: np.asarray(variable) for variable in model.variables}


def test_the_report_describes_the_folder(exported, method):
    report = json.loads((exported / "export.json").read_text())
    assert report["method"] == "colorization" and Colorization(**report["config"]) == method
    files = fingerprints(exported)
    del files["export.json"]
    assert report["files"] == files
    served = report["savedmodel"]
    assert (served["version"], served["weights"], served["serving_default"]) == (1, "float16", "colorize_bytes")
    assert served["signatures"]["predict_ab"] == {
        "inputs": {"lightness": {"dtype": "float32", "shape": [None, None, None, 1]}},
        "outputs": {"ab": {"dtype": "float32", "shape": [None, None, None, 2]}},
    }
    default = served["signatures"]["serving_default"]
    assert default == served["signatures"]["colorize_bytes"]
    assert default["inputs"] == {"image_bytes": {"dtype": "string", "shape": [None]}}
    assert default["outputs"] == {key: {"dtype": "string", "shape": [None]} for key in ("png_bytes", "status")}
    assert 0 < served["parity"]["predict_ab"]["ab"]["mean_abs"] <= 0.05


def test_float16_halves_the_kernels_of_all_but_the_sensitive_layers(exported, model):
    reader = tf.train.load_checkpoint(str(exported / "1" / "variables" / "variables"))
    dtypes = reader.get_variable_to_dtype_map()
    four_dimensional = [dtypes[key] for key, shape in reader.get_variable_to_shape_map().items() if len(shape) == 4]
    assert four_dimensional.count(tf.float32) == 3  # the first convolution and two on the vector of the whole picture
    assert four_dimensional.count(tf.float16) == 18
    stored, kept = read_variables(exported / "1"), ("stem_conv/kernel", "conv5_scene_a/kernel", "conv5_scene_b/kernel")
    for path, value in values(model).items():
        halved = value.ndim == 4 and path not in kept
        np.testing.assert_array_equal(stored[path], value.astype(np.float16) if halved else value)
    (data,) = (exported / "1" / "variables").glob("variables.data*")
    assert data.stat().st_size < 2.1 * sum(v.size for v in values(model).values())


def test_loading_gives_method_and_weights_back(exported, method, model):
    for folder in (exported, exported / "1"):
        again, loaded = load_savedmodel(folder)
        assert again == method
        assert list(values(loaded)) == list(values(model))
    assert all(np.abs(v - values(model)[k]).max() <= 1e-3 * np.abs(v).max() for k, v in values(loaded).items())


def test_a_missing_weight_is_counted(copy, method):
    report = json.loads((copy / "export.json").read_text())
    report["config"]["objective"] = "regression"  # its network has two outputs, not 313
    (copy / "export.json").write_text(json.dumps(report))
    with pytest.raises(ModelError, match=r"fits 94 of 96 weights; .*scores/kernel, scores/bias"):
        load_savedmodel(copy)


def test_loading_something_else_says_what_is_missing(tmp_path):
    with pytest.raises(ModelError, match=r"has no export\.json"):
        load_savedmodel(tmp_path)
    (tmp_path / "export.json").write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        load_savedmodel(tmp_path)


@pytest.mark.slow
def test_mixed_precision_is_exported_in_float32(method, lively):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = lively(method.model(), seed=1)
    finally:
        keras.config.set_dtype_policy("float32")
    network = served_network(method, mixed)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    for path, value in values(mixed).items():
        np.testing.assert_array_equal(values(network)[path], value)
    assert served_network(method, network) is network


def test_stored_network_answers_like_the_model(model):
    lightness = np.random.default_rng(0).uniform(0, 100, (1, 32, 48, 1)).astype(np.float32)
    wanted = model(lightness, training=False).numpy()
    np.testing.assert_allclose(StoredNetwork(model)(lightness).numpy(), wanted, atol=1e-5)
    half = StoredNetwork(model, "float16")(lightness).numpy()
    assert half.dtype == np.float32 and 0 < np.abs(half - wanted).mean() < 1e-2


def test_a_kernel_beyond_float16_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1, name="big")])
    model.get_layer("big").kernel.assign([[1e6], [0.0]])
    with pytest.raises(ModelError, match=r"weight .*big/kernel reaches 1e\+06"):
        StoredNetwork(model, "float16")


def test_serving_files(exported):
    (entry,) = read_config(exported / CONFIG)
    assert (entry.name, entry.base_path, entry.model_platform) == ("colorizer", "/models/colorizer", "tensorflow")
    requests = read_warmup(exported / "1" / WARMUP)
    assert [name for name, _ in requests] == ["colorize_bytes", "predict_ab", "serving_default"]
    assert requests[0][1]["image_bytes"].shape == (1,)
    lightness = requests[1][1]["lightness"]
    assert lightness.shape[0] == 1 and 0 <= lightness.min() < lightness.max() <= 100


def test_out_in_use_is_refused_and_left_alone(exported, method, model, lively, tmp_path):
    before = fingerprints(exported)
    with pytest.raises(ModelError, match=r"already holds 1, model\.config"):
        export_savedmodel(method, model, exported)
    with pytest.raises(ModelError, match="holds an export of another model"):
        export_savedmodel(method, lively(method.model(), seed=5), exported)
    assert fingerprints(exported) == before
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not empty"):
        export_savedmodel(method, model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_an_export_that_fails_leaves_nothing_behind(method, model, tmp_path):
    with (
        pytest.raises(RuntimeError),
        write_export(tmp_path / "out", method, model, ["a"], overwrite=False) as (stage, _),
    ):
        (stage / "a").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_overwriting_with_another_model_removes_what_was_the_old_ones(method, model, lively, tmp_path):
    for name, network in (("a", model), ("b", lively(method.model(), seed=5))):
        with write_export(tmp_path / "out", method, network, [name], overwrite=True) as (stage, report):
            (stage / name).write_text(name)
            report[name] = True
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["b", "export.json"]
    assert "a" not in read_report(tmp_path / "out")


def test_files_named_in_the_configuration_travel_along(model, tmp_path):
    np.save(tmp_path / "mine.npy", np.full(313, 1 / 313))
    method = Colorization(backbone="small", resize=None, crop_size=48, image_size=64, prior=str(tmp_path / "mine.npy"))
    with write_export(tmp_path / "out", method, model, [], overwrite=False):
        pass
    (tmp_path / "mine.npy").unlink()
    again = read_method(read_report(tmp_path / "out"), tmp_path / "out")
    np.testing.assert_array_equal(np.load(again.prior), np.full(313, 1 / 313))


def test_wrong_use_is_one_line(exported, method, model, tmp_path):
    for call in (
        lambda: export_savedmodel(method, model, tmp_path, weights="int8"),
        lambda: export_savedmodel(method, model, tmp_path, version=0),
        lambda: export_run(exported, tmp_path, format="onnx"),
        lambda: export_run(exported, tmp_path, quantize="int4"),
        lambda: export_run(exported, tmp_path, format="savedmodel", quantize="int8"),
    ):
        with pytest.raises(ConfigError, match="Received: ") as caught:
            call()
        assert "\n" not in str(caught.value)
