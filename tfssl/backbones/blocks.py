"""The blocks of which all backbones are made: convolution, pooling and fully connected layers, with Caffe's sizes."""

import difflib

import keras
from keras import layers

from tfssl.errors import ConfigError
from tfssl.layers.convolution import GroupedConv2D
from tfssl.layers.normalization import batch_norm
from tfssl.layers.pooling import CaffeMaxPooling2D

BATCH_NORMALIZATIONS = {
    "batch": {},
    "batch_without_scale": {"scale": False},
    "batch_without_affine": {"center": False, "scale": False},
}
"""Kind of batch normalization -> options of the layer."""


def conv_relu(
    x, filters, kernel_size, name, *, strides=1, padding=None, groups=1, normalization=None, initializer, bias=0.0
):
    """Convolution, batch normalization if any, ReLU: the layers ``NAME_conv``, ``NAME_bn`` and ``NAME``.

    Args:
        x: KerasTensor (B, H, W, C).
        filters: output channels.
        kernel_size: k in pixels.
        name: of the ReLU, whose output is the tap.
        strides: in pixels.
        padding: zeros on each side, as in Caffe: the output has ``floor((n + 2 padding - k) / strides) + 1`` pixels.
            None is (k - 1) / 2; ``"same"`` is Keras' rule, which pads strided convolutions at the end only.
        groups: the channels are split into that many groups that do not see each other.
        normalization: None or a key of ``BATCH_NORMALIZATIONS``.
        initializer: of the kernel; anything that ``keras.initializers.get`` takes.
        bias: initial value of all biases. With a normalization that has an offset of its own there is no bias.
    """
    if padding is None:
        padding = (kernel_size - 1) // 2
    if padding not in (0, "same"):
        if strides == 1 and padding == (kernel_size - 1) // 2 and kernel_size % 2:
            padding = "same"  # the same zeros, without a copy of the input
        else:
            x, padding = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x), 0
    x = (layers.Conv2D if groups == 1 else GroupedConv2D)(
        filters,
        kernel_size,
        strides=strides,
        padding=padding or "valid",
        groups=groups,
        name=f"{name}_conv",
        **_weights(normalization, initializer, bias),
    )(x)
    return _normalize_relu(x, name, normalization)


def max_pool(x, pool_size, name, *, strides=2, padding=0):
    """Max pooling that rounds its output size up, or as Keras with ``padding="same"``; the layer ``NAME``."""
    if padding == "same":
        return layers.MaxPooling2D(pool_size, strides, padding="same", name=name)(x)
    return CaffeMaxPooling2D(pool_size, strides, padding, name=name)(x)


def fully_connected(x, widths, *, dropout, initializer, bias=0.0, normalization=None, name_prefix=""):
    """Fully connected layers with ReLU and dropout: ``fc6_dense``, ``fc6_bn``, ``fc6``, ``fc6_dropout``, ``fc7_...``.

    Args:
        x: KerasTensor (B, H, W, C) or (B, C); a map is flattened in the order rows, columns, channels.
        widths: units of each layer; None, False or () for no layer at all.
        dropout: fraction of units dropped after each ReLU in training.
        initializer, bias, name_prefix: as :func:`conv_relu`; the prefix stands before every layer name.
        normalization: kind of batch normalization of all layers, or ``{layer name: kind or None}``, or None.

    Returns:
        ``{"fc6": KerasTensor (B, widths[0]), "fc7": ...}``, each after its dropout.
    """
    taps = {}
    if widths and len(x.shape) == 4:
        if None in x.shape[1:]:
            raise ConfigError(
                f"fc={tuple(widths)!r} needs an input of known height and width; give them, or fc=False for taps of "
                "any size"
            )
        x = layers.Flatten(name=f"{name_prefix}flatten")(x)
    for index, units in enumerate(widths or (), start=6):
        tap = f"fc{index}"
        name, kind = name_prefix + tap, normalization.get(tap) if isinstance(normalization, dict) else normalization
        x = layers.Dense(units, name=f"{name}_dense", **_weights(kind, initializer, bias))(x)
        x = _normalize_relu(x, name, kind)
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        taps[tap] = x
    return taps


def nearest(name, known):
    """The end of a message about an unknown name: the nearest of the known ones, or all of them."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def check_normalization(kind, also=()):
    """Raise ConfigError unless ``kind`` is None, a key of ``BATCH_NORMALIZATIONS`` or in ``also``."""
    known = (None, *BATCH_NORMALIZATIONS, *also)
    if kind not in known:
        raise ConfigError(f"normalization={kind!r} is not known; take one of {', '.join(map(repr, known))}")


def _weights(normalization, initializer, bias):
    has_offset = normalization is not None and BATCH_NORMALIZATIONS[normalization].get("center", True)
    return {
        # A clone per layer: one unseeded initializer object would give equal values to kernels of equal shape.
        "kernel_initializer": keras.initializers.get(initializer).clone(),
        "bias_initializer": keras.initializers.Constant(bias),
        "use_bias": not has_offset,
    }


def _normalize_relu(x, name, normalization):
    if normalization is not None:
        x = batch_norm(name=f"{name}_bn", **BATCH_NORMALIZATIONS[normalization])(x)
    return layers.ReLU(name=name)(x)
