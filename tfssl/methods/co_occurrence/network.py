"""The network of pairs: one tower for both images, and layers that see the features of both."""

import keras
from keras import layers, ops

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.blocks import conv_relu, max_pool
from tfssl.backbones.encoder import Encoder
from tfssl.layers.normalization import ScaleToRMS
from tfssl.methods.opened import is_open
from tfssl.ops.patches import projection_matrix


def build_network(backbone, *, size, channels=(64, 128), features=256, head=(256, 128), color="none"):
    """Tower and head on pairs.

    Args:
        backbone, channels, features, head, color: fields of :class:`~tfssl.methods.CoOccurrence`.
        size: of the images in pixels.

    Returns:
        ``keras.Model``: RGB in [0, 1], (B, 2, size, size, 3) -> logits (B, 1), float32.
    """
    pairs = layers.Input((2, size, size, 3), name="pairs")
    tower = build_tower(backbone, size, channels, features, color)
    found = tower(ops.reshape(pairs, (-1, size, size, 3)))["features"]
    both = ops.reshape(found, (-1, 2 * features))
    name = f"co_occurrence_{'open' if is_open(backbone) else backbone}"
    return keras.Model(pairs, build_head(features, head)(both), name=name)


def build_tower(backbone, size, channels, features, color="none"):
    """RGB in [0, 1] (B, size, size, 3) -> ``{"conv1": ..., "features": (B, features)}``."""
    maps = _maps(backbone, size, channels, color)
    pixels = layers.Input((size, size, 3), name="images")
    taps = maps(pixels)
    last = taps[list(maps.output)[-1]]
    x = layers.GlobalAveragePooling2D(name="pooled")(last) if is_open(backbone) else layers.Flatten(name="flat")(last)
    x = layers.Dense(features, kernel_initializer="he_normal", name="features_dense")(x)
    return keras.Model(pixels, {**taps, "features": layers.ReLU(name="features")(x)}, name="tower")


def _maps(backbone, size, channels, color):
    """RGB in [0, 1] of any size -> the maps of the tower, the coarsest last."""
    stem = layers.Rescaling(255.0 / DEVIATION, offset=[-c / DEVIATION for c in MEAN_COLOR], name="standardize")
    if is_open(backbone):
        return trunk(backbone, size=size, name="maps", stem=stem)
    pixels = layers.Input((None, None, 3), name="pixels")
    x, taps = stem(pixels), {}
    if color == "projection":
        x = ScaleToRMS(None, projection_matrix().tolist(), name="projection")(x)
    for number, count in enumerate(channels, start=1):
        x = taps[f"conv{number}"] = conv_relu(x, count, 3, f"conv{number}", initializer="he_normal")
        x = max_pool(x, 2, f"pool{number}")
    return keras.Model(pixels, {**taps, f"pool{len(channels)}": x}, name="maps")


def build_head(features, head):
    """Features of both images behind each other (B, 2 features) -> logits (B, 1), by dense layers."""
    both = x = layers.Input((2 * features,), name="both")
    for number, units in enumerate(head, start=1):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"fc{number}")(x)
    return keras.Model(both, layers.Dense(1, dtype="float32", name="logit")(x), name="head")


def build_encoder(model):
    """The maps of the tower on whole images, RGB in [0, 1]; it shares variables with the model."""
    maps = model.get_layer("tower").get_layer("maps")
    taps = {tap: x for tap, x in maps.output.items() if not tap.startswith("pool")}
    rgb = layers.Input((None, None, 3), name="rgb")
    return Encoder(rgb, keras.Model(maps.input, taps, name="taps")(rgb), name="encoder")
