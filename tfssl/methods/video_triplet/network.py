"""The network of video triplets: one tower for all crops, and an embedding of length 1."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.alexnet import caffenet
from tfssl.backbones.blocks import fully_connected
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.methods.opened import is_open

_SMALL = {"widths": (32, 64, 96, 96, 96), "pools": (1, 2, 5), "normalization": "batch"}


def build_network(backbone, *, size, fc6=4096, fc7=1024):
    """The tower, fc6 and fc7 with ReLU and without dropout, and division by the length.

    ``"alexnet"`` has 44,282,240 parameters with the defaults and crops of 227 pixels. Of the other crops of a triplet
    nothing is seen: all crops go through the same weights.

    Args:
        backbone: field of :class:`~tfssl.methods.VideoTriplet`.
        size: of the crops in pixels.
        fc6, fc7: fields of :class:`~tfssl.methods.VideoTriplet`.

    Returns:
        ``keras.Model``: RGB in [0, 1], (B, 2, size, size, 3) -> embeddings (B, 2, fc7), float32.
    """
    pairs = layers.Input((2, size, size, 3), name="pairs")
    tower = build_tower(backbone, size)
    maps = tower(ops.reshape(pairs, (-1, size, size, 3)))[list(tower.output)[-1]]
    if backbone == "alexnet":  # Caffe's
        options = {"initializer": initializers.RandomNormal(stddev=0.005), "bias": 1.0}
    else:
        options = {"initializer": "he_normal"}
    units = fully_connected(maps, (fc6, fc7), dropout=0.0, **options)["fc7"]
    embeddings = layers.UnitNormalization(dtype="float32", name="embedding")(units)
    name = f"video_triplet_{'open' if is_open(backbone) else backbone}"
    return keras.Model(pairs, ops.reshape(embeddings, (-1, 2, fc7)), name=name)


def build_tower(backbone, size=None):
    """The convolutions: RGB in [0, 1], (B, H, W, 3) of any size -> ``{"conv1": ..., "pool5": ...}``, coarsest last.

    ``size`` is what an open backbone must have maps for.
    """
    # CaffeNet sees levels of 0 to 255 less their mean, which its small weights are made for.
    scale = 255.0 if backbone == "alexnet" else 255.0 / DEVIATION
    stem = layers.Rescaling(scale, offset=[-c * scale / 255.0 for c in MEAN_COLOR], name="standardize")
    if is_open(backbone):
        return trunk(backbone, size=size, name="tower", stem=stem)
    pixels = layers.Input((None, None, 3), name="pixels")
    x = stem(pixels)
    taps = caffenet(x, fc=None) if backbone == "alexnet" else alexnet_s(x, **_SMALL, fc=None)
    known = [tap for tap in taps if tap.startswith("conv")]
    return keras.Model(pixels, {tap: taps[tap] for tap in (*known, "pool5")}, name="tower")


def build_encoder(model):
    """The convolutions on whole images; they share variables with a model of :func:`build_network`."""
    tower = model.get_layer("tower")
    taps = {tap: maps for tap, maps in tower.output.items() if not tap.startswith("pool")}
    rgb = layers.Input((None, None, 3), name="rgb")
    return Encoder(rgb, keras.Model(tower.input, taps, name="taps")(rgb), name="encoder")
