"""Folded, fully convolutional and imported networks compute what the originals do."""

import keras
import numpy as np
import pytest

from tfssl.backbones import build
from tfssl.backbones.rebuilding import fold_batch_normalization, fully_convolutional, load_caffe_weights
from tfssl.errors import ModelError

NARROW = (4, 8, 8, 8, 8)


def pictures(rng, *shape):
    return rng.normal(0, 1, shape).astype(np.float32)


def randomize(model, rng):
    """Biases and statistics that differ from their trivial initial values."""
    for variable in model.variables:
        if len(variable.shape) == 1 and "seed" not in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))


@pytest.mark.parametrize(
    "name, normalization",
    [
        ("caffenet", "lrn_batch"),
        ("caffenet", "batch"),
        ("caffenet", {"conv5": "batch_without_scale"}),
        ("alexnet_s", "batch_without_affine"),
        ("vgg_s", "batch"),
    ],
)
def test_folding_keeps_the_outputs(name, normalization):
    rng = np.random.default_rng(0)
    options = {"widths": NARROW, "initializer": "he_normal"} if name == "caffenet" else {}
    model = build(name, input_shape=(67, 67, 3), fc=(16, 8), dropout=0.5, normalization=normalization, **options)
    randomize(model, rng)
    x = pictures(rng, 3, 67, 67, 3)
    kept = [w.copy() for w in model.get_weights()]
    folded = fold_batch_normalization(model)
    assert not [layer for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.name for layer in folded.layers} == {n.name for n in model.layers if not n.name.endswith("_bn")}
    for tap, value in model(x, training=False).items():
        assert np.abs(value).max() > 0.01
        np.testing.assert_allclose(folded(x)[tap], value, rtol=1e-4, atol=1e-4)
    for before, after in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_folding_leaves_what_it_cannot_fold():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="first")(inputs)  # no layer before
    y = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="active")(x)
    y = keras.layers.BatchNormalization(name="after_relu")(y)
    z = keras.layers.Conv2D(4, 3, padding="same", name="shared")(y)
    y = keras.layers.Add()([z, keras.layers.BatchNormalization(name="one_of_two_readers")(z)])
    y = keras.layers.BatchNormalization(name="folded")(keras.layers.Conv2D(2, 1, name="last")(y))
    model = keras.Model(inputs, y)
    rng = np.random.default_rng(0)
    randomize(model, rng)
    folded = fold_batch_normalization(model)
    left = [layer.name for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert left == ["first", "after_relu", "one_of_two_readers"]
    x = pictures(rng, 2, 8, 8, 3)
    np.testing.assert_allclose(folded(x), model(x, training=False), atol=1e-4)


def test_folding_a_tower_that_a_larger_model_uses():
    rng = np.random.default_rng(0)
    tower = build("alexnet_s", input_shape=(32, 32, 3), normalization="batch_without_affine")
    randomize(tower, rng)
    pair = [keras.Input((32, 32, 3)) for _ in range(2)]
    siamese = keras.Model(pair, keras.layers.Concatenate()([tower(x)["fc6"] for x in pair]))
    folded = fold_batch_normalization(tower)
    x = pictures(rng, 2, 32, 32, 3)
    np.testing.assert_allclose(folded(x)["fc6"], siamese([x, x])[:, :256], rtol=1e-4, atol=1e-4)
    with pytest.raises(ModelError, match="holds a network"):
        fold_batch_normalization(siamese)
    with pytest.raises(ModelError, match="functional"):
        fold_batch_normalization(keras.layers.Dense(1))


def test_fully_convolutional_alexnet():
    rng = np.random.default_rng(0)
    model = build(
        "caffenet", input_shape=(227, 227, 3), classes=21, widths=NARROW, fc=(32, 16), initializer="he_normal"
    )
    convolutional = fully_convolutional(model)
    assert convolutional.get_layer("fc6_dense").kernel.shape == (6, 6, 8, 32)
    x = pictures(rng, 2, 227, 227, 3)
    scores = convolutional(x)
    assert scores.shape == (2, 1, 1, 21)
    np.testing.assert_allclose(scores[:, 0, 0], model(x), rtol=1e-4, atol=1e-5)
    assert convolutional(pictures(rng, 1, 259, 291, 3)).shape == (1, 2, 3, 21)  # a window every 32 pixels


def test_fully_convolutional_keeps_taps_and_needs_dense_layers():
    model = build("vgg_s", input_shape=(32, 32, 3), fc=(8,), normalization="batch")
    x = pictures(np.random.default_rng(0), 2, 32, 32, 3)
    convolutional = fully_convolutional(model)(x)
    for tap, value in model(x).items():
        np.testing.assert_allclose(np.reshape(convolutional[tap], value.shape), value, rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="no Flatten layer"):
        fully_convolutional(build("vgg_s", input_shape=(32, 32, 3), fc=False))


def caffe_network(x, weights, groups):
    """conv1, ReLU, 2x2 pooling, conv2 (grouped), ReLU, fc6, ReLU, fc8 in NumPy, in Caffe's layout: x is (3, h, w)."""

    def convolution(x, kernel, bias, groups, pad):
        out, depth, k, _ = kernel.shape
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (1, 2))  # (c, h, w, k, k)
        y = np.empty((out, *windows.shape[1:3]))
        for o in range(out):
            start = o // (out // groups) * depth
            y[o] = np.einsum("chwij,cij->hw", windows[start : start + depth], kernel[o]) + bias[o]
        return np.maximum(y, 0)

    x = convolution(x, *weights["conv1"], 1, 1)
    x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
    x = convolution(x, *weights["conv2"], groups, 1)
    x = np.maximum(weights["fc6"][0] @ x.ravel() + weights["fc6"][1], 0)
    return weights["fc8"][0] @ x + weights["fc8"][1]


