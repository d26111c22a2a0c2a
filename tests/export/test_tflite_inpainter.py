"""The .tflite files of an inpainter: two inputs, colors in [0, 1], one size."""

import json
import shutil

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfssl.endpoint import sample_images
from tfssl.errors import ConfigError, ModelError
from tfssl.export import export_run, export_savedmodel, tflite
from tfssl.export.check import check_export, tflite_steps
from tfssl.export.folder import read_report
from tfssl.export.network import sensitive_layers
from tfssl.export.tflite import export_tflite, run_tflite
from tfssl.methods import Colorization, ContextEncoder

KINDS = ["none", "float16", "dynamic", "int8"]


def file_of(kind):
    return f"context_encoder_{'float32' if kind == 'none' else kind}.tflite"


SMALL = {"network": "small", "resize": 40, "crop_size": 32, "overlap": 2}
METHODS = {mask: ContextEncoder(mask=mask, **SMALL) for mask in ("blocks", "center")}


def untrained(mask="blocks", seed=0):
    keras.utils.set_random_seed(seed)
    return METHODS[mask].model()


@pytest.fixture(scope="module")
def model():
    return untrained()


@pytest.fixture(scope="module")
def inpainter(model, tmp_path_factory):
    """A SavedModel of one endpoint and all four kinds of .tflite of it in one folder. Read only: corrupt a copy."""
    out = tmp_path_factory.mktemp("inpainter") / "export"
    serving, conversion, converted = ContextEncoder.serving, tflite._convert, {}

    def convert(name, endpoint):
        """Once for all kinds, which differ in what is made of the same file."""
        if name not in converted:
            converted[name] = conversion(name, endpoint)
        return converted[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite, "_convert", convert)
        patch.setattr(ContextEncoder, "serving", lambda *args: {"predict": serving(*args)["predict"]})
        export_savedmodel(METHODS["blocks"], model, out)
        for kind in KINDS:
            export_tflite(METHODS["blocks"], model, out, quantize=kind)
    return out


def answers_of(path, method, model, pictures=None):
    """Inputs, what the Keras model makes of them, and what the file does."""
    endpoint = method.serving(method.served(model))["predict"]
    inputs = endpoint.samples(pictures or sample_images(count=3), 32)
    wanted = [answer["filled"] for answer in endpoint.answers(inputs)]
    return inputs, wanted, [answer["filled"] for answer in run_tflite(path, "predict", inputs)]


@pytest.mark.parametrize("kind", KINDS)
def test_report_and_answers(inpainter, model, kind):
    name = file_of(kind)
    entry = read_report(inpainter)["tflite"][name]
    assert (entry["signature"], entry["side"], entry["parity"]["images"]) == ("predict", 32, 13)
    assert list(entry["inputs"].items()) == [
        ("pictures", {"dtype": "float32", "shape": [1, 32, 32, 3]}),
        ("masks", {"dtype": "float32", "shape": [1, 32, 32, 1]}),
    ]
    limit = {"none": 1e-5, "float16": 5e-4, "dynamic": 3e-3, "int8": 1e-2}[kind]
    assert 0 < entry["parity"]["filled"]["mean_abs"] <= limit
    for call, want, got in zip(*answers_of(inpainter / name, METHODS["blocks"], model), strict=True):
        hole = call["masks"][..., 0] == 1
        assert got.shape == (1, 32, 32, 3) and got.dtype == np.float32
        np.testing.assert_array_equal(got[~hole], call["pictures"][~hole])
        assert np.abs(got - want)[hole].mean() <= limit
        assert np.abs(got - call["pictures"])[hole].mean() > 10 * limit, "the hole is filled with something else"


@pytest.mark.slow
def test_a_central_mask_in_integers(tmp_path):
    report = export_tflite(METHODS["center"], untrained("center"), tmp_path, quantize="int8")
    assert report["tflite"]["context_encoder_int8.tflite"]["parity"]["filled"]["mean_abs"] <= 1e-2


