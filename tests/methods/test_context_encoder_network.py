"""Networks, losses and the game of the context encoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.methods import ContextEncoder
from tfssl.methods.context_encoder.adversarial import InpaintingModel
from tfssl.methods.context_encoder.loss import MaskedL2, discriminator_loss, fooling_loss, hole_error, joint_loss
from tfssl.methods.context_encoder.network import TAPS, build_discriminator, build_encoder, build_inpainter
from tfssl.ops.masks import center_mask

SMALL = {"network": "small", "resize": 40, "crop_size": 32, "overlap": 2}
PHOTOS = [np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8) for seed in range(4)]


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def values(model):
    return [np.asarray(v) for v in model.trainable_variables]


class TestNetworks:
    @pytest.mark.parametrize("whole, count", [(False, 71_130_531), (True, 71_196_259)])
    def test_inpainting(self, whole, count):
        network = build_inpainter("inpainting", crop_size=128, whole=whole, bottleneck=4000)
        assert trainable(network) == count
        assert network.output.shape == (None, 128 if whole else 64, 128 if whole else 64, 3)
        assert network.get_layer("bottleneck").output.shape == (None, 1, 1, 4000)
        sides = {name: tap.shape[1] for name, tap in network.get_layer("trunk").output.items()}
        assert set(sides) == set(TAPS)
        if not whole:
            with_bottleneck = (
                trainable(network.get_layer("trunk")) + network.get_layer("bottleneck_conv").count_params()
            )
            assert with_bottleneck == 35_596_064
            assert network.get_layer("up1_conv").count_params() == 32_768_512

    @pytest.mark.parametrize("side, count", [(64, 2_766_529), (128, 2_832_257)])
    def test_discriminator(self, side, count):
        discriminator = build_discriminator("inpainting", side)
        assert trainable(discriminator) == count and discriminator.output.shape == (None, 1)

    def test_features(self):
        network = build_inpainter("features", crop_size=227, whole=True, bottleneck=1)
        trunk = network.get_layer("trunk")
        assert trunk.count_params() == 2_334_080, "AlexNet's convolutions"
        across = network.get_layer("across_dense")
        assert across.input.shape == (None, 6, 6, 256) and across.count_params() == 331_776 + 9_216
        ups = [network.get_layer(f"up{i}_crop").output.shape[1:] for i in range(1, 6)]
        assert ups == [(11, 11, 128), (21, 21, 64), (41, 41, 64), (81, 81, 32), (161, 161, 3)]
        assert network.output.shape == (None, 227, 227, 3)

    def test_features_see_the_fill_as_zero(self):
        trunk = build_inpainter("features", crop_size=67, whole=True, bottleneck=1).get_layer("trunk")
        levels = keras.Model(trunk.input, trunk.get_layer("levels").output)
        from tfssl.ops.masks import FILL

        np.testing.assert_allclose(levels(np.full((1, 4, 4, 3), FILL, np.float32)), 0, atol=1e-4)
        np.testing.assert_allclose(np.ptp(levels(np.float32([[[[-1] * 3, [1] * 3]]])), axis=2), 255, atol=1e-3)

    @pytest.mark.parametrize("crop", [32, 48, 64, 96])
    @pytest.mark.parametrize("whole", [False, True])
    def test_small(self, crop, whole):
        network = build_inpainter("small", crop_size=crop, whole=whole, bottleneck=1)
        side = crop if whole else crop // 2
        made = np.asarray(network(np.zeros((2, crop, crop, 3), np.float32)))
        assert made.shape == (2, side, side, 3) and np.abs(made).max() <= 1
        assert build_discriminator("small", side)(made).shape == (2, 1)

    @pytest.mark.parametrize("name, size", [("small", 64), ("inpainting", 128)])
    def test_encoder_takes_any_size_and_shares_weights(self, name, size):
        network = build_inpainter(name, crop_size=size, whole=True, bottleneck=8)
        encoder = build_encoder(network)
        image = np.random.default_rng(0).uniform(0, 1, (1, 75, 101, 3)).astype(np.float32)
        taps = encoder(image)
        assert list(taps) == list(TAPS) and all(len(tap.shape) == 4 for tap in taps.values())
        np.testing.assert_allclose(taps["conv3"], network.get_layer("trunk")(image * 2 - 1)["conv3"], atol=1e-5)
        assert {v.path for v in encoder.variables} <= {v.path for v in network.variables}


class TestLosses:
    @pytest.mark.parametrize("overlap, expected", [(4, 0.0310627), (7, 0.0450233)])
    def test_band_weighs_ten_times(self, overlap, expected):
        """Card: an error of 0.1 everywhere, in units of [-1, 1]."""
        targets = np.zeros((2, 64, 64, 4), np.float32)
        targets[..., 3] = center_mask(128, overlap)[32:96, 32:96]
        loss = float(MaskedL2(10.0)(targets, targets[..., :3] + 0.1))
        assert 0.999 * loss == pytest.approx(expected, abs=2e-7)

    def test_discriminator_that_cannot_tell(self):
        undecided = np.zeros((3, 1), np.float32)
        np.testing.assert_allclose(discriminator_loss(undecided, undecided), 1.386294, atol=1e-6)
        np.testing.assert_allclose(fooling_loss(undecided), 0.693147, atol=1e-6)
        assert joint_loss(0.04, 0.693147, 0.999) == pytest.approx(0.0406531, abs=1e-7)

    def test_are_cross_entropies(self):
        real, fake = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])
        true, made = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
        np.testing.assert_allclose(discriminator_loss(real, fake), (-np.log(true) - np.log(1 - made))[:, 0], atol=1e-5)
        np.testing.assert_allclose(fooling_loss(fake), -np.log(made)[:, 0], atol=1e-5)

    def test_gradient_is_zero_outside_of_the_hole(self):
        rng = np.random.default_rng(0)
        targets = rng.normal(size=(2, 8, 8, 4)).astype(np.float32)
        targets[..., 3] = rng.random((2, 8, 8)) < 0.3
        made = tf.constant(rng.normal(size=(2, 8, 8, 3)).astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(made)
            loss = MaskedL2(0.0)(targets, made)
        gradient = tape.gradient(loss, made).numpy()
        hole = targets[..., 3] == 1
        assert (gradient[~hole] == 0).all() and (gradient[hole] != 0).all()

    def test_hole_error(self):
        targets = np.zeros((2, 4, 4, 4), np.float32)
        targets[0, :2, :, 3] = 1
        made = np.full((2, 4, 4, 3), 0.5, np.float32)
        made[0, 2:] = 9
        np.testing.assert_allclose(hole_error(targets, made), [0.25, 0.0])

    def test_serializes(self):
        again = keras.losses.deserialize(keras.losses.serialize(MaskedL2(3.0)))
        assert isinstance(again, MaskedL2) and again.visible_weight == 3.0
        with pytest.raises(ValueError, match="visible_weight"):
            MaskedL2(-1)


class TestGame:
    @pytest.fixture
    def game(self):
        keras.utils.set_random_seed(0)
        return ContextEncoder(mask="center", **SMALL).model(keras.optimizers.SGD(0.1))

    @pytest.fixture
    def batch(self):
        return next(iter(ContextEncoder(mask="center", **SMALL).dataset(PHOTOS, batch_size=4, start=0, count=1)))

    def test_each_player_follows_its_own_loss_alone(self, game, batch):
        """Card: a step of one must not change the other. Each update is the gradient of the player's own loss."""
        with tf.GradientTape(persistent=True) as tape:
            played = game.forward(*batch, training=True)
        expected = {}
        for name, network, rate in (("generator", game.inpainter, 0.1), ("discriminator", game.discriminator, 0.01)):
            gradients = tape.gradient(played[name], network.trainable_variables)
            expected[name] = [v - rate * np.asarray(g) for v, g in zip(values(network), gradients, strict=True)]
        game.train_on_batch(*batch)
        for name, network in (("generator", game.inpainter), ("discriminator", game.discriminator)):
            for wanted, found in zip(expected[name], values(network), strict=True):
                np.testing.assert_allclose(found, wanted, atol=2e-5)

    @pytest.mark.parametrize("still, moving", [("inpainter", "discriminator"), ("discriminator", "inpainter")])
    def test_one_can_stand_still(self, game, batch, still, moving):
        frozen, learning = getattr(game, still), getattr(game, moving)
        before = values(frozen), values(learning)
        frozen.trainable = False
        game.train_on_batch(*batch)
        frozen.trainable = True
        assert all((a == b).all() for a, b in zip(before[0], values(frozen), strict=True))
        assert any((a != b).any() for a, b in zip(before[1], values(learning), strict=True))

    def test_discriminator_sees_the_center_alone(self, game, batch):
        """What lies outside of the predicted patch reaches the discriminator's gradient through the inpainter only."""
        assert game.discriminator.input.shape == (None, 16, 16, 3)
        inputs, targets = batch
        shifted = tf.concat([targets[..., :3], 1 - targets[..., 3:]], axis=-1)
        one, other = (float(game.forward(inputs, t, training=False)["discriminator"]) for t in (targets, shifted))
        assert one == other, "nor does it see the mask"

    def test_metrics(self, game, batch):
        history = game.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history
        assert set(history) == {"loss", "l2", "adversarial", "discriminator"}
        played = game.evaluate(*batch, verbose=0, return_dict=True)
        made = np.asarray(game.predict_on_batch(batch[0]))
        reconstruction = float(MaskedL2(10.0)(batch[1], made))
        assert played["loss"] == pytest.approx(0.999 * reconstruction + 0.001 * played["adversarial"], rel=1e-4)
        assert played["l2"] == pytest.approx(float(np.mean(hole_error(batch[1], made))), rel=1e-4)

    def test_is_saved_in_safe_mode(self, game, batch, tmp_path):
        game.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert isinstance(loaded, InpaintingModel)
        assert (loaded.reconstruction_weight, loaded.visible_weight) == (0.999, 10.0)
        np.testing.assert_allclose(loaded.predict_on_batch(batch[0]), game.predict_on_batch(batch[0]), atol=1e-5)

    @pytest.mark.slow
    def test_without_a_discriminator_it_is_a_plain_model(self, batch):
        method = ContextEncoder(mask="center", reconstruction_weight=1.0, **SMALL)
        model = method.model()
        assert type(model).__name__ == "Functional" and model.optimizer.beta_1 == 0.5
        before = model.evaluate(*batch, verbose=0)
        model.fit(tf.data.Dataset.from_tensors(batch).repeat(30), verbose=0)
        assert model.train_on_batch(*batch) < before

    def test_optimizer_of_the_released_code(self):
        game = ContextEncoder(mask="center", **SMALL).model()
        rates = [float(np.asarray(o.learning_rate)) for o in (game.optimizer, game.discriminator_optimizer)]
        assert rates == pytest.approx([2e-3, 2e-4])
        assert game.optimizer.beta_1 == game.discriminator_optimizer.beta_1 == 0.5
