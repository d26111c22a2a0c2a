"""The context-free network: counts and shapes of the method card, shared weights, slots, and transfer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.standardize import Standardize
from tfssl.methods import Jigsaw
from tfssl.methods.jigsaw.data import standardize
from tfssl.methods.jigsaw.loss import puzzle_loss
from tfssl.methods.jigsaw.network import TAPS, build_network, build_tower, to_caffenet

CONVOLUTIONS = {"conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624}


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return build_network("small", tile=16, permutations=12, fc6=24, fc7=32, dropout=0.0)


@pytest.fixture(scope="module")
def alexnet():
    keras.utils.set_random_seed(0)
    return build_network("alexnet", tile=32, permutations=5, fc6=6, fc7=7, dropout=0.5)


def puzzles(tile, count=2, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 9, tile, tile, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "tile, fc6, classes, parameters",
    [
        (75, 512, 1000, 27_407_208),  # recognition form
        (64, 1024, 1000, 46_544_232),  # released puzzle network
        (64, 1024, 100, 42_856_932),
        (64, 512, 1000, 26_489_704),
    ],
)
def test_parameters(tile, fc6, classes, parameters):
    model = build_network("alexnet", tile=tile, permutations=classes, fc6=fc6, fc7=4096, dropout=0.5)
    assert model.count_params() == parameters
    assert model.output_shape == (None, classes) and model.input_shape == (None, 9, tile, tile, 3)


def test_defaults_are_the_papers_network():
    assert Jigsaw().model().count_params() == 26_489_704


@pytest.mark.parametrize(
    "tile, sizes",
    [(64, (27, 13, 6, 6, 6, 3)), (75, (33, 16, 8, 8, 8, 4))],
)
def test_maps_of_a_tile(tile, sizes):
    tower = build_tower("alexnet")
    shapes = tower.compute_output_shape((1, tile, tile, 3))
    assert tuple(shapes[name][1] for name in (*TAPS, "pool5")) == sizes
    assert shapes["pool5"][1] ** 2 * shapes["pool5"][3] == {64: 2304, 75: 4096}[tile]
    assert {name: tower.get_layer(f"{name}_conv").count_params() for name in TAPS} == CONVOLUTIONS


def test_towers_share_their_weights(alexnet):
    assert len(alexnet.get_layer("tower").weights) == 10
    assert len(alexnet.weights) == 16, "five convolutions, fc6, fc7, fc8: kernel and bias of each, once"


def test_initial_weights(alexnet):
    tower = alexnet.get_layer("tower")
    for name in TAPS:
        kernel, bias = tower.get_layer(f"{name}_conv").get_weights()
        assert kernel.std() == pytest.approx(0.01, rel=0.03) and abs(kernel.mean()) < 1e-3
        assert (bias == (1.0 if name in ("conv2", "conv4", "conv5") else 0.0)).all(), name
    network = build_network("alexnet", tile=32, permutations=500, fc6=64, fc7=512, dropout=0.5)
    for name, deviation, start in (("fc6_dense", 0.005, 1.0), ("fc7_dense", 0.005, 1.0), ("fc8", 0.01, 0.0)):
        kernel, bias = network.get_layer(name).get_weights()
        assert kernel.std() == pytest.approx(deviation, rel=0.03), name
        assert (bias == start).all(), name


def test_each_tile_is_seen_alone(small):
    """A slot's vector depends on its own tile only: swapping two tiles swaps their vectors and changes the logits."""
    fc6 = keras.Model(small.input, small.get_layer("fc6").output)
    x = puzzles(16)
    swapped = x[:, [0, 5, 2, 3, 4, 1, 6, 7, 8]]
    before, after = (np.asarray(fc6(tiles)).reshape(2, 9, -1) for tiles in (x, swapped))
    np.testing.assert_allclose(after, before[:, [0, 5, 2, 3, 4, 1, 6, 7, 8]], atol=1e-5)
    assert np.abs(np.asarray(small(x)) - np.asarray(small(swapped))).max() > 1e-3
    other = x.copy()
    other[:, 4] = 0.0
    changed = np.abs(np.asarray(fc6(other)).reshape(2, 9, -1) - before).max(axis=(0, 2))
    assert changed[4] > 1e-3 and np.delete(changed, 4).max() < 1e-6


def test_puzzles_of_a_batch_stay_apart(small):
    x = puzzles(16, count=3)
    np.testing.assert_allclose(small(x)[1:2], small(x[1:2]), atol=1e-5)


@pytest.mark.parametrize("permutations, loss", [(1000, 6.9078), (100, 4.6052)])
def test_loss_of_guessing(permutations, loss):
    labels = np.arange(7)
    assert float(puzzle_loss()(labels, np.zeros((7, permutations), np.float32))) == pytest.approx(loss, abs=1e-4)
    assert Jigsaw(permutations=permutations).baseline == pytest.approx(loss, abs=1e-4)
    assert Jigsaw(permutations=permutations).baseline == pytest.approx(loss, abs=1e-4)


