"""From the maps of a trunk back to the grid of an image, for methods that predict one."""

import math

from keras import layers

from tfssl.backbones.adapter import strides
from tfssl.backbones.blocks import conv_relu
from tfssl.errors import ConfigError
from tfssl.layers.normalization import batch_norm
from tfssl.layers.resizing import ResizeToStride


def double(x, times, widths):
    """Transposed 4x4 convolutions with stride 2, batch normalization and ReLU: (B, h, w, c) -> (B, 2^times h, ...).

    ``widths`` are the channels of the last ones; those before have as many as the first of these.
    """
    widths = (widths[0],) * times + tuple(widths)
    for i, filters in enumerate(widths[len(widths) - times :], start=1):
        x = layers.Conv2DTranspose(
            filters, 4, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"up{i}_conv"
        )(x)
        x = layers.ReLU(name=f"up{i}")(batch_norm(name=f"up{i}_bn")(x))
    return x


def deepest(network, size):
    """The last map of a trunk for square images of ``size`` pixels, on a grid that doubling brings back to their size.

    Returns ``(function, doublings)``: of the trunk's input, which gives (B, size / 2^doublings, ..., c), and a number.
    """
    tap = list(network.output)[-1]
    stride = strides(network)[tap]
    if size % stride:
        raise ConfigError(f"`crop_size` must be a multiple of {stride} for this backbone. Received: crop_size={size}")
    return lambda x: ResizeToStride(stride, name="to_grid")([network(x)[tap], x]), int(math.log2(stride))


def decode_maps(taps, pixels_per_cell, reference, stride, *, width=128, name_prefix=""):
    """Join maps ``{tap: KerasTensor}`` of a trunk from coarse to fine by convolutions: features for dense predictions.

    ``pixels_per_cell`` are their :func:`strides`, ``reference`` is the trunk's input (B, H, W, any). Returns a
    KerasTensor (B, ceil(H / stride), ceil(W / stride), width).
    """
    names = [tap for tap in taps if pixels_per_cell[tap] and pixels_per_cell[tap] >= stride] or list(taps)[-1:]
    x = None
    for tap in reversed(names):
        skip = ResizeToStride(max(stride, pixels_per_cell[tap]), name=f"{name_prefix}{tap}_grid")(
            [taps[tap], reference]
        )
        if x is not None:
            x = ResizeToStride(pixels_per_cell[tap], name=f"{name_prefix}{tap}_up")([x, reference])
            skip = layers.Concatenate(name=f"{name_prefix}{tap}_join")([x, skip])
        x = conv_relu(skip, width, 3, f"{name_prefix}{tap}_mix", normalization="batch", initializer="he_normal")
    return ResizeToStride(stride, name=f"{name_prefix}to_stride")([x, reference])
