"""Endpoints: their sample inputs, and how errors are measured and judged."""

import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfssl import methods
from tfssl.backbones import Encoder
from tfssl.endpoint import TOLERANCE, Endpoint, absolute, encode, feature_endpoints, inside, relative, sample_images
from tfssl.errors import ModelError


def endpoint(**options):
    return Endpoint(lambda x: {"y": x}, (tf.TensorSpec((None,), tf.float32, name="x"),), None, **options)


def judge(endpoint, off, kind="float32", **options):
    wanted, answers = [{"y": np.zeros(4, np.float32)}], [{"y": np.full(4, off, np.float32)}]
    endpoint.judge(endpoint.deviations([{}], wanted, answers), kind, **options)


def test_tolerance_is_the_endpoint_s_own():
    judge(endpoint(), 9e-4)
    colors = endpoint(tolerance={kind: limit / 100 for kind, limit in TOLERANCE.items()}, unit="of white")
    with pytest.raises(ModelError, match=r"^it: output y differs .* by 0\.0009 of white on .* than 1e-05 for float32$"):
        judge(colors, 9e-4, what="it: ")
    judge(colors, 9e-3, "int8")
    judge(endpoint(tolerance={"float32": 0.0}), 9.0, "int8")  # a kind without a limit
    judge(endpoint(), 0.05, slack=0.06)
    with pytest.raises(ModelError, match="by nan units"):
        judge(endpoint(), np.nan)


def test_what_counts_in_a_mean_error():
    """Two of four values lie in the hole, one of the others was changed although it should not have been."""
    where = np.array([1.0, 1.0, 0.0, 0.0])
    want, got = np.zeros(4), np.array([0.5, 0.0, 0.0, 0.25])
    assert absolute({}, want, got).tolist() == [0.5, 0.0, 0.0, 0.25]
    assert inside("masks")({"masks": where}, want, got).tolist() == [0.5, 0.0, 0.25]
    assert relative({}, want + 2.0, got + 2.0).tolist() == [0.25, 0.0, 0.0, 0.125]
    found = endpoint(error=inside("masks")).deviations([{"masks": where}], [{"y": want}], [{"y": got}])
    assert found == {"y": {"mean_abs": 0.25, "max_abs": 0.5}}


def test_encoded_images_are_compared_as_pixels():
    files = [np.array([encode(Image.new("L", (4, 3), level))], object) for level in (10, 12)]
    found = endpoint().deviations([{}], [{"y": files[0]}], [{"y": files[1]}])
    assert found == {"y": {"mean_abs": 2.0, "max_abs": 2.0}}


@pytest.mark.parametrize("answer", [{"z": np.zeros(3)}, {"y": np.zeros(2)}])
def test_answers_of_another_shape_are_errors(answer):
    with pytest.raises(ModelError, match="instead of"):
        endpoint().deviations([{}], [{"y": np.zeros(3)}], [answer])


def test_sample_images_have_different_sizes():
    images = sample_images(96, 5)
    assert [max(image.size) for image in images] == [96, 88, 80, 72, 64] and {i.mode for i in images} == {"RGB"}


@pytest.mark.parametrize(
    ("modality", "shapes", "sample"),
    [
        ("clip", [(None, None, None, 3)], (1, 8, 30, 40, 3)),
        ("pair", [(2, 16, 16, 3)], (1, 2, 16, 16, 3)),
        ("pair", [(None, None, 1), (None, None, 1)], (1, 30, 40, 1)),
        ("sound", [(None,)], (1, 16000)),
        ("sound", [(None, 2)], (1, 16000, 2)),
    ],
)
def test_encoders_of_every_modality_have_samples(modality, shapes, sample):
    inputs = [keras.Input(shape, name=f"input{i}") for i, shape in enumerate(shapes)]
    taps = {f"mean{i}": keras.ops.mean(x, axis=1) for i, x in enumerate(inputs)}
    network = Encoder(inputs if len(inputs) > 1 else inputs[0], taps, modality=modality)
    ((name, found),) = feature_endpoints(network).items()
    assert name == "features"
    assert [spec.name for spec in found.signature] == [modality] if len(inputs) == 1 else ["input0", "input1"]
    stand_in = types.SimpleNamespace(model=network)
    assert feature_endpoints(stand_in)["features"].signature == found.signature
    calls = found.samples([Image.effect_noise((40, 30), 50).convert("RGB")], None)
    (answer,) = found.answers(calls)
    assert all(value.shape == sample and value.dtype == np.float32 and value.std() > 0 for value in calls[0].values())
    for i, value in enumerate(calls[0].values()):
        np.testing.assert_allclose(answer[f"mean{i}"], value.mean(axis=1), atol=1e-5)


@pytest.mark.slow
def test_tensors_of_wrong_shapes_are_errors_and_never_end_the_server(root):
    """All numeric signatures of all methods, in a process of its own: an abort is no exception."""
    program = [sys.executable, str(root / "tests" / "export" / "wrong_shapes.py")]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"after {lines[-1:]}: {done.stderr[-500:]}"
    assert [line for line in lines if not line.endswith("refuses")] == []
    assert {line.split()[0] for line in lines} == set(methods.names())
