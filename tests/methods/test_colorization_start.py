"""Where colorization starts from: regression at gray or from a classification, features in color from those of gray."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.errors import ConfigError
from tfssl.methods import Colorization
from tfssl.ops.ab_bins import CENTERS, NUM_BINS


def test_regression_starts_from_a_classification_but_for_its_last_layer(tmp_path, caplog):
    from tfssl.errors import ModelError
    from tfssl.training.runs import load_weights

    ours = Colorization(backbone="small", resize=40, crop_size=32, objective="regression")
    classes, colors = ours.model_copy(update={"objective": "classification"}).model(), ours.model()
    classes.save(tmp_path / "classes.keras")
    before = {v.path: v.numpy() for v in colors.weights}
    with pytest.raises(ModelError, match="scores/kernel"):
        load_weights(colors, tmp_path / "classes.keras")
    load_weights(colors, tmp_path / "classes.keras", ours.output_layers)
    wanted = {v.path: v.numpy() for v in classes.weights}
    for variable in colors.weights:
        kept = variable.path.startswith("scores/")
        np.testing.assert_array_equal(
            np.asarray(variable), (before if kept else wanted)[variable.path], err_msg=variable.path
        )
    assert "scores/kernel, scores/bias start anew" in caplog.text


def test_regression_starts_at_the_loss_of_gray():
    """Whatever the trunk knows: random weights of the last layer, times 110, would begin far above any constant."""
    method = Colorization(backbone="small", resize=40, crop_size=32, objective="regression")
    rng = np.random.default_rng(0)
    light = rng.uniform(0, 100, (4, 32, 32, 1)).astype(np.float32)
    ab = CENTERS[rng.choice(NUM_BINS, (4, 8, 8), p=method.smoothed_prior())].astype(np.float32)
    gray = float(method.loss()(ab, np.zeros_like(ab)))
    model = method.model(keras.optimizers.Adam(1e-3))
    assert float(method.loss()(ab, model(light, training=True))) == pytest.approx(gray, rel=1e-3)
    assert method.baseline == pytest.approx(gray, rel=0.25)


def test_features_in_color_start_as_those_of_lightness():
    method = Colorization(backbone="small", resize=40, crop_size=32, batch_norm_epsilon=0.01)
    model = method.model()
    in_color = method.model_copy(update={"encoder_input": "lab"}).encoder(model)
    image = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    expected, found = method.encoder(model)(image), in_color(image)
    assert found.keys() == expected.keys()
    for tap in expected:
        np.testing.assert_allclose(found[tap], expected[tap], atol=1e-4 * np.abs(expected[tap]).max())
    # The weights of a and b are 0, but learn; the network that colorizes keeps its own.
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(in_color(image)["conv5"])
    kernel = next(v for v in in_color.trainable_variables if v.shape[:3] == (3, 3, 3))
    assert not np.asarray(kernel)[:, :, 1:].any()
    assert np.abs(tape.gradient(loss, kernel.value)[:, :, 1:]).min(axis=(0, 1, 3)).all()
    assert all(kernel is not v for v in model.weights)


def test_only_networks_of_one_convolution_on_lightness_see_colors():
    with pytest.raises(ConfigError, match="`encoder_input: lab` needs a backbone among paper, alexnet, small"):
        Colorization(backbone="efficientnet_lite0", crop_size=32, resize=40, encoder_input="lab")
