"""Top images of units, their masks, and receptive fields measured by occlusion."""

import keras
import numpy as np
import pytest
from keras import layers

from tfssl.errors import ConfigError
from tfssl.visualization.maps import map_function
from tfssl.visualization.receptive_field import FieldProbe, positions
from tfssl.visualization.units import class_agreement, top_images, unit_masks, units

from .conftest import small_encoder, weights_hash

SIDE, TEMPLATE = 32, 5


@pytest.fixture(scope="module")
def planted():
    """A unit that knows one 5x5 template, in the middle of a 9x9 kernel; a second one that is dead."""
    template = np.random.default_rng(0).integers(0, 2, (TEMPLATE, TEMPLATE, 3))
    kernel = np.zeros((9, 9, 3, 2), np.float32)
    kernel[2:7, 2:7, :, 0] = 2 * template - 1
    rgb = layers.Input((None, None, 3))
    maps = layers.Conv2D(2, 9, padding="same", activation="relu")(rgb)
    network = keras.Model(rgb, {"conv1": maps})
    network.set_weights([kernel, np.zeros(2, np.float32)])
    rng = np.random.default_rng(1)
    images = rng.integers(100, 156, (6, SIDE, SIDE, 3), np.uint8)
    centers = rng.integers(9, SIDE - 9, (6, 2))
    for image, (row, column) in zip(images, centers, strict=True):
        image[row - 2 : row + 3, column - 2 : column + 3] = 255 * template
    return network, images, centers


def test_top_images_equal_brute_force():
    network = small_encoder()
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), np.uint8)  # more than one batch
    images[9] = images[3]  # a tie
    found = top_images(map_function(network, "conv2"), images, 4)
    maps = np.asarray(network(images / np.float32(255), training=False)["conv2"])
    maxima = maps.max(axis=(1, 2))
    for unit in range(maps.shape[-1]):
        expected = sorted(range(70), key=lambda n: (-maxima[n, unit], n))[:4]
        np.testing.assert_allclose(found.activation[unit], maxima[expected, unit], rtol=1e-4)
        assert (
            3 not in found.index[unit]
            or 9 not in found.index[unit]
            or list(found.index[unit]).index(3) < list(found.index[unit]).index(9)
        )
        for number, (row, column), value in zip(
            found.index[unit], found.cell[unit], found.activation[unit], strict=True
        ):
            assert maps[number, row, column, unit] == pytest.approx(value, rel=1e-4)
    with pytest.raises(ConfigError, match="`top`"):
        top_images(map_function(network, "conv2"), images, 71)


def test_masks():
    maps = np.zeros((2, 4, 4))
    maps[0, 1, 2], maps[1, 0, 0], maps[1, 3, 3] = 10.0, 3.0, 1.0
    masks = unit_masks(maps, size=8)
    assert masks[0, 2:4, 4:6].all() and not masks[0, 6:].any()
    assert masks[1, 0, 0] and not masks[1, 7, 7]  # 0.3 and 0.1 of the largest
    assert not unit_masks(np.zeros((2, 4, 4))).any()


def test_agreement():
    fraction, label = class_agreement(np.array([[0, 1, 2], [2, 3, 4]]), np.array([5, 5, 1, 0, 2]))
    np.testing.assert_allclose(fraction, [2 / 3, 1 / 3])
    assert label.tolist() == [5, 0]


def test_number_of_occluders():
    assert len(positions(227, 11, 3)) == 5329 and len(positions(64, 5, 2)) == 900


@pytest.mark.parametrize("occluder", [3, 5])
def test_planted_field_is_recovered(planted, occluder):
    network, images, centers = planted
    best = top_images(map_function(network, "conv1"), images, 6)
    assert best.live.tolist() == [True, False]
    np.testing.assert_array_equal(best.cell[0], centers[best.index[0]])
    probe = FieldProbe(network, "conv1", SIDE, occluder=occluder, stride=1)
    field = probe.measure(0, images[best.index[0]], best.cell[0])
    assert abs(field.size - TEMPLATE) <= occluder
    assert field.change.shape == (2 * SIDE + 1, 2 * SIDE + 1)
    reached = np.argwhere(field.change > 0) - SIDE  # zero where no occluder touches the template
    assert np.abs(reached).max() <= (TEMPLATE + occluder) // 2
    weights = field.change / field.change.sum()
    center = [(weights.sum(axis=1 - axis) * np.arange(-SIDE, SIDE + 1)).sum() for axis in (0, 1)]
    np.testing.assert_allclose(center, 0, atol=1.0)
    dead = probe.measure(1, images, best.cell[1])
    assert dead.size == 0 and np.isfinite(dead.change).all()


def test_occluders_outside_the_theoretical_field_change_nothing(planted):
    network, images, centers = planted
    probe = FieldProbe(network, "conv1", SIDE, occluder=5, stride=1)
    near = {tuple(c) for c in positions(SIDE, 5, 1, centers[0], probe._theory).tolist()}
    far = np.array([c for c in positions(SIDE, 5, 1).tolist() if tuple(c) not in near])
    assert len(near) == 13**2 and len(far) == 28**2 - 13**2
    assert (probe._changes(images[0], far, np.array([*centers[0], 0], np.int32)) == 0).all()


@pytest.mark.parametrize(("occluder", "stride"), [(0, 1), (40, 1), (5, 0), (3, 4)])
def test_refused_occluders(planted, occluder, stride):
    with pytest.raises(ConfigError, match="`occluder`"):
        FieldProbe(planted[0], "conv1", SIDE, occluder=occluder, stride=stride)


def test_networks_side_by_side(tmp_path, networks, classes):
    before = [weights_hash(n) for n in networks.values()]
    numbers = units(networks, str(classes), out=tmp_path, image_size=32, top=5, shown=3, fields=1, tap="conv1")
    assert before == [weights_hash(n) for n in networks.values()]
    assert numbers["run"]["units"] == 8 and numbers["run"]["field_theory"] == 5
    assert numbers["run"]["selective_60"] >= numbers["run"]["selective_75"] > numbers["run"]["shuffled_75"]
    assert 0 < numbers["run"]["field_measured"] <= 5 + 5
    assert {p.name for p in tmp_path.iterdir()} == {
        "units-run.png",
        "units-untrained.png",
        "names-run.csv",
        "names-untrained.csv",
        "index.html",
        "numbers.json",
    }


def test_all_units_dead(tmp_path, classes):
    network = small_encoder()
    network.set_weights([np.zeros_like(w) for w in network.get_weights()])
    numbers = units({"dead": network}, str(classes), out=tmp_path, image_size=32, top=3)
    assert numbers["dead"]["dead_units"] == 6 and numbers["dead"]["field_measured"] is None
    assert numbers["dead"]["selective_60"] == 0
