"""AlexNet, CaffeNet, the variants of them that the pretext tasks train, and the network of Zeiler and Fergus.

Krizhevsky et al., NeurIPS 2012; BVLC/caffe, models/bvlc_alexnet and bvlc_reference_caffenet; Zeiler, Fergus, ECCV 2014.
"""

import functools

from keras import initializers

from tfssl.backbones.blocks import check_normalization, conv_relu, fully_connected, max_pool
from tfssl.errors import ConfigError
from tfssl.layers.normalization import LocalResponseNormalization

WIDTHS = (96, 256, 384, 384, 256)
"""Channels of conv1 ... conv5."""

NORMALIZATIONS = {
    "lrn": {"conv1": "lrn", "conv2": "lrn"},
    "batch": dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"), "batch"),
    "lrn_batch": {
        **dict.fromkeys(("conv1", "conv2"), "lrn"),
        **dict.fromkeys(("conv3", "conv4", "conv5", "fc6", "fc7"), "batch_without_affine"),
    },
}
"""Name -> what normalizes each layer."""

_KERNELS = (11, 5, 3, 3, 3)
_PADDINGS = (None, 2, 1, 1, 1)  # conv1's is an argument
_GROUPED = (False, True, False, True, True)
_POOLED = (True, True, False, False, True)


def alexnet(
    x,
    *,
    widths=WIDTHS,
    groups=2,
    conv1_stride=4,
    conv1_padding=0,
    conv2_stride=1,
    padding="caffe",
    pool_padding=0,
    order="norm_pool",
    normalization="lrn",
    fc=(4096, 4096),
    dropout=0.5,
    initializer=None,
    bias=0.1,
    name_prefix="",
):
    """AlexNet: five convolutions, three 3x3 / 2 max pools after conv1, conv2 and conv5, fully connected layers.

    Defaults are BVLC's AlexNet for 227x227 images: 2,334,080 convolution parameters, 60,965,224 with fc8 of 1000
    classes. What others trained, as options:

    - CaffeNet: ``order="pool_norm", bias=1.0``, the function :data:`caffenet`.
    - Jigsaw: CaffeNet with ``conv1_stride=2, fc=(512,)`` (paper) or ``(1024,)`` (released code).
    - Context prediction, released code: CaffeNet with ``groups=1, conv1_padding=5, normalization="lrn_batch",
      fc=(4096,), dropout=0, initializer="glorot_uniform", bias=0.0``; the network of the paper's figure also has
      ``widths=(96, 384, 384, 384, 256), conv2_stride=2``.
    - Fast R-CNN: CaffeNet with ``conv1_padding=5, pool_padding=1``.
    - Spotting artifacts: ``padding="same", normalization={"conv1": "lrn", "conv2": "lrn", "conv5":
      "batch_without_scale"}``, CaffeNet's order.
    - "One weird trick": ``widths=(64, 192, 384, 256, 256), groups=1, conv1_padding=2, normalization=None``.

    Args:
        x: KerasTensor (B, H, W, C), any number of channels.
        widths: channels of the five convolutions.
        groups: in conv2, conv4 and conv5 (1 for none).
        conv1_stride, conv2_stride: in pixels.
        conv1_padding: zeros on each side of the input.
        padding: ``"caffe"`` pads conv2 by 2 and conv3 ... conv5 by 1 and rounds pool sizes up; ``"same"`` follows
            TensorFlow's rule everywhere, conv1 included.
        pool_padding: rows and columns on each side of every pooling's input.
        order: ``"norm_pool"`` or ``"pool_norm"``: where the local response normalization stands.
        normalization: None; ``"lrn"`` (conv1, conv2); ``"batch"``: batch normalization in every layer instead;
            ``"lrn_batch"``: as ``"lrn"``, and batch normalization without scale and offset in conv3 ... fc7; or
            ``{layer: kind}`` with the kinds ``"lrn"`` (conv1, conv2, conv5) and those of
            ``tfssl.backbones.blocks.BATCH_NORMALIZATIONS``, which stand between convolution and ReLU.
        fc: units of fc6, fc7; None, False or () for convolutions only, which then take any size.
        dropout: fraction of units dropped after each fully connected layer.
        initializer: of all kernels; None for Caffe's Gaussians, deviation 0.01 and 0.005 in fully connected layers.
        bias: initial bias of conv2, conv4, conv5 and the fully connected layers.
        name_prefix: put before every layer name.

    Returns:
        dict of KerasTensors conv1 ... conv5 (after the ReLU), pool1, pool2, pool5 (what the next layer reads: after
        the normalization too), fc6, fc7 (after the dropout).

    Raises:
        ConfigError: if an option is unknown, or fc is asked for on an input of unknown size.
    """
    kinds = _normalizations(normalization)
    _check("padding", padding, ("caffe", "same"))
    _check("order", order, ("norm_pool", "pool_norm"))
    if len(widths) != len(WIDTHS):
        raise ConfigError(f"widths={widths!r} must have one number for each of conv1 ... conv5")
    strides = (conv1_stride, conv2_stride, 1, 1, 1)
    paddings = ["same"] * 5 if padding == "same" else (conv1_padding, *_PADDINGS[1:])
    taps = {}
    for i in range(5):
        tap, kind = f"conv{i + 1}", kinds.get(f"conv{i + 1}")
        x = taps[tap] = conv_relu(
            x,
            widths[i],
            _KERNELS[i],
            name_prefix + tap,
            strides=strides[i],
            padding=paddings[i],
            groups=groups if _GROUPED[i] else 1,
            normalization=None if kind == "lrn" else kind,
            initializer=initializer or initializers.RandomNormal(stddev=0.01),
            bias=bias if _GROUPED[i] else 0.0,
        )
        if _POOLED[i]:
            norm = LocalResponseNormalization(name=f"{name_prefix}norm{i + 1}") if kind == "lrn" else lambda x: x
            x = norm(x) if order == "norm_pool" else x
            x = max_pool(x, 3, f"{name_prefix}pool{i + 1}", padding="same" if padding == "same" else pool_padding)
            x = taps[f"pool{i + 1}"] = norm(x) if order == "pool_norm" else x
    weights = {"initializer": initializer or initializers.RandomNormal(stddev=0.005), "bias": bias}
    return taps | fully_connected(x, fc, dropout=dropout, normalization=kinds, name_prefix=name_prefix, **weights)


