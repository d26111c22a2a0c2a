"""Adversarial models: whose weights a step changes, what it equals, saving, replicas."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfssl.methods.adversarial import AdversarialModel, ScaledSchedule
from tfssl.training.distribution import make_strategy


@keras.saving.register_keras_serializable(package="tfssl_tests")
class Pair(AdversarialModel):
    """The generator wants the score of its output to be high, the discriminator low; linear, so easily checked."""

    metric_names = ("loss", "score")

    def call(self, inputs, training=False):
        return self.maker(inputs, training=training)

    @property
    def generators(self):
        return [self.maker]

    @property
    def discriminators(self):
        return [self.judge]

    def forward(self, inputs, targets, training):
        score = ops.mean(self.judge(self.maker(inputs, training=training), training=training))
        return {"generator": -score, "discriminator": score, "metrics": {"loss": -score, "score": score}}


def dense(units_in, units_out, name):
    x = keras.Input((units_in,))
    return keras.Model(x, keras.layers.Dense(units_out, name=f"{name}_dense")(x), name=name)


def build(optimizer=None, scale=0.5):
    keras.utils.set_random_seed(0)
    model = Pair({"maker": dense(3, 2, "maker"), "judge": dense(2, 1, "judge")})
    model.compile(optimizer or keras.optimizers.SGD(0.1), discriminator_learning_rate_scale=scale)
    return model


def weights(network):
    return [np.asarray(v).copy() for v in network.variables]


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_one_step_is_two_gradient_steps_from_the_same_weights(batch):
    model = build()
    (w, b), (v, c) = weights(model.maker), weights(model.judge)
    model.train_on_batch(batch, np.zeros(4))
    mean = batch.mean(axis=0)  # score = (mean w + b) v + c
    np.testing.assert_allclose(weights(model.maker)[0], w + 0.1 * np.outer(mean, v[:, 0]), atol=1e-6)
    np.testing.assert_allclose(weights(model.maker)[1], b + 0.1 * v[:, 0], atol=1e-6)
    np.testing.assert_allclose(weights(model.judge)[0], v - 0.05 * (mean @ w + b)[:, None], atol=1e-6)
    np.testing.assert_allclose(weights(model.judge)[1], c - 0.05, atol=1e-6)


@pytest.mark.parametrize(("frozen", "learning"), [("maker", "judge"), ("judge", "maker")])
def test_a_frozen_side_stays_and_the_other_learns(batch, frozen, learning):
    model = build()
    getattr(model, frozen).trainable = False
    before = weights(getattr(model, frozen)), weights(getattr(model, learning))
    model.train_on_batch(batch, np.zeros(4))
    for old, new in zip(before[0], weights(getattr(model, frozen)), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all((old != new).any() for old, new in zip(before[1], weights(getattr(model, learning)), strict=True))


def test_history_holds_the_metrics_as_means_over_the_epoch(batch):
    model = build(keras.optimizers.SGD(0.0))
    history = model.fit(tf.data.Dataset.from_tensors((batch, np.zeros(4))).repeat(3), verbose=0).history
    score = float(np.mean(model.judge(model.maker(batch))))
    assert history["score"][0] == pytest.approx(score, abs=1e-6)
    assert history["loss"][0] == pytest.approx(-score, abs=1e-6)
    assert model.evaluate(batch, np.zeros(4), verbose=0, return_dict=True)["score"] == pytest.approx(score, abs=1e-6)


def test_the_discriminator_follows_the_schedule_at_its_own_scale():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.4, 10, 0.5)
    model = build(keras.optimizers.Adam(schedule, beta_1=0.5), scale=0.1)
    (generator, _), (discriminator, _) = model.optimizers
    assert discriminator is not generator and discriminator.beta_1 == 0.5
    for step in (0, 10, 25):
        assert float(discriminator._learning_rate(step)) == pytest.approx(0.1 * float(schedule(step)))
    again = ScaledSchedule.from_config(ScaledSchedule(schedule, 0.1).get_config())
    assert float(again(10)) == pytest.approx(0.02)


def test_saving_keeps_networks_and_learning_rates(batch, tmp_path):
    model = build(keras.optimizers.Adam(0.01), scale=0.25)
    model.train_on_batch(batch, np.zeros(4))
    model.save(tmp_path / "adversarial.keras")
    loaded = keras.saving.load_model(tmp_path / "adversarial.keras")
    with zipfile.ZipFile(tmp_path / "adversarial.keras") as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        assert {"critic", "critic_optimizer", "generator", "optimizer"} <= set(file), "as in files of old"
    np.testing.assert_allclose(loaded(batch), model(batch), atol=1e-6)
    np.testing.assert_allclose(loaded.judge(loaded(batch)), model.judge(model(batch)), atol=1e-6)
    assert [v.path for v in loaded.variables] == [v.path for v in model.variables]
    assert float(loaded.discriminator_optimizer.learning_rate) == pytest.approx(0.0025)
    for (ours, _), (theirs, _) in zip(loaded.optimizers, model.optimizers, strict=True):
        assert int(ours.iterations) == 1
        for our, their in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(our, their)


def test_two_replicas_give_the_step_of_one(batch):
    results = []
    for devices in (1, 2):
        with make_strategy(devices, 4).scope():
            model = build()
        data = tf.data.Dataset.from_tensor_slices((batch, np.zeros(4, np.float32))).batch(4)
        history = model.fit(data, epochs=3, verbose=0).history
        results.append((weights(model), history["score"]))
    for one, two in zip(*(result[0] for result in results), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-6)


def test_loss_scaling_of_mixed_float16_changes_no_step(batch):
    plain = build()
    plain.train_on_batch(batch, np.zeros(4))
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        scaled = build()
        assert all(isinstance(o, keras.optimizers.LossScaleOptimizer) for o, _ in scaled.optimizers)
        scaled.train_on_batch(batch, np.zeros(4))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for one, two in zip(weights(plain), weights(scaled), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)
