"""Constants of batch normalization in the papers' networks: those of the framework that their weights come from."""

import keras
import numpy as np
import pytest

from tfssl.errors import ConfigError
from tfssl.layers.convolution import DilatedStack, RepairBlock
from tfssl.layers.normalization import set_batch_norm
from tfssl.methods import Colorization, ContextEncoder, ContextPrediction, SplitBrain, SpotArtifacts

TINY_PAIRS = {"embedding": 8, "head": (8, 8), "patches_per_image": 4}
CAFFE, TORCH, KERAS = (1e-5, 0.999), (1e-5, 0.9), (1e-3, 0.99)

NETWORKS = {
    "colorization-paper": (Colorization, {}, {CAFFE}),
    "colorization-small": (Colorization, {"backbone": "small"}, {KERAS}),
    "split_brain-alexnet": (SplitBrain, {"fc": 8}, {CAFFE}),
    "split_brain-small": (SplitBrain, {"backbone": "small", "fc": 8}, {KERAS}),
    "context_prediction-alexnet": (ContextPrediction, TINY_PAIRS, {CAFFE}),
    "context_prediction-vgg": (ContextPrediction, {"backbone": "vgg", **TINY_PAIRS}, {CAFFE}),
    "context_prediction-small": (ContextPrediction, {"backbone": "small", **TINY_PAIRS}, {KERAS}),
    "context_encoder-inpainting": (ContextEncoder, {"bottleneck": 8}, {TORCH}),
    "context_encoder-small": (ContextEncoder, {"network": "small"}, {KERAS, TORCH}),  # its discriminator is DCGAN's
    "spot_artifacts-alexnet": (SpotArtifacts, {"fc6": 8}, {(1e-3, 0.975)}),
}


def constants(model):
    found = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert found
    return {(layer.epsilon, layer.momentum) for layer in found}


@pytest.mark.parametrize("name", NETWORKS)
def test_constants_of_the_framework_or_of_the_fields(name):
    method, fields, expected = NETWORKS[name]
    model = method(**fields).model(keras.optimizers.SGD(0.1))
    assert constants(model) == expected
    other = method(**fields, batch_norm_epsilon=0.01, batch_norm_momentum=0.5).model(keras.optimizers.SGD(0.1))
    assert constants(other) == {(0.01, 0.5)}
    copy = type(other).from_config(other.get_config())  # as a file holds it
    assert constants(copy) == {(0.01, 0.5)}


def test_both_phases_of_spotting_have_them():
    method = SpotArtifacts(fc6=8, batch_norm_epsilon=0.01, batch_norm_momentum=0.5)
    assert constants(method.autoencoder(keras.optimizers.SGD(0.1))) == {(0.01, 0.5)}


def test_released_statistics_give_the_released_outputs():
    """(x - mean) / sqrt(variance + 1e-5): with Keras' 1e-3 channels of little variance would come out at a third."""
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype("float32")
    stack = DilatedStack(2, depth=1, dilation=1)
    model = set_batch_norm(keras.Sequential([keras.Input((4, 4, 2)), stack]), epsilon=1e-5)
    stack.normalization.moving_mean.assign([0.5, -0.5])
    stack.normalization.moving_variance.assign([1e-4, 1.0])
    convolved = stack.convolutions[0](x).numpy()
    expected = (convolved - [0.5, -0.5]) / np.sqrt(np.array([1e-4, 1.0]) + 1e-5)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)


def test_layers_that_hold_one_keep_its_constants():
    for layer in (DilatedStack(2, epsilon=1e-5, momentum=0.999), RepairBlock(epsilon=1e-5, momentum=0.999)):
        copy = type(layer).from_config(layer.get_config())
        copy.build([(1, 4, 4, 2), (1, 4, 4, 1)] if isinstance(layer, RepairBlock) else (1, 4, 4, 2))
        assert constants(copy) == {CAFFE}


@pytest.mark.parametrize("fields", [{"network": "features", "reconstruction_weight": 1.0, "crop_size": 67}])
def test_a_network_without_any_says_so(fields):
    with pytest.raises(ConfigError, match=r"`batch_norm_epsilon`.*leave it out"):
        ContextEncoder(batch_norm_epsilon=1e-5, **fields)


def test_a_network_of_ones_own_keeps_its_own():
    x = keras.Input((None, None, 3))
    own = keras.Model(x, keras.layers.Conv2D(4, 3, strides=8)(x))
    with pytest.raises(ConfigError, match=r"`batch_norm_momentum`.*brings its own"):
        SplitBrain(backbone=own, batch_norm_momentum=0.9)
