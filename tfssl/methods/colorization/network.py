"""Colorization networks: lightness in, scores over the 313 ab bins (or ab itself) out.

Every network takes L in [0, 100] as (B, H, W, 1) and scales it itself: to (L - 50) / 100, the convention of the
authors' PyTorch port, or as the weights that it starts from want it.
"""

import numpy as np
from keras import Model, layers

from tfssl.backbones.adapter import strides, trunk
from tfssl.backbones.decoding import decode_maps
from tfssl.backbones.efficientnet import efficientnet_lite0
from tfssl.layers.color import StretchLightness
from tfssl.layers.convolution import DilatedStack
from tfssl.layers.normalization import CAFFE, batch_norm, set_batch_norm
from tfssl.layers.resizing import ResizeToStride, Upsample
from tfssl.methods.opened import is_open
from tfssl.ops.ab_bins import NUM_BINS

TAPS = {
    "paper": ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7"),
    "alexnet": ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"),
    "small": ("conv1", "conv2", "conv3", "conv4", "conv5"),
    "efficientnet_lite0": ("conv2", "conv3", "conv4", "conv5"),
}
"""Layer names that an encoder of the network exposes."""


def build_network(backbone, outputs="bins", channels=1):
    """Build a colorization network.

    Args:
        backbone: ``"paper"``, ``"alexnet"``, ``"small"`` or ``"efficientnet_lite0"``.
        outputs: ``"bins"`` for 313 logits, ``"ab"`` for two channels in ab units (the regression baseline).
        channels: of the input: 1, or 3 for a and b too, which only features for other tasks may see; see
            :func:`see_colors`.

    Returns:
        ``keras.Model``: L (B, H, W, 1) in [0, 100], or Lab -> (B, H / s, W / s, 313 or 2) in float32, see
        :data:`~tfssl.methods.colorization.data.OUTPUT_STRIDE` and ``INPUT_MULTIPLE`` there.
    """
    lightness = layers.Input((None, None, channels), name="lightness" if channels == 1 else "lab")
    if backbone == "efficientnet_lite0":
        # Of gray, L is nearly proportional to the 8-bit level: the scale (level - 127) / 128 that the weights know.
        x = StretchLightness(dtype="float32", name="stretch")(lightness)
        x = layers.Rescaling(2.55 / 128, offset=-127 / 128, name="center")(x)
    else:
        x = layers.Rescaling(1 / 100, offset=[-0.5, 0.0, 0.0][:channels], name="center")(lightness)
    filters = NUM_BINS if outputs == "bins" else 2
    # ab starts at gray. Random weights, times 110, start far outside of all colors: training has to undo that first.
    last = {"dtype": "float32", "kernel_initializer": "zeros" if outputs == "ab" else "glorot_uniform"}
    if is_open(backbone):
        stem = layers.Rescaling(4.0, name="standardize")  # L / 100 has a deviation of about 1/4
        maps = trunk(backbone, 1, stem=stem)
        x = decode_maps(maps(x), strides(maps), lightness, 4)
        x = layers.Conv2D(filters, 1, name="scores", **last)(x)
    elif backbone == "alexnet":
        x = _alexnet_trunk(x)
        # Scores are resized to the target grid; float32 keeps softmax and loss exact under mixed precision.
        x = layers.Conv2D(filters, 1, name="fc8", **last)(x)
        x = ResizeToStride(8, dtype="float32", name="to_grid")([x, lightness])
    else:
        x = {"paper": _paper_trunk, "small": _small_trunk, "efficientnet_lite0": _lite_trunk}[backbone](x)
        x = layers.Conv2D(filters, 1, name="scores", **last)(x)
    if outputs == "ab":
        x = layers.Rescaling(110.0, dtype="float32", name="ab")(x)
    network = Model(lightness, x, name=f"colorization_{'open' if is_open(backbone) else backbone}")
    return set_batch_norm(network, **CAFFE) if backbone in ("paper", "alexnet") else network


def _paper_trunk(x):
    """The released (ECCV, "v2") network: conv1_1 ... conv8_3 of Zhang et al., dilation 2 in conv5 and conv6."""
    for block, (filters, depth) in enumerate([(64, 2), (128, 2), (256, 3)], start=1):
        for i in range(1, depth):
            x = _conv_relu(x, filters, f"conv{block}_{i}")
        # Explicit symmetric padding: Keras' "same" pads a strided convolution on one side only.
        x = layers.ZeroPadding2D(1, name=f"conv{block}_pad")(x)
        x = _conv_relu(x, filters, f"conv{block}_{depth}", strides=2, padding="valid")
        x = batch_norm(name=f"conv{block}")(x)
    for block, dilation in ((4, 1), (5, 2), (6, 2), (7, 1)):
        x = DilatedStack(512, depth=3, dilation=dilation, name=f"conv{block}")(x)
    x = layers.Conv2DTranspose(
        256, 4, strides=2, padding="same", activation="relu", kernel_initializer="he_normal", name="conv8_1"
    )(x)
    for i in (2, 3):
        x = _conv_relu(x, 256, f"conv8_{i}")
    return x


def _conv_relu(x, filters, name, *, strides=1, padding="same"):
    return layers.Conv2D(
        filters, 3, strides=strides, padding=padding, activation="relu", kernel_initializer="he_normal", name=name
    )(x)


