"""Fully convolutional heads: which taps they use, and what they make of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfssl.backbones.small import alexnet_s, vgg_s
from tfssl.errors import ConfigError
from tfssl.evaluation.dense.head import full_size, head_taps, pixel_mean, score_head, tap_strides


def encoder(build, **options):
    rgb = keras.Input((None, None, 3))
    taps = build(rgb, fc=None, **options)
    return keras.Model(rgb, {f"conv{i}": taps[f"conv{i}"] for i in range(1, 6)})


def test_strides_are_measured():
    assert tap_strides(encoder(alexnet_s)) == {"conv1": 2, "conv2": 4, "conv3": 8, "conv4": 8, "conv5": 8}
    assert tap_strides(encoder(vgg_s)) == {"conv1": 1, "conv2": 2, "conv3": 2, "conv4": 4, "conv5": 4}


def test_only_maps_that_grow_have_a_stride():
    rgb = keras.Input((None, None, 3))
    one = keras.layers.Conv2D(2, 11, strides=4)(rgb)
    vector = keras.layers.GlobalAveragePooling2D()(one)
    maps = {"conv1": one, "conv2": keras.layers.MaxPooling2D(2)(one), "fc6": vector[:, None, None], "fc7": vector}
    network = keras.Model(rgb, maps)
    assert tap_strides(network) == {"conv1": 4, "conv2": 8}
    assert head_taps(network) == {"conv2": 8}
    with pytest.raises(ConfigError, match="fc6, fc7: none is a map that grows"):
        head_taps(network, taps=["fc6", "fc7"])


def test_a_head_takes_the_last_tap_of_each_stride():
    small, vgg = encoder(alexnet_s), encoder(vgg_s)
    assert head_taps(small) == {"conv5": 8}
    assert head_taps(small, "16s") == {"conv5": 8, "conv2": 4}
    assert list(head_taps(small, "8s").items()) == [("conv5", 8), ("conv2", 4), ("conv1", 2)]
    assert list(head_taps(vgg, "8s")) == ["conv5", "conv3", "conv1"]
    assert head_taps(vgg, "16s", taps=["conv4", "conv2"]) == {"conv4": 4, "conv2": 2}


@pytest.mark.parametrize(
    ("head", "taps", "words"),
    [
        ("4s", None, "`head` must be one of 32s, 16s, 8s"),
        ("8s", ["conv3", "conv4", "conv2"], "needs taps of 3 different strides.*choose '16s'"),
        ("16s", ["conv3"], "these have conv3 8; choose '32s'"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(head, taps, words):
    with pytest.raises(ConfigError, match=words) as caught:
        head_taps(encoder(alexnet_s), head, taps)
    assert "\n" not in str(caught.value)


def test_scores_are_the_sum_of_standardized_maps_through_their_kernels():
    """Against the same in NumPy: (x - mean) / std, a product with the kernel, the coarser doubled."""
    random = np.random.default_rng(0)
    coarse, fine = (random.normal(1.0, 3.0, (2, n, n, c)).astype(np.float32) for n, c in ((3, 5), (6, 4)))
    inputs = {
        tap: keras.Input((None, None, x.shape[-1]), name=tap) for tap, x in {"deep": coarse, "early": fine}.items()
    }
    model = keras.Model(inputs, score_head(7, ["deep", "early"], bias=tuple(range(7)))(inputs))
    maps = {"deep": coarse, "early": fine}
    np.testing.assert_array_equal(model(maps), np.broadcast_to(np.arange(7.0), (2, 6, 6, 7)))  # starts from its bias
    kernels = {tap: random.normal(size=(1, 1, x.shape[-1], 7)).astype(np.float32) for tap, x in maps.items()}
    for tap, kernel in kernels.items():
        model.get_layer(f"score_{tap}").kernel.assign(kernel)
    parts = {}
    for tap, x in maps.items():
        even = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
        parts[tap] = even @ kernels[tap][0, 0]
    enlarged = tf.image.resize(parts["deep"] + np.arange(7.0), (6, 6)).numpy()
    np.testing.assert_allclose(model(maps, training=True), enlarged + parts["early"], atol=2e-4)


def test_the_scale_of_maps_does_not_matter():
    """Deep maps of an untrained AlexNet differ by thousandths."""
    maps = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    deep = keras.Input((None, None, 4))
    model = keras.Model(deep, score_head(3, ["deep"])({"deep": deep}))
    model.get_layer("score_deep").kernel.assign(np.random.default_rng(1).normal(size=(1, 1, 4, 3)))
    np.testing.assert_allclose(
        model(1.0 + 0.002 * maps, training=True), model(maps, training=True), rtol=0.01, atol=0.01
    )


def test_enlarging_is_the_bilinear_transposed_convolution_of_fcn():
    """Away from the border, a transposed convolution with FCN's triangle kernel: stride 8, kernel 16."""
    scores = np.random.default_rng(0).normal(size=(1, 6, 5, 2)).astype(np.float32)
    triangle = 1 - np.abs(np.arange(16) - 7.5) / 8
    kernel = np.einsum("h,w,io->hwoi", triangle, triangle, np.eye(2)).astype(np.float32)
    wanted = tf.nn.conv2d_transpose(scores, kernel, (1, 48, 40, 2), 8, "SAME")
    inner = (slice(None), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(full_size(scores, 48, 40)[inner], wanted[inner], atol=1e-5)


def test_the_mean_over_known_pixels():
    values, known = tf.constant([[[1.0, 2.0], [3.0, 100.0]]]), tf.constant([[[True, True], [True, False]]])
    assert float(pixel_mean(values, known)) == 2.0
    assert float(pixel_mean(values, tf.zeros_like(known))) == 0.0
