"""Parameters and output sizes of every backbone, against the papers' and Caffe's tables."""

import math

import keras
import pytest

from tfssl.backbones import BACKBONES, build

CONV = ("conv1", "conv2", "conv3", "conv4", "conv5")
GROUPED = [34_944, 307_456, 885_120, 663_936, 442_624]
UNGROUPED = [34_944, 614_656, 885_120, 1_327_488, 884_992]


def count(model, layer):
    return model.get_layer(layer).count_params()


def per_convolution(model):
    return [layer.count_params() for layer in model.layers if layer.name.endswith("_conv")]


def sizes(model, taps):
    return [model.output[tap].shape[1] for tap in taps]


@pytest.mark.parametrize(
    "name, groups, convolutions, total",
    [
        ("caffenet", 2, GROUPED, 60_965_224),
        ("alexnet", 2, GROUPED, 60_965_224),
        ("caffenet", 1, UNGROUPED, 62_378_344),
    ],
)
def test_alexnet_parameters(name, groups, convolutions, total):
    model = build(name, input_shape=(227, 227, 3), classes=1000, groups=groups, initializer="zeros")
    assert per_convolution(model) == convolutions
    dense = [count(model, layer) for layer in ("fc6_dense", "fc7_dense", "fc8")]
    assert dense == [37_752_832, 16_781_312, 4_097_000]
    assert model.count_params() == sum(convolutions) + sum(dense) == total


def test_multiply_adds_of_alexnet():
    model = build("caffenet", input_shape=(227, 227, 3), classes=1000, initializer="zeros")
    weighted = [layer for layer in model.layers if hasattr(layer, "kernel")]
    work = [math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) for layer in weighted]
    assert work[:5] == [105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192]
    assert sum(work) == 724_406_816


def test_one_weird_trick():
    model = build(
        "alexnet",
        input_shape=(224, 224, 3),
        classes=1000,
        widths=(64, 192, 384, 256, 256),
        groups=1,
        conv1_padding=2,
        normalization=None,
        initializer="zeros",
    )
    assert sum(per_convolution(model)) == 2_469_696
    assert model.count_params() == 61_100_840


def test_zf():
    model = build("zf", input_shape=(224, 224, 3), classes=1000, initializer="zeros")
    assert per_convolution(model) == [14_208, 614_656, 885_120, 1_327_488, 884_992]
    assert model.count_params() == 62_357_608
    taps = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    assert sizes(build("zf", input_shape=(224, 224, 3), fc=False), taps) == [110, 55, 26, 13, 13, 13, 13, 6]


@pytest.mark.parametrize("name, trunk, total", [("vgg16", 14_714_688, 138_357_544), ("vgg19", 20_024_384, 143_667_240)])
def test_vgg_totals(name, trunk, total):
    model = build(name, input_shape=(224, 224, 3), classes=1000, initializer="zeros")
    assert sum(per_convolution(model)) == trunk
    assert count(model, "fc6_dense") == 102_764_544
    assert model.count_params() == total


def test_vgg16_layers():
    model = build("vgg16", input_shape=(224, 224, 3), fc=None, initializer="zeros")
    expected = [1_792, 36_928, 73_856, 147_584, 295_168, 590_080, 590_080, 1_180_160] + 5 * [2_359_808]
    assert per_convolution(model) == expected
    pools = [f"pool{i}" for i in range(1, 6)]
    assert sizes(model, pools) == [112, 56, 28, 14, 7]
    assert sizes(build("vgg16", input_shape=(96, 96, 3), fc=None, initializer="zeros"), pools) == [48, 24, 12, 6, 3]


def test_vgg_style_context_prediction_trunk():
    # 13 convolutions and fc6 on 96-pixel patches; batch normalization without affine has no parameters to train.
    model = build(
        "vgg16", input_shape=(96, 96, 3), fc=(4096,), normalization="batch_without_affine", initializer="zeros"
    )
    trainable = sum(math.prod(v.shape) for v in model.trainable_variables)
    assert trainable == 14_714_688 + 4608 * 4096 + 4096


