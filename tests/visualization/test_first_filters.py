"""First filters: found through what prepares images, drawn as they are, measured."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from tfssl.errors import ModelError
from tfssl.layers.color import Lightness
from tfssl.visualization.filters import filter_statistics, filter_tiles, filters, first_convolutions

from .conftest import small_encoder, weights_hash


@keras.saving.register_keras_serializable(package="tests")
class _ToLab(layers.Layer):
    def call(self, inputs):
        return inputs * 1.0


@pytest.mark.parametrize(
    ("convert", "channels", "named"),
    [
        (None, 3, "RGB"),
        (lambda rgb: Lightness()(rgb), 1, "L"),
        (lambda rgb: rgb[..., :1], 1, "gray"),
        (lambda rgb: rgb[..., 1:], 2, "ab"),
        (lambda rgb: _ToLab()(rgb), 3, "Lab"),
    ],
)
def test_found_with_channels(tmp_path, convert, channels, named):
    network = small_encoder(convert=convert, channels=channels)
    (found,) = first_convolutions(network)
    assert (found.name, found.channels, found.kernel.shape) == ("conv1", named, (5, 5, channels, 8))
    np.testing.assert_array_equal(found.kernel, network.get_layer("tower").get_layer("conv1").get_weights()[0])
    filters({"run": network}, out=tmp_path)
    names = ["filters-run-L.png", "filters-run-ab.png"] if named == "Lab" else ["filters-run-ab.png"]
    assert [p.name for p in sorted(tmp_path.glob("*.png"))] == (
        names if channels == 2 or named == "Lab" else ["filters-run.png"]
    )


def test_branches_with_layers_of_one_name():
    rgb = layers.Input((None, None, 3))
    maps = []
    for part in (rgb[..., :1], rgb[..., 1:]):
        inner = layers.Input((None, None, part.shape[-1]))
        tower = keras.Model(inner, layers.Conv2D(2, 3, name="conv")(layers.Conv2D(4, 3, name="first")(inner)))
        maps.append(tower(part))
    found = first_convolutions(keras.Model(rgb, {"conv1": layers.Concatenate()(maps)}))
    assert sorted(f.name for f in found) == ["first_1", "first_2"] and {f.channels for f in found} == {"gray", "ab"}


def test_network_without_convolution():
    rgb = layers.Input((None, None, 3))
    with pytest.raises(ModelError, match="no convolution"):
        first_convolutions(keras.Model(rgb, {"pixels": layers.Identity()(rgb)}))


def test_size_and_content_of_the_sheet(tmp_path, networks):
    before = {name: weights_hash(network) for name, network in networks.items()}
    numbers = filters(networks, out=tmp_path)
    assert before == {name: weights_hash(network) for name, network in networks.items()}
    sheet = np.asarray(Image.open(tmp_path / "filters-run.png"))
    zoom, gap = 48 // 5, 5  # 8 filters of 5x5 in 2 rows of 4
    assert sheet.shape == (2 * (5 * zoom + gap) + gap, 4 * (5 * zoom + gap) + gap, 3)
    kernel = first_convolutions(networks["run"])[0].kernel[..., 5].astype(np.float64)  # row 1, column 1
    top = left = gap + 5 * zoom + gap
    shown = sheet[top : top + 5 * zoom : zoom, left : left + 5 * zoom : zoom]
    np.testing.assert_array_equal(shown, np.rint(255 * (kernel - kernel.min()) / np.ptp(kernel)))
    assert (numbers["run"]["filters"], numbers["run"]["kernel_size"]) == (8, 5)
    record = json.loads((tmp_path / "numbers.json").read_text())
    assert record["numbers"] == numbers and record["protocol"]["run: conv1 reads"] == "RGB"
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2 and "untrained" in page


def test_gabor_keeps_its_orientation_and_constants_are_gray():
    y, x = np.mgrid[-5:6, -5:6]
    gabor = np.exp(-(x**2 + y**2) / 18) * np.cos(2 * np.pi * x / 6)
    kernel = np.stack([gabor, gabor.T, np.full((11, 11), 0.3), np.zeros((11, 11))], axis=-1)[:, :, None]
    tiles = filter_tiles(kernel, "L")[""]
    assert np.abs(np.diff(tiles[0], axis=1)).sum() > 3 * np.abs(np.diff(tiles[0], axis=0)).sum()
    np.testing.assert_allclose(tiles[1], tiles[0].T)
    assert (tiles[2:] == 0.5).all()


def test_ab_tiles_have_the_color_of_the_filter():
    kernel = np.zeros((3, 3, 2, 3))
    kernel[..., 0, 0], kernel[..., 1, 1] = 0.1, -7.0  # red, blue, nothing
    red, blue, gray = filter_tiles(kernel, "ab")["ab"][:, 1, 1]
    assert red[0] > red[1] + 0.2 and blue[2] > blue[0] + 0.2
    np.testing.assert_allclose(gray, gray[0], atol=2e-3)
    assert set(filter_tiles(np.zeros((3, 3, 3, 2)), "Lab")) == {"L", "ab"}
    assert np.isfinite(filter_tiles(np.zeros((3, 3, 3, 2)), "Lab")["ab"]).all()


def test_statistics():
    noise = np.random.default_rng(0).normal(size=(11, 11, 3, 200))
    found = filter_statistics(noise)
    # Borders are repeated there, so a little below sqrt(8 / 9) sqrt(2 / pi) of the inner pixels.
    assert found["roughness"] == pytest.approx(np.sqrt(8 / 9) * np.sqrt(2 / np.pi), abs=0.04)
    assert found["high_frequency"] == pytest.approx(1 - np.pi / 16, abs=0.02)  # white: the area outside a circle
    assert found["colorfulness"] == pytest.approx(1.0, abs=0.02)
    gray = np.repeat(noise[:, :, :1], 3, axis=2)
    assert filter_statistics(gray)["colorfulness"] == pytest.approx(0.0, abs=1e-9)
    y, x = np.mgrid[-5:6, -5:6]
    smooth = np.exp(-(x**2 + y**2) / 18)[..., None, None] * np.ones((1, 1, 3, 4))
    assert filter_statistics(smooth)["high_frequency"] < 0.02 and filter_statistics(smooth)["roughness"] < 0.2
    dead = np.concatenate([noise, np.zeros((11, 11, 3, 2)), np.full((11, 11, 3, 1), 5.0)], axis=-1)
    with_dead = filter_statistics(dead)
    assert with_dead["dead_filters"] == 3 and with_dead["roughness"] == found["roughness"]
    assert np.isnan(filter_statistics(np.zeros((3, 3, 1, 4)), "L")["roughness"])
