"""The .tflite files: operators, names, sizes, error."""

import json

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfssl.color.predict import predict_ab
from tfssl.errors import ConfigError, ModelError
from tfssl.export import export_run
from tfssl.export.check import check_tflite_operators
from tfssl.export.network import sensitive_layers
from tfssl.export.tflite import export_tflite, run_tflite


@pytest.fixture(scope="module")
def lightness():
    ramp = np.linspace(5, 95, 64, dtype=np.float32)
    return (0.5 * ramp[None, :, None, None] + 0.5 * ramp[None, None, ::-1, None]).astype(np.float32)


def parse(path):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))


def operators(path):
    """(name, dtype of its first output) of each operator."""
    model = parse(path)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    codes = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
    graph = model.subgraphs[0]
    kinds = {schema.TensorType.INT8: "int8", schema.TensorType.FLOAT32: "float32"}
    return [(codes[op.opcodeIndex], kinds.get(graph.tensors[op.outputs[0]].type)) for op in graph.operators]


def test_signature_names_and_sizes(exported, lightness):
    (answer,) = run_tflite(exported / "colorizer_int8.tflite", "predict_ab", [{"lightness": lightness}])
    assert list(answer) == ["ab"]
    assert answer["ab"].shape == (1, 64, 64, 2) and answer["ab"].dtype == np.float32


def test_int8_computes_in_integers_but_decodes_in_float(exported):
    found = operators(exported / "colorizer_int8.tflite")
    convolutions = [kind for name, kind in found if name == "CONV_2D"]
    # In float: the first, the two on the vector pooled over the picture, and what the classifier gives.
    assert len(convolutions) == 21 and convolutions.count("int8") == 21 - 4
    assert {kind for name, kind in found if name in ("SOFTMAX", "FULLY_CONNECTED", "PACK")} == {"float32"}
    assert check_tflite_operators(exported / "colorizer_int8.tflite")


@pytest.mark.parametrize(
    ("quantize", "limit"),
    [
        pytest.param("none", 1e-3, marks=pytest.mark.slow),
        pytest.param("float16", 0.05, marks=pytest.mark.slow),
        ("dynamic", 0.3),
    ],
)
def test_error_against_the_keras_model(method, model, lightness, tmp_path, quantize, limit):
    report = export_tflite(method, model, tmp_path, quantize=quantize, image_size=64)
    path = tmp_path / f"colorizer_{quantize.replace('none', 'float32')}.tflite"
    entry = report["tflite"][path.name]
    assert entry["parity"]["ab"]["mean_abs"] <= limit and entry["parity"]["images"] == 13
    assert entry["signature"] == "predict_ab" and entry["inputs"]["lightness"]["shape"] == [1, 64, 64, 1]
    wanted = predict_ab(method, model, tf.constant(lightness)).numpy()
    (answer,) = run_tflite(path, "predict_ab", [{"lightness": lightness}])
    assert np.abs(answer["ab"] - wanted).mean() <= limit
    # The converter divides the kernel of the scores by the temperature, and so outside of the network.
    kept = sum(model.get_layer(name).count_params() for name in [*sensitive_layers(model), "scores"])
    stored = {"none": 4, "float16": 2, "dynamic": 1}[quantize]
    size = stored * (model.count_params() - kept) + 4 * kept
    assert 0.97 * size < path.stat().st_size < 1.05 * size


def test_int8_error_is_in_the_report(exported):
    report = json.loads((exported / "export.json").read_text())
    assert 0 < report["tflite"]["colorizer_int8.tflite"]["parity"]["ab"]["mean_abs"] <= 1.0
    assert report["savedmodel"]["version"] == 1, "the SavedModel beside it must stay in the report"


@pytest.mark.slow
def test_representative_pictures_set_the_ranges(method, model, exported, tmp_path):
    """Ranges seen on pictures of one gray cut off what photographs excite."""
    gray = np.full((2, 32, 32, 3), 110, np.uint8)
    narrow = export_tflite(method, model, tmp_path, quantize="int8", image_size=64, representative=gray)
    wide = json.loads((exported / "export.json").read_text())
    errors = [r["tflite"]["colorizer_int8.tflite"]["parity"]["ab"]["mean_abs"] for r in (narrow, wide)]
    assert errors[0] > 1.5 * errors[1]


@pytest.mark.slow
def test_the_order_of_representative_pictures_does_not_matter(method, model, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    for name, order in (("a", pictures), ("b", pictures[::-1])):
        export_tflite(method, model, tmp_path / name, quantize="int8", image_size=64, representative=order)
    first, second = ((tmp_path / name / "colorizer_int8.tflite").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.slow
def test_a_model_that_answers_nan_is_refused(method, lively, tmp_path):
    broken = lively(method.model())
    broken.get_layer("scores").bias.assign(np.full(313, np.nan))
    with pytest.raises(ModelError, match=r"colorizer_float32\.tflite: output ab differs from the Keras model by nan"):
        export_tflite(method, broken, tmp_path / "out", image_size=64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_export_run_reads_an_export_and_reports_in_words(exported, tmp_path):
    lines = export_run(exported, tmp_path / "phone", format="tflite", quantize="dynamic", image_size=64)
    assert len(lines) == 2 and "colorizer_dynamic.tflite" in lines[0] and "mean error" in lines[1]


def test_wrong_use(method, model, exported, tmp_path):
    with pytest.raises(ConfigError, match="quantize='int4'"):
        export_tflite(method, model, tmp_path, quantize="int4")
    with pytest.raises(ConfigError, match="image_size=8"):
        export_tflite(method, model, tmp_path, image_size=8)
    with pytest.raises(ModelError, match=r"already holds colorizer_int8\.tflite"):
        export_tflite(method, model, exported, quantize="int8", image_size=64)
    with pytest.raises(ModelError, match="cannot be run"):
        run_tflite(exported / "export.json", "predict_ab", [])