def operators(path):
    """(name, whether its output is int8) of each operator."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    codes = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
    graph = model.subgraphs[0]
    return [(codes[o.opcodeIndex], graph.tensors[o.outputs[0]].type == schema.TensorType.INT8) for o in graph.operators]


def test_what_int8_leaves_in_float(inpainter):
    """The first and the last convolution, products of stacks of matrices and what turns scores into colors."""
    found = operators(inpainter / "context_encoder_int8.tflite")
    assert [whole for name, whole in found if name == "CONV_2D"] == [False, True, True, True, True, True, False]
    assert [whole for name, whole in found if name == "TRANSPOSE_CONV"] == [True] * 3
    assert {whole for name, whole in found if name in ("BATCH_MATMUL", "TANH", "SELECT_V2")} == {False}


@pytest.mark.slow  # test_contract.py checks one with one file
def test_its_check_passes(model, tmp_path):
    export_savedmodel(METHODS["blocks"], model, tmp_path / "out")
    for kind in KINDS:
        export_tflite(METHODS["blocks"], model, tmp_path / "out", quantize=kind)
    findings = check_export(tmp_path / "out")
    assert all(finding.passed for finding in findings), "\n".join(map(str, findings))
    text = "\n".join(map(str, findings))
    for kind in KINDS:
        assert f"{file_of(kind)}: runs in LiteRT; filled within" in text
    assert "1 x 32 x 32 x 1, 1 x 32 x 32 x 3 -> 1 x 32 x 32 x 3" in text


@pytest.mark.slow
def test_without_a_savedmodel_it_runs_all_the_same(model, tmp_path):
    export_tflite(METHODS["blocks"], model, tmp_path / "out")
    texts = [finding.text for finding in check_export(tmp_path / "out") if finding.passed]
    assert texts[-1].endswith("runs in LiteRT on 5 photographs (no SavedModel beside it to compare with)")


@pytest.mark.slow
def test_weights_of_another_network_are_noticed(inpainter, tmp_path):
    copy = shutil.copytree(inpainter, tmp_path / "copy")
    export_tflite(METHODS["blocks"], untrained(seed=9), tmp_path / "other", quantize="int8")
    name = "context_encoder_int8.tflite"
    shutil.copy(tmp_path / "other" / name, copy / name)
    report = read_report(copy)
    report["tflite"] = {name: report["tflite"][name]}
    (_, answers) = (step for _, step in tflite_steps(copy, report))
    with pytest.raises(ModelError, match=r"output filled differs from the Keras model by .* more than 0\.01 for int8"):
        list(answers())
    report["tflite"][name]["signature"] = "fill"
    with pytest.raises(ModelError, match="no endpoint 'fill'; there are: inpaint_bytes, predict"):
        list(tflite_steps(copy, report)[1][1]())


def test_limits_are_those_of_colors_in_the_hole(model, tmp_path, monkeypatch):
    """Off by 0.001 in the hole: little for ab, and little on average over the whole picture, but refused."""

    def off(path, signature, inputs):
        return [
            {"filled": answer["filled"] + 0.001 * call["masks"]}
            for call, answer in zip(inputs, run_tflite(path, signature, inputs), strict=True)
        ]

    monkeypatch.setattr(tflite, "run_tflite", off)
    with pytest.raises(
        ModelError,
        match=r"output filled differs .* by 0\.001\d* units on average, more than 0\.0005 for float16",
    ):
        export_tflite(METHODS["blocks"], model, tmp_path / "out", quantize="float16")
    assert list(tmp_path.iterdir()) == []


def test_representative_pictures_can_be_chosen(model, tmp_path, inpainter):
    """Ranges seen on pictures of one gray cut off what photographs excite."""
    gray = np.full((2, 32, 32, 3), 110, np.uint8)
    with pytest.raises(
        ModelError, match=r"more than 0\.01 for int8; use a milder `quantize`, or more `representative` images"
    ):
        export_tflite(METHODS["blocks"], model, tmp_path / "out", quantize="int8", representative=gray)


def test_export_run_reads_an_export(inpainter, tmp_path):
    lines = export_run(inpainter, tmp_path / "phone", format="tflite", quantize="dynamic")
    assert len(lines) == 2 and lines[1].startswith("predict -> filled: mean error against the Keras model")
    first, second = (json.loads((path / "export.json").read_text()) for path in (inpainter, tmp_path / "phone"))
    assert first["tflite"]["context_encoder_dynamic.tflite"] == second["tflite"]["context_encoder_dynamic.tflite"]


def test_wrong_use(model, tmp_path):
    with pytest.raises(
        ConfigError, match=r"^`image_size` must be 32, the only size that this network takes\. Received: image_size=64$"
    ):
        export_tflite(METHODS["blocks"], model, tmp_path / "out", image_size=64)
    with pytest.raises(ConfigError, match="image_size=8"):
        export_tflite(METHODS["blocks"], model, tmp_path / "out", image_size=8)
    features = ContextEncoder(network="features", mask="regions", resize=80, crop_size=67, reconstruction_weight=1)
    with pytest.raises(ModelError, match=r"context_encoder has no \.tflite form, it exports features, features_float"):
        export_tflite(features, features.model(), tmp_path / "out")


def test_a_bottleneck_is_not_kept_in_float():
    """Both kernels around it hold most weights of the paper's network; a scene vector's hold next to nothing."""
    bottleneck = ContextEncoder(bottleneck=400, reconstruction_weight=1)
    kept = sensitive_layers(bottleneck.served(bottleneck.model()))
    assert "conv1_conv" in kept and not {"bottleneck_conv", "up1_conv"} & set(kept)
    colorizer = Colorization(backbone="small", resize=None, crop_size=48, image_size=64).model()
    vectors = [layer.name for layer in colorizer.layers if tuple(layer.output.shape[1:3]) == (1, 1) and layer.weights]
    assert len(vectors) == 2 and set(vectors) <= set(sensitive_layers(colorizer))


def test_depthwise_and_small_kernels_are_kept_in_float():
    network = Colorization(backbone="efficientnet_lite0", resize=None, crop_size=32).model()
    kept, depthwise = sensitive_layers(network), keras.layers.DepthwiseConv2D
    assert {layer.name for layer in network.layers if isinstance(layer, depthwise)} <= set(kept)
    assert "block2_1_expand_conv" in kept and not {"block7_1_project_conv", "scores"} & set(kept)
    counts = {layer.name: layer.count_params() for layer in network.layers}
    assert sum(counts[name] for name in kept) < 0.1 * network.count_params()
