"""Amplifying what a layer sees: the step, the octaves, the drawings."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from tfssl.errors import ConfigError, SourceError
from tfssl.synthesis.amplify import Amplifier, amplify, octave_sizes
from tfssl.synthesis.dream import NOISE, dream, start_image

from ..visualization.conftest import small_encoder, weights_hash


def linear(kernel):
    """An encoder whose conv1 is a 1x1 convolution without bias."""
    rgb = layers.Input((None, None, 3))
    network = keras.Model(rgb, {"conv1": layers.Conv2D(kernel.shape[-1], 1, use_bias=False)(rgb)})
    network.set_weights([kernel[None, None].astype(np.float32)])
    return network


def test_octave_sizes():
    assert octave_sizes(300, 400) == [(300, 400), (214, 286), (153, 204), (109, 146)]


def test_step_of_the_card():
    # 1/2 ||w x||^2 with w the identity has the gradient x: [[1, -3], [0, 4]] in one channel gives mean |g| = 2.
    image = np.zeros((2, 2, 3), np.float32)
    image[..., 0] = [[1, -3], [0, 4]]
    amplifier = Amplifier(linear(np.eye(3)), "conv1")
    assert amplifier.objective(image) == pytest.approx(13.0)
    change = amplifier.step(image, 0.5) - image  # two more channels without gradient: their mean is a third of 2
    np.testing.assert_allclose(change[..., 0], [[0.75, -2.25], [0, 3]], atol=1e-6)


def test_step_has_the_mean_that_was_asked_for_and_shifts_are_undone():
    amplifier = Amplifier(small_encoder(), "conv2")
    image = np.random.default_rng(0).random((33, 40, 3), np.float32)
    moved = amplifier.step(image, 0.01, (5, -9))
    assert np.abs(moved - image).mean() == pytest.approx(0.01, rel=1e-4)
    # Of a network that works on each pixel by itself a shift changes nothing.
    pointwise = Amplifier(linear(np.random.default_rng(1).normal(size=(3, 4))), "conv1")
    np.testing.assert_allclose(pointwise.step(image, 0.01, (5, -9)), pointwise.step(image, 0.01), atol=1e-6)


def test_linear_layer_is_analytic_gradient_ascent():
    kernel = np.random.default_rng(2).normal(size=(3, 4))
    image = np.random.default_rng(3).uniform(0.4, 0.6, (20, 24, 3)).astype(np.float32)
    expected = image.astype(np.float64)
    for _ in range(3):
        gradient = expected @ kernel @ kernel.T
        expected = np.clip(expected + 0.01 * gradient / np.abs(gradient).mean(), 0, 1)
    found, gains = amplify(Amplifier(linear(kernel), "conv1"), image, octaves=1, iterations=3, step=0.01, jitter=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert gains[0][0] == pytest.approx(0.5 * ((image @ kernel) ** 2).sum(), rel=1e-4)


def test_objective_rises_in_every_octave():
    image = np.random.default_rng(4).random((64, 80, 3), np.float32)
    amplifier = Amplifier(small_encoder(), "conv2")
    found, gains = amplify(amplifier, image, octaves=3, iterations=4)
    assert found.shape == image.shape and found.min() >= 0 and found.max() <= 1
    assert len(gains) == 3 and all(after > before for before, after in gains)
    again, _ = amplify(amplifier, image, octaves=3, iterations=4)
    np.testing.assert_array_equal(found, again)
    other, _ = amplify(amplifier, image, octaves=3, iterations=4, seed=1)
    assert np.abs(found - other).max() > 0


def test_dead_layer_leaves_the_image():
    image = np.random.default_rng(5).random((20, 20, 3), np.float32)
    found, gains = amplify(Amplifier(linear(np.zeros((3, 2))), "conv1"), image, octaves=1, iterations=2)
    np.testing.assert_array_equal(found, image)
    assert gains == [(0.0, 0.0)]


def test_start_image(tmp_path):
    noise = start_image(image_size=32)
    assert noise.shape == (32, 32, 3) and NOISE[0] <= noise.min() and noise.max() <= NOISE[1]
    Image.new("RGB", (60, 90)).save(tmp_path / "photo.png")
    assert start_image(tmp_path / "photo.png", image_size=45).shape == (45, 30, 3)
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(SourceError, match="`photo` cannot be read"):
        start_image(tmp_path / "broken.png")


def test_dream_of_two_networks(tmp_path, networks):
    before = [weights_hash(network) for network in networks.values()]
    steps = []
    options = {"image_size": 48, "octaves": 2, "iterations": 2, "progress": lambda *done: steps.append(done)}
    numbers = dream(networks, out=tmp_path, **options)
    assert before == [weights_hash(network) for network in networks.values()]
    assert steps[-1] == (16, 16)  # 2 networks, 2 taps, 2 octaves, 2 steps
    assert set(numbers["untrained"]) == {"conv1_gain", "conv1_change", "conv2_gain", "conv2_change"}
    assert all(numbers[name][f"{tap}_gain"] > 1 for name in networks for tap in ("conv1", "conv2"))
    assert Image.open(tmp_path / "dream-run-conv2.png").size == (48, 48)
    protocol = json.loads((tmp_path / "numbers.json").read_text())["protocol"]
    assert protocol["octaves"] == 2 and protocol["seed"] == 0 and "noise" in protocol["start"]
    with pytest.raises(ConfigError, match="conv9"):
        dream(networks, out=tmp_path, tap=["conv9"], image_size=48)
    with pytest.raises(ConfigError, match="`octaves`"):
        dream(networks, out=tmp_path, image_size=32)