def small_caffe_net(rng):
    """A Keras network of the same layers, and random weights in Caffe's layout."""
    from tfssl.backbones.blocks import conv_relu, fully_connected, max_pool

    inputs = keras.Input((6, 8, 3))
    x = max_pool(conv_relu(inputs, 4, 3, "conv1", initializer="zeros"), 2, "pool1")
    x = conv_relu(x, 6, 3, "conv2", groups=2, initializer="zeros")
    x = fully_connected(x, (5,), dropout=0, initializer="zeros")["fc6"]
    model = keras.Model(inputs, keras.layers.Dense(3, name="fc8")(x))
    shapes = {"conv1": (4, 3, 3, 3), "conv2": (6, 2, 3, 3), "fc6": (5, 6 * 3 * 4), "fc8": (3, 5)}
    return model, {name: (rng.normal(size=shape), rng.normal(size=shape[0])) for name, shape in shapes.items()}


def test_caffe_weights_give_caffes_outputs():
    rng = np.random.default_rng(0)
    model, weights = small_caffe_net(rng)
    load_caffe_weights(model, weights)
    rgb = pictures(rng, 6, 8, 3)
    bgr = rgb[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(model(rgb[None])[0], caffe_network(bgr, weights, 2), rtol=1e-4)
    load_caffe_weights(model, weights, bgr=False)
    np.testing.assert_allclose(model(rgb[None])[0], caffe_network(rgb.transpose(2, 0, 1), weights, 2), rtol=1e-4)


def test_caffe_weights_fit_or_nothing_changes():
    model, weights = small_caffe_net(np.random.default_rng(0))
    kept = [w.copy() for w in model.get_weights()]
    with pytest.raises(ModelError, match="lack the layer 'fc8'"):
        load_caffe_weights(model, {k: v for k, v in weights.items() if k != "fc8"})
    with pytest.raises(ModelError, match="hold 'fc9'"):
        load_caffe_weights(model, {**weights, "fc9": weights["fc8"]})
    with pytest.raises(ModelError, match=r"'fc8' are \(3, 4\)"):
        load_caffe_weights(model, {**weights, "fc8": (np.zeros((3, 4)), np.zeros(3))})
    for before, after in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    load_caffe_weights(model, {k: v for k, v in weights.items() if k != "fc8"}, skip=("fc8",))
    np.testing.assert_array_equal(model.get_layer("fc8").kernel, kept[-2])
    assert np.any(model.get_layer("fc6_dense").kernel)
