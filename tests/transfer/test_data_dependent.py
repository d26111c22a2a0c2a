"""Data-dependent initial weights: the spread that every layer is promised, on networks of every kind here."""

import keras
import numpy as np
import pytest
from keras import layers

from tfssl.backbones import build
from tfssl.errors import ConfigError, ModelError
from tfssl.layers.convolution import GroupedConv2D
from tfssl.layers.normalization import Standardize
from tfssl.transfer.data_dependent import data_dependent_init
from tfssl.transfer.kernels import KINDS, draw_kernel, kernel_matrices, kernel_of, random_windows


def pictures(count=12, side=32, channels=3, seed=0):
    """Smooth noise in [0, 1], more like photographs than white noise."""
    random = np.random.default_rng(seed)
    coarse = random.random((count, side // 4, side // 4, channels))
    fine = np.kron(coarse, np.ones((1, 4, 4, 1)))
    return np.clip(0.8 * fine + 0.2 * random.random(fine.shape), 0, 1).astype(np.float32)


def before_relu(model, images):
    """What enters each ReLU layer, by its name; the model must hold no other model."""
    relus = [layer for layer in model.layers if isinstance(layer, layers.ReLU)]
    return keras.Model(model.input, {layer.name: layer.input for layer in relus})(images)


def check_spread(maps, mean=0.1):
    for name, values in maps.items():
        rows = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        np.testing.assert_allclose(rows.mean(axis=0), mean, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(rows.std(axis=0), 1.0, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_channel_has_mean_a_tenth_and_deviation_one(kind):
    """Card: each layer's pre-activation on the calibration batch; strides, pooling, dense layers with few pictures."""
    keras.utils.set_random_seed(0)
    model = build("alexnet_s", input_shape=(32, 32, 3), widths=(12, 16, 8, 8, 8), fc=(20,))
    images, old = pictures(), model.get_weights()
    new = data_dependent_init(model, images, kind=kind, rescale=False, seed=3)
    check_spread(before_relu(new, images))
    again = data_dependent_init(model, images, kind=kind, rescale=False, seed=3)
    other = data_dependent_init(model, images, kind=kind, rescale=False, seed=4)
    for one, two in zip(new.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    kernels = zip(new.get_weights()[::2], other.get_weights()[::2], strict=True)
    assert any((one != two).any() for one, two in kernels) == (kind != "pca" or len(images) < 20)
    assert all((one == two).all() for one, two in zip(old, model.get_weights(), strict=True)), "the model was changed"


def test_groups_normalization_and_branches():
    images = pictures()
    grouped = build("caffenet", input_shape=(None, None, 3), widths=(8, 8, 8, 8, 8), conv1_stride=2, fc=False)
    check_spread(before_relu(data_dependent_init(grouped, pictures(side=64), rescale=False), pictures(side=64)))
    check_spread(
        before_relu(data_dependent_init(build("inception_s", input_shape=(32, 32, 3)), images, rescale=False), images)
    )


def test_batch_normalization_passes_the_same_spread_on(caplog):
    images = pictures()
    model = build("alexnet_s", input_shape=(None, None, 3), widths=(8,) * 5, normalization="batch", fc=False)
    new = data_dependent_init(model, images, kind="pca")
    assert "not rescaled: alexnet_s has batch normalization (conv1_bn)" in caplog.text
    for name, values in before_relu(new, images).items():
        rows = np.asarray(values).reshape(-1, values.shape[-1])
        np.testing.assert_allclose(rows.mean(axis=0), 0.1, atol=1e-3, err_msg=name)
        np.testing.assert_allclose(rows.std(axis=0), 1.0, atol=2e-3, err_msg=name)  # its epsilon
    bare = build(
        "alexnet_s", input_shape=(None, None, 3), widths=(8,) * 5, normalization="batch_without_affine", fc=False
    )
    check = before_relu(data_dependent_init(bare, images, rescale=False), images)
    for values in check.values():
        np.testing.assert_allclose(np.mean(values, axis=(0, 1, 2)), 0.0, atol=1e-3)


def test_an_encoder_with_a_network_inside():
    """As the methods build them: a layer without weights, then a model with activations inside its layers."""
    pixels = keras.Input((None, None, 3))
    one = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(pixels)
    two = layers.Conv2D(5, 3, dilation_rate=2, activation="relu", name="conv_2")(one)
    tower = keras.Model(pixels, {"conv1": one, "conv2": two}, name="tower")
    rgb = keras.Input((None, None, 3))
    taps = tower(Standardize((1, 2))(rgb))
    encoder = keras.Model(rgb, {"conv1": taps["conv1"], "conv2": taps["conv2"]})
    images = pictures(40)  # more than two batches
    new = data_dependent_init(encoder, images, rescale=False)
    assert list(new.output) == ["conv1", "conv2"]
    maps = Standardize((1, 2))(images)
    for layer in new.get_layer("tower").layers[1:]:
        after = layer(maps)
        layer.activation = keras.activations.linear
        check_spread({layer.name: layer(maps)})
        maps = after


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("strides", "rate", "groups"), [(1, 1, 1), (2, 1, 2), (3, 1, 1), (1, 2, 2)])
def test_windows_are_what_the_layer_multiplies(padding, strides, rate, groups):
    """The product of all windows with the kernel's matrix holds the layer's outputs, place for place."""
    kind = layers.Conv2D if groups == 1 else GroupedConv2D
    layer = kind(6, (3, 4), strides=strides, padding=padding, dilation_rate=rate, groups=groups, use_bias=False)
    images = np.random.default_rng(0).normal(size=(2, 9, 11, 4)).astype(np.float32)
    outputs = np.asarray(layer(images)).reshape(-1, 6)
    windows = random_windows(layer, images, 10**6, np.random.default_rng(1))
    matrices = kernel_matrices(layer, np.asarray(layer.kernel))
    products = np.hstack([rows @ matrix for rows, matrix in zip(windows, matrices, strict=True)])
    assert len(products) == len(outputs)
    # The places of a picture come in random order.
    np.testing.assert_allclose(products[np.lexsort(products.T)], outputs[np.lexsort(outputs.T)], atol=1e-5)
    np.testing.assert_array_equal(kernel_of(layer, matrices), np.asarray(layer.kernel))


def test_kernels_are_what_their_names_say():
    random = np.random.default_rng(0)
    mixing = np.linalg.qr(random.normal(size=(6, 6)))[0]
    windows = 5 + random.normal(size=(4000, 6)) * [8, 6, 4, 2, 1, 0.5] @ mixing.T
    pca = draw_kernel("pca", windows, 3, random)
    cosines = np.abs(mixing[:, :3].T @ (pca / np.linalg.norm(pca, axis=0)))
    np.testing.assert_allclose(cosines, np.eye(3), atol=0.06)
    np.testing.assert_allclose(
        np.diag(1 / (windows @ pca).std(axis=0) ** 2) @ np.cov((windows @ pca).T), np.eye(3), atol=1e-2
    )
    zca = draw_kernel("zca", windows, 6, random)
    covariance = np.cov((windows @ zca).T)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(6), atol=1e-6)
    assert np.linalg.matrix_rank(zca) == 6
    filled = draw_kernel("pca", windows, 9, random)
    assert filled.shape == (6, 9) and np.linalg.matrix_rank(filled) == 6
    assert draw_kernel("kmeans", windows[:5], 6, random).shape == (6, 6), "fewer windows than outputs"


def test_centers_lie_in_the_clusters():
    """Windows from three narrow clusters: each center answers to one of them far more than to the others."""
    random = np.random.default_rng(0)
    means = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], float)
    labels = random.integers(0, 3, 3000)
    windows = means[labels] + 0.05 * random.normal(size=(3000, 4))
    answers = windows @ draw_kernel("kmeans", windows, 3, random)
    by_cluster = np.array([answers[labels == i].mean(axis=0) for i in range(3)])
    assert sorted(by_cluster.argmax(axis=0)) == [0, 1, 2]
    assert (
        np.sort(by_cluster, axis=0)[-1] - np.sort(by_cluster, axis=0)[-2] > 5 * answers[labels == 0].std(axis=0)
    ).all()


def dense(**options):
    one = keras.Input((4,))
    return keras.Model(one, layers.Dense(2, **options)(one))


@pytest.mark.parametrize(
    ("model", "images", "options", "words"),
    [
        (dense(), np.ones((4, 4), np.float32), {"kind": "kmean"}, "`kind` must be one of random, pca"),
        (dense(), np.ones((4, 5), np.float32), {}, r"`images` must be at least two float images \(N, 4\)"),
        (dense(), np.ones((4, 4), np.uint8), {}, "Received: uint8"),
        (dense(), np.full((4, 4), np.nan, np.float32), {}, "NaN"),
    ],
)
def test_wrong_use_is_one_line(model, images, options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        data_dependent_init(model, images, **options)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_initialized_is_named():
    with pytest.raises(ModelError, match=r"'dense.*': no image moves channel 0"):
        data_dependent_init(dense(), np.ones((4, 4), np.float32), kind="random")
    rgb = keras.Input((8, 8, 3))
    model = keras.Model(rgb, layers.Conv2DTranspose(4, 3, name="up")(rgb))
    with pytest.raises(ModelError, match="'up' is a Conv2DTranspose; layers with weights must be"):
        data_dependent_init(model, pictures(side=8))
    with pytest.raises(ModelError, match="functional"):
        data_dependent_init(layers.Dense(3), np.ones((2, 4), np.float32))