def test_saves_in_safe_mode(small, tmp_path):
    small.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(puzzles(16)), small(puzzles(16)), atol=1e-6)


class TestTransfer:
    def test_weights_are_those_of_the_tower(self, alexnet):
        tower, network = alexnet.get_layer("tower"), to_caffenet(alexnet)
        assert network.get_layer("conv1_conv").strides == (4, 4)
        assert tower.get_layer("conv1_conv").strides == (2, 2)
        for name in TAPS:
            ours = tower.get_layer(f"{name}_conv").get_weights()
            for theirs, value in zip(network.get_layer(f"{name}_conv").get_weights(), ours, strict=True):
                np.testing.assert_array_equal(theirs, value)

    def test_conv1_at_stride_four_is_every_second_position(self, alexnet):
        x = puzzles(99, count=1)[:, 0]
        dense, sparse = alexnet.get_layer("tower")(x)["conv1"], to_caffenet(alexnet)(x)["conv1"]
        np.testing.assert_allclose(sparse, dense[:, ::2, ::2], atol=1e-5)

    def test_stride_two_is_the_tower_itself(self, alexnet):
        x = puzzles(64, count=1)[:, 0]
        copy, tower = to_caffenet(alexnet, conv1_stride=2)(x), alexnet.get_layer("tower")(x)
        for name in TAPS:
            np.testing.assert_allclose(copy[name], tower[name], atol=1e-5)

    def test_classifier_with_new_layers(self, alexnet):
        network = to_caffenet(alexnet, input_shape=(67, 67, 3), classes=4, fc=(8, 8))
        assert network(np.zeros((2, 67, 67, 3), np.float32)).shape == (2, 4)

    def test_whole_caffenet(self, alexnet):
        assert to_caffenet(alexnet, input_shape=(227, 227, 3), classes=1000).count_params() == 60_965_224

    def test_encoder_of_alexnet(self, alexnet):
        method = Jigsaw(permutations=5, fc6=6, fc7=7, tile=32)
        image = np.random.default_rng(1).uniform(0, 1, (1, 99, 131, 3)).astype(np.float32)
        taps = method.encoder(alexnet)(image)
        expected = to_caffenet(alexnet)(Standardize((1, 2))(image))
        assert set(taps) == set(TAPS)
        for name in TAPS:
            np.testing.assert_allclose(taps[name], expected[name], atol=1e-5)

    @pytest.mark.parametrize("normalization", ["channel", "tile", "none"])
    def test_encoder_sees_a_image_as_the_network_sees_a_tile(self, small, normalization):
        method = Jigsaw(backbone="small", tile=16, normalization=normalization, permutations=12)
        levels = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3)).astype(np.float32)
        tile = standardize(tf.constant(levels[:, None]), normalization)[:, 0]
        taps = method.encoder(small)(levels / 255.0)
        expected = small.get_layer("tower")(tile)
        for name in TAPS:
            np.testing.assert_allclose(taps[name], expected[name], atol=2e-4)

    def test_small_encoder_follows_its_model(self, small):
        encoder = Jigsaw(backbone="small", tile=16).encoder(small)
        shared = {v.path for v in small.get_layer("tower").variables}
        assert {v.path for v in encoder.variables} == shared


class TestStandardize:
    def test_mean_and_deviation(self):
        x = np.random.default_rng(0).uniform(0, 1, (2, 20, 30, 3)).astype(np.float32) * [1.0, 0.1, 0.01]
        y = np.asarray(Standardize((1, 2))(x.astype(np.float32)))
        np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(y.std(axis=(1, 2)), 1, atol=1e-4)
        whole = np.asarray(Standardize((1, 2, 3))(x.astype(np.float32)))
        np.testing.assert_allclose(whole.std(axis=(1, 2, 3)), 1, atol=1e-4)
        assert whole[..., 0].std() > 5 * whole[..., 2].std()

    def test_flat_images_are_zero_and_have_a_gradient(self):
        x = tf.ones((1, 4, 4, 3)) * 0.5
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = Standardize((1, 2))(x)
        assert (y.numpy() == 0).all() and np.isfinite(tape.gradient(y, x)).all()

    def test_contract(self, tmp_path):
        inputs = keras.Input((None, None, 3))
        model = keras.Model(inputs, Standardize((1, 2, 3), epsilon=1e-3)(inputs))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        x = np.random.default_rng(0).uniform(size=(2, 5, 6, 3)).astype(np.float32)
        np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
        layer = Standardize((1, 2), epsilon=0.1)
        assert Standardize.from_config(layer.get_config()).get_config() == layer.get_config()
        assert layer.compute_output_shape((2, 5, 6, 3)) == (2, 5, 6, 3)

    @pytest.mark.parametrize(
        "arguments, name", [({"axis": ()}, "axis"), ({"axis": (0,)}, "axis"), ({"epsilon": 0}, "epsilon")]
    )
    def test_wrong_arguments(self, arguments, name):
        with pytest.raises(ValueError, match=name):
            Standardize(**arguments)
