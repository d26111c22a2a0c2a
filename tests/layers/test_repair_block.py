"""Damage of features and its gated repair."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.layers.convolution import RepairBlock
from tfssl.layers.corruption import Damage

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 6, 5)).astype(np.float32)
MASK = RNG.integers(0, 2, (2, 6, 6, 1)).astype(np.float32)


def means(x, size):
    """Mean over a window around each place, by hand, without what lies beyond the border."""
    result, half = np.empty_like(x), size // 2
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            window = x[:, max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1]
            result[:, i, j] = window.mean(axis=(1, 2))
    return result


class TestDamage:
    def test_all_kept(self):
        np.testing.assert_array_equal(Damage()([X, np.ones_like(MASK)]), X)

    @pytest.mark.parametrize("size", [1, 3, 5])
    def test_all_dropped_is_the_local_mean(self, size):
        damaged = Damage(size)([X, np.zeros_like(MASK)])
        np.testing.assert_allclose(damaged, means(X, size), atol=1e-5)

    def test_border_does_not_count(self):
        """Card, test 3: the 3x3 mean of a 2x2 map is the mean of its four values everywhere."""
        x = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
        np.testing.assert_array_equal(Damage()([x, np.zeros_like(x)])[..., 0], np.full((1, 2, 2), 2.5))

    def test_constant_features_stay(self):
        x = np.full((2, 6, 6, 3), 0.7, np.float32)
        np.testing.assert_allclose(Damage()([x, MASK]), x, atol=1e-6)

    def test_each_place_by_itself_over_all_channels(self):
        damaged = np.asarray(Damage()([X, MASK]))
        kept = np.broadcast_to(MASK == 1, X.shape)
        np.testing.assert_array_equal(damaged[kept], X[kept])
        np.testing.assert_allclose(damaged[~kept], means(X, 3)[~kept], atol=1e-5)

    @pytest.mark.parametrize("size", [0, 2, 3.0])
    def test_wrong_size(self, size):
        with pytest.raises(ValueError, match="size"):
            Damage(size)


class TestRepairBlock:
    @pytest.mark.parametrize(
        "channels, parameters", [(512, 4_724_736), (256, 1_182_720), (128, 296_448), (64, 74_496), (32, 18_816)]
    )
    def test_parameters(self, channels, parameters):
        block = RepairBlock()
        block.build([(None, None, None, channels), (None, None, None, 1)])
        assert sum(int(np.prod(v.shape)) for v in block.trainable_variables) == parameters

    @pytest.mark.parametrize("training", [False, True])
    def test_only_damaged_places_change(self, training):
        change = np.asarray(RepairBlock()([X, MASK], training=training)) - X
        kept = np.broadcast_to(MASK == 1, X.shape)
        assert not change[kept].any()
        assert (np.abs(change[~kept]) > 0).mean() > 0.99

    def test_is_two_convolutions_of_map_and_mask(self):
        block = RepairBlock()
        block([X, MASK], training=True)
        block.norm.gamma.assign(RNG.uniform(0.5, 2, 5))
        x = tf.nn.conv2d(np.concatenate([X, MASK], axis=-1), block.sees.kernel, 1, "SAME").numpy()
        x = (x - block.norm.moving_mean) / np.sqrt(block.norm.moving_variance + 1e-3) * block.norm.gamma
        x = np.asarray(x + block.norm.beta)
        x = tf.nn.conv2d(np.where(x > 0, x, 0.2 * x), block.adds.kernel, 1, "SAME") + block.adds.bias
        np.testing.assert_allclose(block([X, MASK]), X + (1 - MASK) * x, atol=1e-4)

    def test_sees_the_mask(self):
        block = RepairBlock()
        other = MASK.copy()
        other[:, 0, 0] = 1 - other[:, 0, 0]
        change = np.abs(np.asarray(block([X, MASK])) - np.asarray(block([X, other])))
        dropped = np.flatnonzero((MASK[0, :2, :2, 0] == 0).ravel())
        assert change[0, :2, :2].reshape(4, -1)[dropped].min() > 0, "neighbors within the two kernels"

    def test_statistics_move_at_the_codes_rate(self):
        block = RepairBlock()
        block([X, MASK], training=True)
        assert block.norm.momentum == 0.975
        x = tf.nn.conv2d(np.concatenate([X, MASK], axis=-1), block.sees.kernel, 1, "SAME").numpy()
        np.testing.assert_allclose(block.norm.moving_mean, 0.025 * x.mean(axis=(0, 1, 2)), atol=1e-5)

    def test_gradients_pass_the_gate(self):
        block = RepairBlock()
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.square(block([x, MASK])))
        assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in tape.gradient(total, [x, block.adds.kernel]))
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.square(block([x, np.ones_like(MASK)])))
        assert not np.asarray(tape.gradient(total, block.sees.kernel.value)).any(), "nothing to repair"

    def test_wrong_momentum(self):
        with pytest.raises(ValueError, match="momentum"):
            RepairBlock(momentum=1.0)


@pytest.mark.parametrize("layer", [Damage(5), RepairBlock(0.9, "he_normal")])
def test_layer_contract(layer, tmp_path):
    inputs = [keras.Input((None, None, 5)), keras.Input((None, None, 1))]
    model = keras.Model(inputs, layer(inputs))
    assert layer.compute_output_shape([X.shape, MASK.shape]) == X.shape == model([X, MASK]).shape
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode
    np.testing.assert_allclose(loaded([X, MASK]), model([X, MASK]), atol=1e-6)


def test_repair_in_mixed_precision():
    block = RepairBlock(dtype="mixed_bfloat16")
    assert block([X, MASK]).dtype == "bfloat16"
    assert all(v.dtype == "float32" for v in block.trainable_variables)
