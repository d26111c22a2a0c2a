"""Losses and networks of artifact spotting: who learns from what, and what stays frozen."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.methods import SpotArtifacts
from tfssl.methods.spot_artifacts.adversarial import SpottingModel
from tfssl.methods.spot_artifacts.loss import (
    class_loss,
    intact_error,
    mask_loss,
    mean_color_loss,
    spotting_loss,
)
from tfssl.training.distribution import make_strategy

SMALL = SpotArtifacts(backbone="small", crop_size=32, fc6=16, dropout=0.0, theta=0.5)
RNG = np.random.default_rng(0)


def batch_of(method, count=4, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (count, method.crop_size, method.crop_size, 3))
    omega = rng.integers(0, 2, (count, method.cells, method.cells, 1))
    return {"images": images.astype(np.float32), "omega": omega.astype(np.float32)}


def values(networks):
    return [np.asarray(v).copy() for network in networks for v in network.variables]


class TestLosses:
    def test_undecided(self):
        """Card, test 7."""
        zeros = np.zeros((5, 2), np.float32)
        np.testing.assert_allclose(spotting_loss(zeros, zeros), 0.693147, atol=1e-6)
        mask = np.zeros((5, 6, 6, 1), np.float32)
        omega = RNG.integers(0, 2, mask.shape).astype(np.float32)
        np.testing.assert_allclose(0.1 * mask_loss(mask, mask, omega), 0.0693147, atol=1e-7)

    def test_labels(self):
        real, corrupt = np.array([[0.0, 3.0]]), np.array([[2.0, 0.0]])
        expected = (math.log(1 + math.exp(-3)) + math.log(1 + math.exp(-2))) / 2
        assert float(spotting_loss(real, corrupt)[0]) == pytest.approx(expected, rel=1e-5)
        assert float(spotting_loss(corrupt, real)[0]) == pytest.approx(expected + 2.5, rel=1e-5), "swapped"
        np.testing.assert_allclose(class_loss(real, 1), [math.log(1 + math.exp(-3))], rtol=1e-5)

    def test_mask(self):
        omega = np.array([1, 0, 0, 1], np.float32).reshape(1, 2, 2, 1)
        right = (20 * omega - 10).astype(np.float32)
        sure = np.full_like(omega, 10)
        assert float(mask_loss(sure, right, omega)[0]) < 1e-4
        assert float(mask_loss(sure, -right, omega)[0]) == pytest.approx(5, abs=1e-3)
        assert float(mask_loss(-sure, right, omega)[0]) == pytest.approx(5, abs=1e-3), "real pictures are intact"

    def test_error_counts_intact_pixels_only(self):
        """Card, test 8: errors 1 and 3 with weights 1 and 0: 30 * 1 / 1."""
        truth = np.zeros((1, 1, 2, 1), np.float32)
        guess = np.array([1, 3], np.float32).reshape(1, 1, 2, 1)
        omega = np.array([1, 0], np.float32).reshape(1, 1, 2, 1)
        assert 30 * float(intact_error(truth, guess, omega)[0]) == 30
        assert float(intact_error(truth, guess, np.zeros_like(omega))[0]) == 0, "nothing intact"

    def test_error_of_images(self):
        truth, guess = RNG.normal(size=(2, 3, 8, 8, 3)).astype(np.float32)
        omega = RNG.integers(0, 2, (3, 2, 2, 1)).astype(np.float32)
        weights = np.broadcast_to(np.kron(omega, np.ones((1, 4, 4, 1))), truth.shape)
        expected = [np.square(truth - guess)[i][weights[i] == 1].mean() for i in range(3)]
        np.testing.assert_allclose(intact_error(truth, guess, omega), expected, rtol=1e-5)

    def test_baselines(self):
        assert SpotArtifacts(theta=0.7, mask_weight=0.0).baseline == pytest.approx(math.log(2))
        truth = np.array([1.0] * 13 + [0.0] * 7)  # of both halves, at theta 0.7
        entropy = -np.mean(truth * math.log(0.65) + (1 - truth) * math.log(0.35))
        assert SpotArtifacts(theta=0.7, mask_weight=0.1).baseline == pytest.approx(math.log(2) + 0.1 * entropy)
        assert mean_color_loss(30.0) == pytest.approx(30 * (57.63 / 127.5) ** 2, rel=1e-3)


class TestModel:
    def forward(self, model, training=True):
        batch = batch_of(SMALL)
        with tf.GradientTape(persistent=True) as tape:
            results = model.forward(batch, batch["images"], training)
        return results, tape

    def build(self, **fields):
        keras.utils.set_random_seed(1)
        return SpotArtifacts(**{**SMALL.model_dump(), "l2": 0.0, **fields}).model()

    def test_one_step_changes_both_networks_only(self):
        """Card, test 10: also the moving statistics of the autoencoder stay."""
        model, batch = self.build(), batch_of(SMALL)
        model.run_eagerly = True  # a single step does not repay its compilation
        networks = {"frozen": [model.encoder, model.decoder], "R": [model.repairer], "C": [model.discriminator]}
        before = {name: values(parts) for name, parts in networks.items()}
        model.train_on_batch(batch, batch["images"])
        for name, parts in networks.items():
            same = [np.array_equal(a, b) for a, b in zip(before[name], values(parts), strict=True)]
            assert all(same) if name == "frozen" else not any(same[:-1]), name

    def test_who_learns_from_what(self):
        model = self.build()
        results, tape = self.forward(model)
        for name, networks in (("generator", model.generators), ("discriminator", model.discriminators)):
            assert all(g is not None for n in networks for g in tape.gradient(results[name], n.trainable_variables))
        assert model.encoder.trainable_variables == model.decoder.trainable_variables == []

    @pytest.mark.parametrize("objective, uses", [("swapped", False), ("confusion", True)])
    def test_mask_loss_is_the_discriminators(self, objective, uses):
        """Card, test 11: R's gradient does not know the mask loss, unless it is the released code's sum."""
        gradients = []
        for weight in (0.0, 50.0):
            model = self.build(objective=objective, mask_weight=weight)
            results, tape = self.forward(model)
            gradients.append(tape.gradient(results["generator"], model.repairer.trainable_variables))
        same = [np.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(*gradients, strict=True)]
        assert not any(same) if uses else all(same)

    def test_confusion_rests_where_undecided(self):
        """Card, test 12: at probability 1/2 the gradient of CE(y) + CE(1 - y) is 0; that of CE(1 - y) is not."""
        logits = tf.zeros((3, 2))
        for both, largest in ((True, 0.0), (False, 0.25)):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = spotting_loss(logits, tf.zeros((3, 2)))
                total = tf.reduce_sum(loss + spotting_loss(tf.zeros((3, 2)), logits) if both else loss)
            assert np.abs(tape.gradient(total, logits)).max() == pytest.approx(largest, abs=1e-7)

    def test_loss_of_each_network(self):
        model = self.build()
        results, _ = self.forward(model)
        found = {name: float(value) for name, value in results["metrics"].items()}
        assert set(found) == set(SpottingModel.metric_names)
        assert found["loss"] == pytest.approx(found["class_loss"] + 0.1 * found["mask_loss"], rel=1e-5)
        assert float(results["discriminator"]) == pytest.approx(found["loss"], rel=1e-5), "no penalty here"
        of_generator = found["swapped_loss"] + 30 * found["intact_error"]
        assert float(results["generator"]) == pytest.approx(of_generator, rel=1e-5)
        confused, _ = self.forward(self.build(objective="confusion"))
        assert float(confused["generator"]) == pytest.approx(of_generator + found["loss"], rel=1e-4)

    def test_penalty_of_each_network(self):
        plain, _ = self.forward(self.build())
        model = self.build(l2=0.1)
        punished, _ = self.forward(model)
        for name, networks in (("generator", model.generators), ("discriminator", model.discriminators)):
            kernels = [v for n in networks for v in n.trainable_variables if v.path.endswith("kernel")]
            expected = 0.05 * sum(np.square(np.asarray(v)).sum() for v in kernels)
            assert float(punished[name]) - float(plain[name]) == pytest.approx(expected, rel=1e-3)

    def test_goes_on_from_the_autoencoder(self):
        trained = SMALL.autoencoder(keras.optimizers.Adam(1e-2))
        batch = batch_of(SMALL)
        trained.run_eagerly = True
        trained.train_on_batch(batch, batch["images"])
        model = SMALL.adversarial(None, trained)
        np.testing.assert_allclose(
            model.paint(batch)["autoencoded"],
            trained.predict_on_batch(batch),
            atol=1e-5,
            err_msg="moving statistics too",
        )

    @pytest.mark.slow  # test_adversarial.py has it for small networks
    def test_two_devices_take_the_step_of_one(self):
        """One step: on an autoencoder that has learned nothing, later ones are chaotic."""
        found = []
        for devices in (1, 2):
            keras.utils.set_random_seed(0)
            with make_strategy(devices, 4).scope():
                model = SMALL.model(keras.optimizers.SGD(0.01))
            networks = [model.repairer, model.discriminator]
            before, batch = values(networks), batch_of(SMALL)
            data = tf.data.Dataset.from_tensor_slices((batch, batch["images"])).batch(4, drop_remainder=True)
            history = model.fit(data, verbose=0, shuffle=False).history
            found.append((history, [b - a for a, b in zip(before, values(networks), strict=True)]))
        (one, changes), (two, others) = found
        for name in SpottingModel.metric_names:
            assert one[name][0] == pytest.approx(two[name][0], rel=1e-4), name
        assert max(np.abs(change).max() for change in changes) > 0.01
        for change, other in zip(changes, others, strict=True):
            np.testing.assert_allclose(other, change, rtol=1e-4, atol=1e-4)

    def test_saves_in_safe_mode(self, tmp_path):
        model = self.build(theta=0.3)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        batch = batch_of(SMALL)
        assert loaded.options == model.options and loaded.encoder.trainable_variables == []
        np.testing.assert_allclose(loaded.predict_on_batch(batch), model.predict_on_batch(batch), atol=1e-5)
