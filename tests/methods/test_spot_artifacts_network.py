"""Networks of artifact spotting: counts, sizes, what damage reaches, what the discriminator is shown."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.methods import SpotArtifacts
from tfssl.methods.spot_artifacts.loss import l2_penalty
from tfssl.methods.spot_artifacts.network import (
    MEAN_COLOR,
    TAPS,
    build_autoencoder,
    build_decoder,
    build_discriminator,
    build_encoder,
    build_repairer,
    upsample_mask,
)

WIDTHS = (32, 64, 128, 256, 512)
SMALL = SpotArtifacts(backbone="small", crop_size=32, fc6=16, dropout=0.0, theta=0.5)
RNG = np.random.default_rng(0)


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def inputs_of(method, count=4, omega=None, seed=0):
    rng = np.random.default_rng(seed)
    cells = method.cells
    images = rng.uniform(-1, 1, (count, method.crop_size, method.crop_size, 3)).astype(np.float32)
    if omega is None:
        omega = rng.integers(0, 2, (count, cells, cells, 1))
    return {"images": images, "omega": np.broadcast_to(omega, (count, cells, cells, 1)).astype(np.float32)}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return SMALL.model(keras.optimizers.Adam(1e-3))


class TestCounts:
    """Card, test 9."""

    def test_encoder(self):
        kernels = [int(np.prod(v.shape)) for v in build_encoder(WIDTHS).trainable_variables if "kernel" in v.path]
        assert kernels == [864, 8192, 32_768, 131_072, 524_288]
        assert trainable(build_encoder(WIDTHS)) == 697_184 + 1984 == 699_168

    def test_decoder(self):
        decoder = build_decoder(WIDTHS)
        convolutions = [v for v in decoder.trainable_variables if "_conv/" in v.path]
        assert [int(np.prod(v.shape)) for v in convolutions] == [1_179_648, 294_912, 73_728, 18_432, 864, 3]
        assert trainable(decoder) == 1_567_587 + 960 == 1_568_547

    def test_autoencoder(self):
        assert trainable(SpotArtifacts().autoencoder()) == 2_267_715

    def test_repairer(self):
        repairer = build_repairer(WIDTHS)
        assert trainable(repairer) == 6_297_216
        layers = [trainable(repairer.get_layer(f"repair{i}")) for i in range(1, 6)]
        assert layers == [4_724_736, 1_182_720, 296_448, 74_496, 18_816]

    @pytest.mark.parametrize("size, pool5, cells", [(96, False, 6), (224, True, 14)])
    def test_discriminator(self, size, pool5, cells):
        network = build_discriminator("alexnet", size=size, fc6=4096, dropout=0.5, pool5=pool5)
        assert trainable(network) == 40_097_411
        assert trainable(network.get_layer("trunk")) == 2_334_080
        assert trainable(network.get_layer("mask")) == 2305
        assert trainable(network.get_layer("fc6_dense")) + trainable(network.get_layer("fc6_bn")) == 37_752_832
        assert trainable(network.get_layer("class")) == 8194
        assert network.output["mask"].shape == (None, cells, cells, 1), "as many cells as the features have"
        assert network.output["logits"].shape == (None, 2)
        assert build_encoder(WIDTHS).compute_output_shape((1, size, size, 3)) == (1, cells, cells, 512)

    def test_frozen_autoencoder_is_not_counted(self):
        assert trainable(SpotArtifacts().model()) == 6_297_216 + 40_097_411


class TestAutoencoder:
    def test_maps(self):
        encoder, decoder = build_encoder(WIDTHS), build_decoder(WIDTHS)
        sizes = [encoder.get_layer(f"encode{i}_relu").output.shape[-1] for i in range(5)]
        assert sizes == [*WIDTHS]
        assert decoder.compute_output_shape((2, 6, 6, 512)) == (2, 96, 96, 3)

    def test_damage_stays_local(self):
        """One cell of the features sees 18x18 pixels: its square of 16 and what the first 3x3 convolution adds."""
        encoder = build_encoder((4, 4, 4, 4, 4))
        x = tf.Variable(RNG.uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32))
        with tf.GradientTape() as tape:
            cell = tf.reduce_sum(tf.square(encoder(x)[0, 2, 3]))
        reached = np.abs(tape.gradient(cell, x)[0]).max(axis=-1) > 0
        rows, columns = (np.flatnonzero(reached.any(axis=axis)) for axis in (1, 0))
        assert (rows.min(), rows.max()) == (31, 48) and (columns.min(), columns.max()) == (47, 64)

    def test_batch_normalization(self):
        layers = [x for x in build_encoder(WIDTHS).layers if isinstance(x, keras.layers.BatchNormalization)]
        assert len(layers) == 5
        assert all(x.momentum == 0.975 and x.epsilon == 1e-3 and x.scale and x.center for x in layers)

    def test_penalty_is_that_of_the_loss(self):
        widths, strength = (4, 8), 1e-2
        model = build_autoencoder(widths, 16, 8, strength)
        networks = [model.get_layer("encoder"), model.get_layer("decoder")]
        kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
        by_hand = strength / 2 * sum(np.square(np.asarray(v)).sum() for v in kernels)
        assert len(kernels) == 4 and float(sum(model.losses)) == pytest.approx(by_hand, rel=1e-5)
        assert float(l2_penalty(networks, strength)) == pytest.approx(by_hand, rel=1e-5)
        assert float(l2_penalty(networks, 0.0)) == float(l2_penalty([], strength)) == 0

    def test_ignores_the_damage(self):
        model = SMALL.autoencoder()
        batch = inputs_of(SMALL)
        other = {**batch, "omega": 1 - batch["omega"]}
        np.testing.assert_array_equal(model.predict_on_batch(batch), model.predict_on_batch(other))
        assert model.predict_on_batch(batch).shape == batch["images"].shape


class TestDiscriminator:
    def test_tanh_of_black_is_minus_the_mean(self):
        network = build_discriminator("small", size=32, fc6=4, dropout=0)
        levels = network.get_layer("levels")
        for value, level in ((-1.0, 0), (1.0, 255)):
            expected = np.broadcast_to(level - np.array(MEAN_COLOR), (1, 1, 1, 3))
            np.testing.assert_allclose(levels(np.full((1, 1, 1, 3), value, np.float32)), expected, atol=1e-4)

    def test_initial_weights_of_the_released_code(self):
        """TF-Slim's default, Glorot and Bengio's uniform, in every kernel; 0.1 in every bias."""
        keras.utils.set_random_seed(0)
        network = build_discriminator("alexnet", size=96, fc6=64, dropout=0.5)
        kernels = [v for v in network.trainable_variables if v.name == "kernel"]
        biases = [v for v in network.trainable_variables if v.name == "bias"]
        assert len(kernels) == 8 and len(biases) == 6, "conv5 and fc6 have an offset of their normalization instead"
        for kernel in kernels:
            area, (inputs, outputs) = int(np.prod(kernel.shape[:-2])), kernel.shape[-2:]
            if any(f"conv{number}_" in kernel.path for number in (2, 4, 5)):  # two convolutions of half the channels
                outputs = outputs // 2
            limit = np.sqrt(6 / (area * (inputs + outputs)))
            values = kernel.numpy()
            assert 0.95 * limit < np.abs(values).max() <= limit
            assert values.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
        assert all((bias.numpy() == np.float32(0.1)).all() for bias in biases)

    def test_alexnet_sizes(self):
        trunk = SpotArtifacts().model().discriminator.get_layer("trunk")
        shapes = trunk.compute_output_shape((1, 96, 96, 3))
        assert [shapes[name][1] for name in TAPS] == [24, 12, 6, 6, 6]
        assert [shapes[name][-1] for name in TAPS] == [96, 256, 384, 384, 256]
        for name in ("conv1", "conv2", "conv3", "conv4"):
            assert (np.asarray(trunk.get_layer(f"{name}_conv").bias) == np.float32(0.1)).all(), name
        assert trunk.get_layer("conv5_conv").bias is None and trunk.get_layer("conv5_bn").gamma is None

    @pytest.mark.parametrize("size", [32, 48, 96])
    def test_small_sizes(self, size):
        method = SpotArtifacts(backbone="small", crop_size=size, fc6=8)
        network = method.model().discriminator
        cells = size // 8
        assert network.output["mask"].shape == (None, cells, cells, 1) and method.cells == cells
        shapes = network.get_layer("trunk").compute_output_shape((1, size, size, 3))
        assert [shapes[name][1] for name in TAPS] == [size, size // 2, size // 4, cells, cells]

    def test_encoder_sees_an_image_as_the_discriminator_does(self, model):
        encoder = SMALL.encoder(model)
        rgb = RNG.uniform(0, 1, (2, 40, 56, 3)).astype(np.float32)
        expected = model.discriminator.get_layer("trunk")(255 * rgb - np.array(MEAN_COLOR, np.float32))
        taps = encoder(rgb)
        assert list(taps) == list(TAPS)
        for name in TAPS:
            np.testing.assert_allclose(taps[name], expected[name], atol=1e-3)
        assert {v.path for v in encoder.variables} == {
            v.path for v in model.discriminator.get_layer("trunk").variables
        }, "shared, not copied"


class TestPaint:
    def test_without_damage_corrupt_is_real(self, model):
        """Card, test 1: bit for bit."""
        for training in (False, True):
            pictures = model.paint(inputs_of(SMALL, omega=1), training)
            np.testing.assert_array_equal(pictures["repaired"], pictures["autoencoded"])

    def test_damage_and_repair_change_the_image(self, model):
        batch = inputs_of(SMALL, omega=0)
        pictures, damaged = model.paint(batch), model.decode_damaged(batch)
        for a, b in (("repaired", "autoencoded"), ("repaired", None), ("autoencoded", None)):
            assert np.abs(np.asarray(pictures[a]) - np.asarray(pictures[b] if b else damaged)).max() > 1e-3

    def test_distant_cells_stay(self, model):
        """A dropped corner changes its 8x8 square and what convolutions of repair and decoder spread, not the rest."""
        omega = np.ones((1, 4, 4, 1))
        omega[0, 0, 0] = 0
        pictures = model.paint(inputs_of(SMALL, omega=omega))
        change = np.abs(np.asarray(pictures["repaired"]) - np.asarray(pictures["autoencoded"])).max(axis=(0, 3))
        assert change[:8, :8].min() > 0 and not change[-8:, -8:].any()

    @pytest.mark.parametrize("real, name", [("autoencoded", "autoencoded"), ("raw", None)])
    def test_what_is_real(self, real, name):
        method = SpotArtifacts(**{**SMALL.model_dump(), "real": real})
        batch = inputs_of(method)
        pictures = method.model().paint(batch)
        np.testing.assert_array_equal(pictures["real"], pictures[name] if name else batch["images"])

    def test_without_repair(self):
        method = SpotArtifacts(**{**SMALL.model_dump(), "repair": False})
        model, batch = method.model(), inputs_of(method)
        assert model.generator == [] and "repairer" not in model.networks
        np.testing.assert_array_equal(model.paint(batch)["repaired"], model.decode_damaged(batch))

    def test_masks_are_doubled(self):
        """Card, test 5."""
        mask = sides = RNG.integers(0, 2, (3, 6, 6, 1)).astype(np.float32)
        for side in (12, 24, 48, 96):
            mask = np.asarray(upsample_mask(mask))
            assert mask.shape == (3, side, side, 1) and mask.mean() == pytest.approx(sides.mean(), abs=1e-7)
            np.testing.assert_array_equal(mask[:, :: side // 6, :: side // 6], sides)
            np.testing.assert_array_equal(mask, np.kron(sides, np.ones((1, side // 6, side // 6, 1))))