def _alexnet_trunk(x):
    """The representation variant: grouped AlexNet with fc6 and fc7 as convolutions, conv -> BN -> ReLU."""
    x = _conv_bn_relu(x, 96, 11, "conv1", strides=4, pad=5)
    x = _caffe_pool(x, 2, "pool1")
    x = _conv_bn_relu(x, 256, 5, "conv2", pad=2, groups=2)
    x = _caffe_pool(x, 2, "pool2")
    x = _conv_bn_relu(x, 384, 3, "conv3", pad=1)
    x = _conv_bn_relu(x, 384, 3, "conv4", pad=1, groups=2)
    x = _conv_bn_relu(x, 256, 3, "conv5", pad=1, groups=2)
    x = _caffe_pool(x, 1, "pool5")
    x = _conv_bn_relu(x, 4096, 6, "fc6", pad=5, dilation=2)
    return _conv_bn_relu(x, 4096, 1, "fc7")


def _conv_bn_relu(x, filters, kernel, name, *, strides=1, pad=0, groups=1, dilation=1, use_bias=True):
    if pad:
        x = layers.ZeroPadding2D(pad, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        groups=groups,
        dilation_rate=dilation,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = batch_norm(name=f"{name}_bn")(x)
    return layers.ReLU(name=name)(x)


def _caffe_pool(x, strides, name):
    # 3x3 max pooling with one pixel of padding. The values come out of a ReLU, so padding with zeros is padding
    # with nothing; the extra pixel at the end stands for Caffe's rounding up of the output size.
    x = layers.ZeroPadding2D(((1, strides), (1, strides)), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, strides, name=name)(x)


def _small_trunk(x):
    """A residual encoder-decoder of 3.2 million parameters for CPUs and phones.

    Most work happens at 1/8 and 1/16 of the input, where a 3x3 convolution sees objects; one vector pooled over
    the whole image tells every position its kind of scene (the global features of Iizuka et al., 2016); two skips
    bring edges back, so that colors stop where things do.
    """
    x = _conv_bn_relu(x, 32, 3, "stem", strides=2, pad=1, use_bias=False)
    x = _conv_bn_relu(x, 64, 3, "conv1_down", strides=2, pad=1, use_bias=False)
    quarter = x = _residual(x, 64, "conv1")
    x = _conv_bn_relu(x, 128, 3, "conv2_down", strides=2, pad=1, use_bias=False)
    x = _residual(x, 128, "conv2")
    eighth = x = _residual(x, 128, "conv3")
    x = _conv_bn_relu(x, 176, 3, "conv4_down", strides=2, pad=1, use_bias=False)
    for i in (1, 2):
        x = _residual(x, 176, f"conv4_{i}" if i == 1 else "conv4")
    x = _residual(x, 176, "conv5_residual")
    x = _add_scene(x, 176, "conv5")
    x = _join(x, eighth, 128, "decode8")
    return _join(x, quarter, 96, "decode4")


def _conv3(x, filters, name):
    return layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _residual(x, filters, name):
    y = _conv3(x, filters, f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(batch_norm(name=f"{name}_a_bn")(y))
    y = _conv3(y, filters, f"{name}_b")
    # A zero scale lets each block start as the identity (Goyal et al., 2017).
    y = batch_norm(gamma_initializer="zeros", name=f"{name}_b_bn")(y)
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([x, y]))


def _add_scene(x, filters, name):
    scene = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    scene = layers.Conv2D(filters, 1, activation="relu", name=f"{name}_scene_a")(scene)
    scene = layers.Conv2D(filters, 1, name=f"{name}_scene_b")(scene)
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([x, scene]))


def _join(x, skip, filters, name):
    x = Upsample(2, name=f"{name}_up")(x)
    x = layers.Concatenate(name=f"{name}_join")([x, skip])
    x = _conv3(x, filters, f"{name}_conv")
    return layers.ReLU(name=name)(batch_norm(name=f"{name}_bn")(x))


def _lite_trunk(x):
    """EfficientNet-Lite0 and a light decoder, 4,456,953 parameters in all, for CPUs and phones.

    The trunk knows objects if it starts from ImageNet's classes. The scene vector joins at the coarsest map, as in
    :func:`_small_trunk`; bottlenecks of the trunk bring edges back at 1/16, 1/8 and 1/4.
    """
    taps = efficientnet_lite0(x, head=False)
    x = _conv3(taps["conv5"], 192, "decode32_conv")
    x = layers.ReLU(name="decode32")(batch_norm(name="decode32_bn")(x))
    x = _add_scene(x, 192, "scene")
    for tap, filters, stride in (("conv4", 160, 16), ("conv3", 128, 8), ("conv2", 96, 4)):
        x = _join(x, taps[tap], filters, f"decode{stride}")
    return x


def see_colors(model, backbone):
    """A copy of a trained network, with variables of its own, that takes Lab (B, H, W, 3): for fine-tuning in color.

    For the backbones of :data:`~tfssl.methods.colorization.data.COLOR_BACKBONES`. Its first convolution has weights for
    a and b, which are 0: at first it computes what ``model`` does.
    """
    outputs = "bins" if model.output.shape[-1] == NUM_BINS else "ab"
    colored = build_network(backbone, outputs, channels=3)
    for layer in (layer for layer in colored.layers if layer.weights):
        wanted = model.get_layer(layer.name).get_weights()
        if isinstance(layer, layers.Conv2D) and layer.kernel.shape != wanted[0].shape:
            wanted[0] = np.pad(wanted[0], [(0, 0), (0, 0), (0, 2), (0, 0)])
        layer.set_weights(wanted)
    return colored


def encoder_taps(model, backbone):
    """Outputs of the named blocks of ``model``, as ``{tap: KerasTensor}``."""
    if is_open(backbone):
        return model.get_layer("trunk")(model.get_layer("center")(model.input))
    return {name: model.get_layer(name).output for name in TAPS[backbone]}
