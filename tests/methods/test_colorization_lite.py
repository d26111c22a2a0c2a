"""Colorization on EfficientNet-Lite0: network, supervised start, aged inputs."""

import numpy as np
import pytest
from PIL import Image

from tfssl.color.prior import load_prior
from tfssl.errors import ConfigError
from tfssl.methods import Colorization
from tfssl.methods.colorization.network import build_network
from tfssl.ops.bytes_lab import lightness

FIELDS = {"backbone": "efficientnet_lite0", "resize": None, "crop_size": 32}


@pytest.fixture(scope="module")
def network():
    return build_network("efficientnet_lite0")


def photograph(size=48):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8))


def test_size_and_outputs(network):
    assert network.count_params() == 4_456_953
    assert network.compute_output_shape((1, 64, 96, 1)) == (1, 16, 24, 313)
    assert Colorization(**FIELDS).output_stride == 4


def test_exposure_of_the_scan_does_not_matter(network):
    """Faded and dark scans give the scores of the good one: the network sees them alike."""
    light = np.random.default_rng(0).uniform(0, 100, (1, 8, 8, 1)).repeat(8, 1).repeat(8, 2).astype(np.float32)
    expected = np.asarray(network(light))
    for gain, offset in ((0.5, 40), (0.4, 2)):
        np.testing.assert_allclose(network(light * gain + offset), expected, atol=0.05 * np.abs(expected).max())


def test_crops_must_fit_the_coarsest_map():
    with pytest.raises(ConfigError, match="multiple of 32"):
        Colorization(**FIELDS | {"crop_size": 48})


def test_the_imagenet_start_is_of_this_backbone_only(monkeypatch, network):
    loaded = []
    monkeypatch.setattr("tfssl.backbones.efficientnet.load_imagenet", loaded.append)
    assert Colorization(**FIELDS).start(network, "imagenet")
    assert loaded == [network]
    assert not Colorization(**FIELDS).start(network, "runs/mine")
    with pytest.raises(ConfigError, match="`weights: imagenet` needs backbone: efficientnet_lite0"):
        Colorization(backbone="small", crop_size=32).start(network, "imagenet")


def test_aging_changes_the_input_only():
    method = Colorization(**FIELDS | {"aging": 1.0})
    example = {"image": photograph()}
    changed = 0
    for seed in range(12):
        pixels, light = method.sample(example, np.random.default_rng(seed), True)
        assert light.shape == (32, 32, 1)
        changed += np.abs(light[..., 0] - lightness(pixels)).max() > 1
        plain = Colorization(**FIELDS).sample(example, np.random.default_rng(seed), True)
        if (plain[0] == pixels).all():  # else it got a border
            inputs, targets = method.prepare(pixels[None], light[None])
            np.testing.assert_array_equal(targets, Colorization(**FIELDS).prepare(*(x[None] for x in plain))[1])
            np.testing.assert_array_equal(inputs[0], light)
    assert changed >= 8


def test_nothing_ages_outside_training():
    method = Colorization(**FIELDS | {"aging": 1.0})
    pixels, light = method.sample({"image": photograph()}, np.random.default_rng(0), False)
    np.testing.assert_array_equal(light[..., 0], lightness(pixels))


def test_varied_photographs_are_grayer_than_landscapes():
    varied, photographs = (load_prior(name) for name in ("varied", "photographs"))
    assert varied.sum() == pytest.approx(1)
    assert varied.max() > photographs.max()