GOOGLENET = {
    "3a": (163_696, 28, 256),
    "3b": (388_736, 28, 480),
    "4a": (376_176, 14, 512),
    "4b": (449_160, 14, 512),
    "4c": (510_104, 14, 512),
    "4d": (605_376, 14, 528),
    "4e": (868_352, 14, 832),
    "5a": (1_043_456, 7, 832),
    "5b": (1_444_080, 7, 1024),
}


def test_googlenet_modules():
    model = build("googlenet", input_shape=(224, 224, 3), initializer="zeros")
    for module, (parameters, size, channels) in GOOGLENET.items():
        prefix = f"inception_{module}"
        assert sum(layer.count_params() for layer in model.layers if layer.name.startswith(prefix)) == parameters
        assert model.output[prefix].shape == (None, size, size, channels)
    assert sizes(model, ("conv1", "pool1", "conv2", "pool2")) == [112, 56, 56, 28]
    assert model.output["pool5"].shape == (None, 1024)
    assert model.count_params() == 5_973_552
    assert model.output["conv4"] is model.output["inception_4e"]


def test_googlenet_classifiers():
    model = build("googlenet", input_shape=(224, 224, 3), classes=1000, auxiliary=True, initializer="zeros")
    own = {
        branch: sum(layer.count_params() for layer in model.layers if layer.name.startswith(branch))
        for branch in ("aux1", "aux2")
    }
    assert own == {"aux1": 3_188_840, "aux2": 3_190_888}
    assert model.get_layer("aux1_flatten").output.shape == (None, 2048)
    assert model.count_params() == 13_378_280
    assert count(model, "fc8") == 1_025_000
    assert {name: x.shape for name, x in model.output.items()} == dict.fromkeys(
        ("logits", "aux1", "aux2"), (None, 1000)
    )


TAPS = ("conv1", "pool1", "pool2", "pool5")


@pytest.mark.parametrize(
    "size, options, expected",
    [
        (227, {}, [55, 27, 13, 6]),
        (224, {}, [54, 27, 13, 6]),
        (96, {"conv1_padding": 5}, [24, 12, 6, 3]),
        (64, {"conv1_stride": 2}, [27, 13, 6, 3]),
        (75, {"conv1_stride": 2}, [33, 16, 8, 4]),
        (128, {}, [30, 15, 7, 3]),
        (600, {"conv1_padding": 5}, [150, 75, 37, 18]),
        (96, {"padding": "same"}, [24, 12, 6, 3]),  # card of spotting artifacts; pool5 is not used there
        (96, {"conv1_padding": 5, "widths": (96, 384, 384, 384, 256), "conv2_stride": 2}, [24, 12, 3, 1]),
    ],
)
def test_alexnet_sizes(size, options, expected):
    model = build("caffenet", input_shape=(size, size, 3), fc=False, initializer="zeros", **options)
    assert sizes(model, TAPS) == expected


@pytest.mark.parametrize("name", BACKBONES)
def test_any_size_and_channels(name):
    options = {} if name in ("googlenet", "efficientnet_lite0") else {"fc": False}
    model = build(name, input_shape=(None, None, 2), initializer="zeros", **options)
    for height, width in ((97, 64), (120, 75)):
        taps = model(keras.ops.zeros((1, height, width, 2)))
        known = build(name, input_shape=(height, width, 2), initializer="zeros", **options)
        for tap in CONV:
            assert tuple(taps[tap].shape[1:]) == known.output[tap].shape[1:]
    assert set(CONV) <= set(model.output)


@pytest.mark.parametrize(
    "name, expected",
    [("alexnet_s", [32, 16, 8, 8, 8]), ("vgg_s", [64, 32, 32, 16, 16]), ("inception_s", [32, 16, 16, 8, 8])],
)
def test_small_sizes(name, expected):
    model = build(name, input_shape=(64, 64, 3))
    assert sizes(model, CONV) == expected
    assert model.output["fc6"].shape == (None, 256)
