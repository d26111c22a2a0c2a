"""Equal ratios of gradients: the worked example, the unchanged function, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from tfssl.backbones import build
from tfssl.backbones.rebuilding import fold_batch_normalization
from tfssl.errors import ModelError
from tfssl.transfer.data_dependent import data_dependent_init
from tfssl.transfer.rescale import equalizing_factors, gradient_ratios, rescale

IMAGES = np.random.default_rng(0).random((20, 24, 24, 3)).astype(np.float32)


def network(biases=0.0, seed=0):
    """Convolutions, ReLU, max pooling and dense layers whose weights are of very different size."""
    keras.utils.set_random_seed(seed)
    x = rgb = keras.Input((24, 24, 3))
    for i, (width, scale) in enumerate([(8, 0.01), (6, 1.0), (10, 0.1)]):
        bias = keras.initializers.RandomNormal(stddev=biases) if biases else "zeros"
        kernel = keras.initializers.RandomNormal(stddev=scale)
        x = layers.Conv2D(width, 3, activation="relu", kernel_initializer=kernel, bias_initializer=bias)(x)
        x = layers.MaxPooling2D(2)(x) if i < 2 else x
    return keras.Model(rgb, layers.Dense(5)(layers.Flatten()(x)))


def log_spread(model, images=IMAGES):
    return float(np.ptp(np.log(list(gradient_ratios(model, images).values()))))


def test_the_worked_example():
    factors, target = equalizing_factors([4.0, 1.0], 1.0)
    assert target == pytest.approx(2.0)
    np.testing.assert_allclose(factors, [2**0.5, 0.5**0.5])
    _, target = equalizing_factors([4.0, 1.0], 9.0)
    assert target == pytest.approx(6.0)


def test_the_worked_example_as_a_network():
    """y = w2 w1 x with w2 = 2 w1: ratios are 4 to 1, and both weights become 1 where y has deviation 1."""
    x = keras.Input((1,))
    model = keras.Model(x, layers.Dense(1, use_bias=False)(layers.Dense(1, use_bias=False)(x)))
    model.set_weights([np.full((1, 1), 0.5**0.5), np.full((1, 1), 2**0.5)])
    values = np.array([[-1.0], [1.0]] * 8, np.float32)
    ratios = list(gradient_ratios(model, values).values())
    assert ratios[0] / ratios[1] == pytest.approx(4.0, rel=1e-5)
    new = rescale(model, values)
    np.testing.assert_allclose([w.item() for w in new.get_weights()], [1.0, 1.0], rtol=1e-5)
    assert model.get_weights()[0].item() == pytest.approx(0.5**0.5), "the model was changed"


@pytest.mark.parametrize("biases", [0.0, 0.02])
def test_the_function_is_the_same_up_to_a_factor(biases):
    """Card: conv, ReLU, max pooling and linear nets; here with biases too, which take the scale of their input."""
    model = network(biases)
    assert log_spread(model) > 1
    new = rescale(model, IMAGES)
    assert log_spread(new) < 0.02, "each within 1 % of the target"
    before, after = np.asarray(model(IMAGES)), np.asarray(new(IMAGES))
    factor = (after * before).sum() / np.square(before).sum()
    np.testing.assert_allclose(after, factor * before, atol=1e-4 * np.abs(after).max())
    assert after.std(axis=0).mean() == pytest.approx(1.0, abs=0.05)
    others = np.random.default_rng(1).random(IMAGES.shape).astype(np.float32)
    np.testing.assert_allclose(new(others), factor * np.asarray(model(others)), atol=1e-4 * np.abs(after).max())


def test_branches_are_brought_together_again():
    """Inception modules: branches get different factors, and what reads them still sees the same up to one."""
    keras.utils.set_random_seed(0)
    model = build("inception_s", input_shape=(None, None, 3), fc=False)
    for number, layer in enumerate(model.layers):
        if isinstance(layer, layers.Conv2D):
            layer.kernel.assign(layer.kernel * np.random.default_rng(number).uniform(0.2, 3))
    images = np.random.default_rng(0).random((8, 32, 32, 3)).astype(np.float32)
    new = rescale(model, images)
    assert log_spread(new, images) < 0.25 * log_spread(model, images)
    before, after = (np.asarray(m(images)["conv5"], np.float64) for m in (model, new))
    factors = (after * before).sum(axis=(0, 1, 2)) / np.maximum(np.square(before).sum(axis=(0, 1, 2)), 1e-30)
    np.testing.assert_allclose(after, factors * before, atol=1e-4 * after.max())
    for branch in np.split(factors, [8, 24, 32]):
        alive = branch[branch > 0]
        np.testing.assert_allclose(alive, alive[0], rtol=1e-4)


def test_sums_of_branches_are_refused():
    x = keras.Input((4,))
    y = layers.Add(name="sum")([layers.Dense(4)(x), x])
    with pytest.raises(ModelError, match="'sum' joins branches"):
        rescale(keras.Model(x, layers.Dense(2)(y)), np.ones((2, 4), np.float32))


def test_it_follows_the_initialization(caplog):
    model = build("caffenet", input_shape=(None, None, 3), widths=(8, 8, 12, 12, 8), conv1_stride=2, fc=False)
    images = np.random.default_rng(0).random((8, 64, 64, 3)).astype(np.float32)
    new = data_dependent_init(model, images)
    assert log_spread(data_dependent_init(model, images, rescale=False), images) > 0.2
    assert log_spread(new, images) < 0.02
    assert not caplog.records, "its normalization is nearly homogeneous at this scale"


def test_what_is_not_homogeneous_is_told(caplog):
    """Saturated units: smaller weights before them change nothing behind."""
    x = keras.Input((4,))
    y = layers.Dense(8, kernel_initializer=keras.initializers.RandomNormal(stddev=20.0, seed=1))(x)
    y = layers.Activation("tanh")(y)
    y = layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=2))(y)
    rescale(keras.Model(x, y), np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32))
    assert "is not homogeneous: scaled outputs should have deviation" in caplog.text


def test_batch_normalization_is_refused_and_can_be_folded():
    keras.utils.set_random_seed(0)
    model = build("alexnet_s", input_shape=(None, None, 3), widths=(6,) * 5, normalization="batch", fc=False)
    images = np.random.default_rng(0).random((6, 32, 32, 3)).astype(np.float32)
    with pytest.raises(ModelError, match=r"'conv1_bn' is a BatchNormalization.*fold it first") as caught:
        rescale(model, images)
    assert "\n" not in str(caught.value)
    folded = fold_batch_normalization(data_dependent_init(model, images, rescale=False))
    assert log_spread(rescale(folded, images), images) < 0.02


def test_layers_beside_the_way_to_the_last_output_keep_their_scale():
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    shared = layers.Dense(6, use_bias=False, name="shared")(x)
    side, last = layers.Dense(2, name="side")(shared), layers.Dense(2, name="last")(shared)
    model = keras.Model(x, {"side": side, "last": last})
    new = rescale(model, np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32))
    np.testing.assert_allclose(
        new.get_layer("side").get_weights()[0], model.get_layer("side").get_weights()[0], rtol=1e-5
    )


def test_dead_layers_and_outputs_are_named():
    x = keras.Input((4,))
    y = layers.Concatenate()([layers.Dense(2, kernel_initializer="zeros", name="none")(x), layers.Dense(2)(x)])
    images = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with pytest.raises(ModelError, match="'none' is dead"):
        rescale(keras.Model(x, y), images)
    model = keras.Model(x, layers.Dense(2, kernel_initializer="zeros")(x))
    with pytest.raises(ModelError, match="the deviation of its outputs is 0"):
        rescale(model, images)