caffenet = functools.partial(alexnet, order="pool_norm", bias=1.0)
"""CaffeNet: :func:`alexnet` with the pooling before the normalization and biases of 1."""


def zf(
    x, *, conv1_padding=1, conv2_padding=0, fc=(4096, 4096), dropout=0.5, initializer=None, bias=0.0, name_prefix=""
):
    """ZF net: conv1 7x7 / 2, conv2 5x5 / 2, no groups; options and taps as :func:`alexnet`, the norm after pooling.

    For 224x224 images: 3,726,464 convolution parameters, 62,357,608 with fc8 of 1000 classes; maps of 110, 26, 13,
    13, 13 pixels. The version for detection has ``conv1_padding=3, conv2_padding=2``. Kernels start from a Gaussian of
    deviation 0.01.
    """
    weights = {"initializer": initializer or initializers.RandomNormal(stddev=0.01), "bias": bias}
    layers = ((96, 7, 2, conv1_padding), (256, 5, 2, conv2_padding), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))
    taps = {}
    for i, (filters, kernel_size, strides, padding) in enumerate(layers, start=1):
        x = conv_relu(x, filters, kernel_size, f"{name_prefix}conv{i}", strides=strides, padding=padding, **weights)
        taps[f"conv{i}"] = x
        if i in (1, 2, 5):
            x = max_pool(x, 3, f"{name_prefix}pool{i}")
            if i != 5:
                x = LocalResponseNormalization(name=f"{name_prefix}norm{i}")(x)
            taps[f"pool{i}"] = x
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)


def _check(name, value, known):
    if value not in known:
        raise ConfigError(f"{name}={value!r} is not known; take one of {', '.join(map(repr, known))}")


def _normalizations(choice):
    if choice is None or isinstance(choice, str):
        _check("normalization", choice, (None, *NORMALIZATIONS))
        return NORMALIZATIONS.get(choice, {})
    for layer, kind in choice.items():
        _check("a layer in normalization", layer, tuple(NORMALIZATIONS["batch"]))
        check_normalization(kind, also=("lrn",) if layer in ("conv1", "conv2", "conv5") else ())
    return choice
