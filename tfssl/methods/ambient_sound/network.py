"""The networks of ambient sound: convolutions, fully connected layers, and one number for each cluster or bit."""

import keras
from keras import initializers, layers

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.alexnet import caffenet
from tfssl.backbones.blocks import fully_connected
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.methods.opened import is_open

_SMALL = {"widths": (32, 64, 96, 96, 96), "pools": (1, 2, 5), "normalization": "batch"}


def build_network(backbone, *, size, outputs, fc=(4096, 4096), dropout=0.5):
    """Convolutions, fully connected layers with batch normalization, and the answer.

    ``"alexnet"`` has 57,000,702 trainable parameters with the defaults, crops of 227 pixels and 30 outputs: CaffeNet's
    56,991,134, with scale and offset of 9,568 channels in the place of their biases.

    Args:
        backbone, fc, dropout: fields of :class:`~tfssl.methods.AmbientSound`.
        size: of the crops in pixels.
        outputs: clusters, or bits.

    Returns:
        ``keras.Model``: RGB in [0, 1], (B, size, size, 3) -> logits (B, outputs), float32.
    """
    rgb = layers.Input((size, size, 3), name="rgb")
    maps = build_trunk(backbone, size)
    x = maps(rgb)[list(maps.output)[-1]]
    weights = {"initializer": initializers.RandomNormal(stddev=0.005)} if backbone == "alexnet" else {}
    if fc:
        options = {"initializer": "he_normal", "normalization": "batch"} | weights
        x = list(fully_connected(x, fc, dropout=dropout, **options).values())[-1]
    else:
        x = layers.GlobalAveragePooling2D(name="mean")(x)
        x = layers.Dropout(dropout, name="mean_dropout")(x) if dropout else x
    sound = layers.Dense(
        outputs, kernel_initializer=initializers.RandomNormal(stddev=0.01), dtype="float32", name="sound"
    )
    return keras.Model(rgb, sound(x), name=f"ambient_sound_{'open' if is_open(backbone) else backbone}")


def build_trunk(backbone, size=None):
    """The convolutions: RGB in [0, 1], (B, H, W, 3) of any size -> ``{"conv1": ..., "pool5": ...}``, coarsest last.

    ``size`` is what an open backbone must have maps for.
    """
    scale = layers.Rescaling(255.0 / DEVIATION, offset=[-c / DEVIATION for c in MEAN_COLOR], name="standardize")
    if is_open(backbone):
        return trunk(backbone, size=size, name="trunk", stem=scale)
    pixels = layers.Input((None, None, 3), name="pixels")
    x = scale(pixels)
    taps = caffenet(x, normalization="batch", fc=None) if backbone == "alexnet" else alexnet_s(x, **_SMALL, fc=None)
    return keras.Model(
        pixels, {tap: maps for tap, maps in taps.items() if tap.startswith("conv") or tap == "pool5"}, name="trunk"
    )


def build_encoder(model):
    """The convolutions of a model of :func:`build_network`, before the last pooling; it shares their variables."""
    maps = model.get_layer("trunk")
    taps = {tap: tensor for tap, tensor in maps.output.items() if tap != "pool5"}
    rgb = layers.Input((None, None, 3), name="rgb")
    return Encoder(rgb, keras.Model(maps.input, taps, name="taps")(rgb), name="encoder")
