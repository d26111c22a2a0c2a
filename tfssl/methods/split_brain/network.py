"""Networks that predict channels of a Lab image from others, or color and depth from each other, and their encoders.

All take Lab, (B, H, W, 3) with L in [0, 100], and take 50 from L themselves; HHA comes behind, three channels in
[0, 255]. What looks at which channels is a model of its own, a stream: no layer, statistic or normalization is shared
between two streams.
"""

import keras
import numpy as np
from keras import initializers, layers, ops

from tfssl.backbones.adapter import strides, trunk
from tfssl.backbones.alexnet import WIDTHS, alexnet
from tfssl.backbones.blocks import conv_relu, max_pool
from tfssl.backbones.decoding import decode_maps
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.rebuilding import fold_batch_normalization
from tfssl.backbones.small import alexnet_s
from tfssl.layers.color import Lab
from tfssl.layers.normalization import CAFFE, batch_norm, set_batch_norm
from tfssl.methods.opened import OPEN_STRIDE, is_open

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""Layers that an encoder exposes."""

LIGHTNESS_BINS = 50
"""Classes of L, 2 units wide."""

_SMALL_WIDTHS = (32, 64, 96, 96, 96)  # of conv1 ... conv5 of the small backbone, of both halves together
_DEVIATION = 25.0  # of L, a and b, about
# What the streams see, by their names: in "ensemble" two see L.
_CHANNELS = {
    "lightness": slice(0, 1),
    "lightness_again": slice(0, 1),
    "ab": slice(1, 3),
    "lab": slice(0, 3),
    "hha": slice(3, 6),
}
_BRANCH = 8  # fc6 and fc7 of the two branches on HHA have an eighth of the channels, in the paper 512


def build_network(task, backbone, *, fc, outputs, input_dropout=0.0):
    """Build a network of a task.

    - ``"split"``: two streams of half the width. One sees L and predicts ab, the other sees ab and predicts L.
    - ``"l_to_ab"``, ``"ab_to_l"``: one stream of the full width that sees L or ab.
    - ``"ensemble"``: two streams of half the width that both see L and predict ab.
    - ``"shared"``: one stream of the full width for Lab predicts ab where a and b are zero, and L where L is.
    - ``"autoencoder"``: one stream of the full width sees Lab, or what ``input_dropout`` leaves of it, and predicts it.
    - ``"mixture"``: the stream of ``"shared"`` predicts Lab from Lab too.
    - ``"rgbd"``: two streams of the full width. One sees Lab and predicts HHA. The other sees HHA; behind conv5 it has
      two branches, of an eighth of ``fc``, that predict ab and L.

    Args:
        task, backbone, fc, input_dropout: fields of :class:`~tfssl.methods.SplitBrain`.
        outputs: ``{"ab": channels, "lightness": channels}`` of the predictions, and of ``"ab_again"`` (the second
            stream of ``"ensemble"``, Lab from Lab of ``"mixture"``), ``"lightness_again"`` and ``"hha"``.

    Returns:
        ``keras.Model``: Lab (B, H, W, 3), with ``"rgbd"`` Lab and HHA (B, H, W, 6) -> scores (B, h, w, C) in float32:
        those of ab, of L, the second ones of both, and of HHA, as far as the task predicts them. h and w:
        :func:`~tfssl.methods.split_brain.data.grid_size`.
    """
    lab = layers.Input((None, None, 6 if task == "rgbd" else 3), name="lab_hha" if task == "rgbd" else "lab")
    x = _centered(lab)

    def stream(sees, **options):
        return _stream(backbone, sees, **({"fc": fc} | options))

    if task == "split":
        half = {"fc": fc // 2, "halves": 2}
        predictions = {
            "ab": stream("lightness", **half)(x[..., :1])["fc7"],
            "lightness": stream("ab", **half)(x[..., 1:])["fc7"],
        }
    elif task == "ensemble":
        half = {"fc": fc // 2, "halves": 2}
        predictions = {
            "ab": stream("lightness", **half)(x[..., :1])["fc7"],
            "ab_again": stream("lightness_again", **half)(x[..., :1])["fc7"],
        }
    elif task == "l_to_ab":
        predictions = {"ab": stream("lightness")(x[..., :1])["fc7"]}
    elif task == "ab_to_l":
        predictions = {"lightness": stream("ab")(x[..., 1:])["fc7"]}
    elif task in ("shared", "mixture"):
        both, nothing = stream("lab"), ops.zeros_like(x)
        predictions = {
            "ab": both(ops.concatenate([x[..., :1], nothing[..., 1:]], axis=-1))["fc7"],
            "lightness": both(ops.concatenate([nothing[..., :1], x[..., 1:]], axis=-1))["fc7"],
        }
        if task == "mixture":
            seen = both(x)["fc7"]
            predictions |= {"ab_again": seen, "lightness_again": seen}
    elif task == "rgbd":
        depth = stream("hha", fc=fc // _BRANCH, branches=("ab_", "lightness_"))(x[..., 3:])
        predictions = {
            "ab": depth["ab_fc7"],
            "lightness": depth["lightness_fc7"],
            "hha": stream("lab")(x[..., :3])["fc7"],
        }
    else:
        x = layers.Dropout(input_dropout, name="input_dropout")(x) if input_dropout else x
        seen = stream("lab")(x)["fc7"]
        predictions = {"ab": seen, "lightness": seen}
    # float32 keeps softmax and loss exact under mixed precision.
    scores = [
        layers.Conv2D(outputs[name], 1, dtype="float32", name=f"{name}_scores")(maps)
        for name, maps in predictions.items()
    ]
    x = layers.Concatenate(dtype="float32", name="scores")(scores) if len(scores) > 1 else scores[0]
    network = keras.Model(lab, x, name=f"split_brain_{'open' if is_open(backbone) else backbone}")
    return set_batch_norm(network, **CAFFE) if backbone == "alexnet" else network


def _centered(lab):
    offset = [-50.0, 0.0, 0.0] + [-127.5] * (lab.shape[-1] - 3)
    return layers.Rescaling(1.0, offset=offset, dtype="float32", name="center")(lab)


def _stream(backbone, sees, fc, *, halves=1, branches=("",)):
    """``{"conv1": ..., "conv5": ..., "fc7": ...}`` of some channels of centered Lab and HHA, a model ``<sees>_stream``.

    ``sees`` (a key of ``_CHANNELS``) stands before all layer names, by which weights are found. ``halves``: 2 for half
    the width of the convolutions; an open backbone is a whole network for each stream. ``branches`` have an fc6 and fc7
    each, and their names before those.
    """
    channels = _CHANNELS[sees]
    pixels = layers.Input((None, None, channels.stop - channels.start), name=sees)
    if is_open(backbone):
        stem = layers.Rescaling(1 / _DEVIATION, name=f"{sees}_standardize")
        maps = trunk(backbone, pixels.shape[-1], stem=stem, name=f"{sees}_trunk", rgb=False)
        taps = maps(pixels)
        x = decode_maps(taps, strides(maps), pixels, OPEN_STRIDE, name_prefix=f"{sees}_")
        tops = {
            f"{branch}fc7": conv_relu(x, fc, 1, f"{sees}_{branch}fc7", normalization="batch", initializer="he_normal")
            for branch in branches
        }
        return keras.Model(pixels, {**taps, **tops}, name=f"{sees}_stream")
    trunk_of, top_of = (_alexnet_trunk, _alexnet_fc7) if backbone == "alexnet" else (_small_trunk, _small_fc7)
    taps = trunk_of(pixels, halves, f"{sees}_")
    tops = {f"{branch}fc7": top_of(taps, fc, f"{sees}_{branch}") for branch in branches}
    return keras.Model(pixels, {**{name: taps[name] for name in TAPS}, **tops}, name=f"{sees}_stream")


def _alexnet_trunk(pixels, halves, prefix):
    """The fully convolutional AlexNet of the paper's appendix: conv -> BN -> ReLU."""
    return alexnet(
        pixels,
        widths=tuple(width // halves for width in WIDTHS),
        groups=2 // halves,
        conv1_padding=5,
        pool_padding=1,
        normalization=dict.fromkeys(TAPS, "batch_without_affine"),
        fc=None,
        initializer="he_normal",
        bias=0.0,
        name_prefix=prefix,
    )


def _alexnet_fc7(taps, fc, prefix):
    """fc6, dilated and padded by 5, and fc7.

    The appendix prints a padding of 6, which would give 14x14 cells for its 12x12; the released files have 5.
    """
    x = max_pool(taps["conv5"], 3, f"{prefix}pool5", strides=1, padding=1)
    x = layers.ZeroPadding2D(5, name=f"{prefix}fc6_pad")(x)
    x = layers.Conv2D(fc, 6, dilation_rate=2, kernel_initializer="he_normal", name=f"{prefix}fc6_conv")(x)
    x = layers.ReLU(name=f"{prefix}fc6")(batch_norm(center=False, scale=False, name=f"{prefix}fc6_bn")(x))
    return conv_relu(x, fc, 1, f"{prefix}fc7", normalization="batch_without_affine", initializer="he_normal")


def _small_trunk(pixels, halves, prefix):
    """Five 3x3 convolutions for images of 64 pixels, of which 8x8 cells are predicted."""
    widths = tuple(width // halves for width in _SMALL_WIDTHS)
    return alexnet_s(
        pixels, widths=widths, conv1_kernel=3, conv1_stride=1, normalization="batch", fc=None, name_prefix=prefix
    )


def _small_fc7(taps, fc, prefix):
    x = conv_relu(taps["pool5"], fc, 3, f"{prefix}fc6", normalization="batch", initializer="he_normal")
    return conv_relu(x, fc, 1, f"{prefix}fc7", normalization="batch", initializer="he_normal")


def build_encoder(model):
    """Features of whole images, by the model's variables: the streams' maps one behind the other, those of L first.

    Of task ``"rgbd"`` the stream that sees color; :func:`build_depth_encoder` is the other.
    """
    rgb = layers.Input((None, None, 3), name="rgb")
    x = _centered(Lab(dtype="float32", name="to_lab")(rgb))
    taps = [stream(x[..., _CHANNELS[name]]) for name, stream in streams(model).items() if name != "hha"]
    joined = {name: [half[name] for half in taps] for name in taps[0] if not name.endswith("fc7")}
    for name, maps in joined.items():
        both = layers.Concatenate(dtype="float32", name=f"{name}_both")
        joined[name] = both(maps) if len(maps) > 1 else maps[0]
    return Encoder(rgb, joined, name="encoder")


def build_depth_encoder(model):
    """Features of images of HHA by the stream that saw depth in task ``"rgbd"``.

    They are what :func:`tfssl.data.hha.encode_hha` gives, (B, H, W, 3), as uint8 or divided by 255: an image to all who
    measure encoders.
    """
    found = streams(model)
    if "hha" not in found:
        raise ValueError(f"`model` must be a network of task 'rgbd'. Received: streams of {', '.join(found)}")
    hha = layers.Input((None, None, 3), name="hha_image")
    x = layers.Rescaling(255.0, offset=-127.5, dtype="float32", name="center")(hha)
    taps = found["hha"](x)
    return Encoder(hha, {name: maps for name, maps in taps.items() if not name.endswith("fc7")}, name="depth_encoder")


def streams(model):
    """The streams of a network, ``{"lightness": keras.Model, "ab": ...}``, in the order of their channels."""
    found = {layer.name.removesuffix("_stream"): layer for layer in model.layers if layer.name.endswith("_stream")}
    return {name: found[name] for name in _CHANNELS if name in found}


def to_alexnet(model, *, conv1_padding=0):
    """One AlexNet with the convolutions of both halves, for transfer (paper, section 4.1).

    Batch normalization is folded into the weights. Where AlexNet has no groups, the weights between the halves are
    zero; its groups are the halves elsewhere. No local response normalization: it would mix them.

    Args:
        model: a network of :func:`build_network`, task ``"split"``, backbone ``"alexnet"``.
        conv1_padding: zeros around the image; 0 as in the paper's evaluation: 227 pixels give 55, 27, 13, 13, 13.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder` with variables of its own.
    """
    refusal = "`model` must be a network of task 'split' and backbone 'alexnet'"
    if list(streams(model)) != ["lightness", "ab"]:
        raise ValueError(refusal)
    halves = {name: fold_batch_normalization(stream) for name, stream in streams(model).items()}
    kernels = [[half.get_layer(f"{name}_{tap}_conv").get_weights() for name, half in halves.items()] for tap in TAPS]
    if kernels[0][0][0].shape != (11, 11, 1, WIDTHS[0] // 2):
        raise ValueError(refusal)
    rgb = layers.Input((None, None, 3), name="rgb")
    x = _centered(Lab(dtype="float32", name="to_lab")(rgb))
    taps = alexnet(
        x, conv1_padding=conv1_padding, normalization=None, fc=None, initializer=initializers.Zeros(), bias=0.0
    )
    network = Encoder(rgb, {name: taps[name] for name in TAPS}, name="alexnet")
    for tap, weights in zip(TAPS, kernels, strict=True):
        layer = network.get_layer(f"{tap}_conv")
        joined = np.zeros(layer.kernel.shape, np.float32)
        row = column = 0
        for kernel, _ in weights:
            rows, columns = kernel.shape[2:]
            # A kernel of groups has the rows of one group only, and its columns group after group.
            first = 0 if layer.groups > 1 else row
            joined[:, :, first : first + rows, column : column + columns] = kernel
            row, column = row + rows, column + columns
        layer.set_weights([joined, np.concatenate([bias for _, bias in weights])])
    return network
