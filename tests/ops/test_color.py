"""Color conversion against scikit-image over the whole RGB cube, and where it has to run."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from skimage import color as reference

from tfssl.ops.color import lab_to_rgb, rgb_to_lab, rgb_to_lightness


@pytest.fixture(scope="module")
def cube():
    """Every fifth level of each channel, all corners included, and all grays: float32 (N, 3) in [0, 1]."""
    axis = np.arange(0, 256, 5)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    grays = np.repeat(np.arange(256)[:, None], 3, axis=1)
    return (np.concatenate([grid, grays]) / 255.0).astype(np.float32)


def test_lab_equals_scikit_image_over_the_cube(cube):
    assert np.abs(np.asarray(rgb_to_lab(cube)) - reference.rgb2lab(cube.astype(np.float64))).max() < 1e-3


def test_round_trip_is_exact_to_a_level(cube):
    assert np.abs(np.asarray(lab_to_rgb(rgb_to_lab(cube))) - cube).max() < 1 / 255


def test_lab_to_rgb_clips_as_scikit_image():
    rng = np.random.default_rng(0)
    lab = rng.uniform([0, -110, -110], [100, 110, 110], (20_000, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns about colors outside the gamut: the point of this test
        expected = reference.lab2rgb(lab)
    assert np.abs(np.asarray(lab_to_rgb(lab.astype(np.float32))) - expected).max() < 1 / 255


@pytest.mark.parametrize(
    "rgb, lab",
    [
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 0), (97.14, -21.55, 94.48)),
        ((0, 255, 255), (91.11, -48.09, -14.13)),
        ((255, 0, 255), (60.32, 98.23, -60.82)),
        ((128, 128, 128), (53.585, 0, 0)),
        ((200, 120, 60), (58.077, 26.182, 45.194)),
    ],
)
def test_values_of_the_method_card(rgb, lab):
    np.testing.assert_allclose(np.asarray(rgb_to_lab(np.array(rgb, np.float32) / 255)), lab, atol=6e-3)


def test_lightness_is_the_first_channel(cube):
    np.testing.assert_allclose(np.asarray(rgb_to_lightness(cube))[:, 0], np.asarray(rgb_to_lab(cube))[:, 0], atol=1e-4)


@pytest.mark.parametrize("convert", [rgb_to_lab, lambda rgb: lab_to_rgb(rgb_to_lab(rgb)), rgb_to_lightness])
def test_gradients_are_finite_everywhere(convert, cube):
    corners = tf.constant(np.concatenate([cube[::37], np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0]], np.float32)]))
    with tf.GradientTape() as tape:
        tape.watch(corners)
        loss = ops.sum(convert(corners))
    assert np.isfinite(tape.gradient(loss, corners).numpy()).all()


def test_gradient_of_lab_equals_finite_differences():
    rgb = np.array([[0.2, 0.6, 0.9], [0.02, 0.5, 0.03]], np.float64)
    with tf.GradientTape() as tape:
        x = tf.constant(rgb, tf.float32)
        tape.watch(x)
        loss = ops.sum(rgb_to_lab(x) * np.array([1.0, 2.0, 3.0], np.float32))
    step = 1e-5

    def value(v):
        return np.sum(reference.rgb2lab(v) * [1, 2, 3])

    numeric = np.zeros_like(rgb)
    for index in np.ndindex(rgb.shape):
        delta = np.zeros_like(rgb)
        delta[index] = step
        numeric[index] = (value(rgb + delta) - value(rgb - delta)) / (2 * step)
    np.testing.assert_allclose(tape.gradient(loss, x).numpy(), numeric, rtol=2e-3)


def test_runs_inside_tf_data(cube):
    dataset = tf.data.Dataset.from_tensor_slices(cube[:64]).map(rgb_to_lab).batch(64)
    np.testing.assert_allclose(next(iter(dataset)).numpy(), np.asarray(rgb_to_lab(cube[:64])), atol=1e-4)


def test_converts_to_builtin_tflite_operators(cube):
    inputs = keras.Input((3,), batch_size=64)
    model = keras.Model(inputs, lab_to_rgb(rgb_to_lab(inputs)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((64, 3), tf.float32))], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    content = converter.convert()
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], cube[:64])
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.abs(result - cube[:64]).max() < 1 / 255
