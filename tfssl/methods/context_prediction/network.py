"""The network of context prediction: one tower for all patches, and a head that sees two of them.

Inputs are patches (B, P, s, s, 3) as the pipeline prepares them (channels with mean 0, RMS 50) and pairs (B, Q, 2) of
their numbers; outputs are logits (B, Q, 8). Each patch goes through the tower once, however many pairs it is in.
"""

import keras
from keras import layers, ops

from tfssl.backbones.adapter import trunk
from tfssl.backbones.alexnet import caffenet
from tfssl.backbones.blocks import conv_relu
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.backbones.vgg import vgg
from tfssl.layers.dense import PairDense
from tfssl.layers.normalization import CAFFE, ScaleToRMS, batch_norm, set_batch_norm
from tfssl.methods.opened import is_open
from tfssl.ops.patches import NUM_LABELS, projection_matrix

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""Layers whose outputs an encoder exposes; fc6, the embedding, needs a whole patch (see :func:`build_tower`)."""

# Caffe's "xavier" filler looks at the inputs only: uniform in +-sqrt(3 / fan_in).
_INITIALIZER = "lecun_uniform"
_NORMALIZATION = "batch_without_affine"
_DEVIATION = 50.0  # of prepared patches, about

_RELEASED = {
    "groups": 1, "conv1_padding": 5, "normalization": "lrn_batch", "fc": None, "dropout": 0.0,
    "initializer": _INITIALIZER, "bias": 0.0,
}  # fmt: skip
_SMALL = {
    "widths": (32, 64, 96, 96, 96), "conv1_kernel": 3, "conv1_stride": 1, "pools": (1, 2, 5),
    "normalization": _NORMALIZATION, "fc": None,
}  # fmt: skip
_BACKBONES = {
    "alexnet": (caffenet, _RELEASED),
    "figure": (caffenet, {**_RELEASED, "widths": (96, 384, 384, 384, 256), "conv2_stride": 2}),
    "vgg": (vgg, {"depth": 16, "normalization": _NORMALIZATION, "fc": None, "initializer": _INITIALIZER}),
    "small": (alexnet_s, _SMALL),
}


def build_network(backbone, *, patch_size, patches, embedding, head):
    """The whole network: tower, fc6, pairs, fc7, fc8, fc9 (paper, figure 3).

    fc7 on the concatenation of two fc6 is computed once for each patch and added for each pair. Batch normalization
    has neither scale nor offset: a learned scale lets the network silence a layer, the state of equal embeddings that
    early training falls into (paper, section 3).

    Args:
        backbone: ``"alexnet"`` (63,561,096 parameters at the defaults), ``"figure"`` (55,922,184), ``"vgg"``
            (VGG-16; 83,965,768), ``"small"``, or an open one.
        patch_size: s, in pixels.
        patches: P, patches of an image.
        embedding: units of fc6.
        head: units of fc7 and fc8.

    Returns:
        ``keras.Model``: ``{"patches": (B, P, s, s, 3), "pairs": int (B, Q, 2)}`` -> logits (B, Q, 8) in float32.
    """
    pixels = layers.Input((patches, patch_size, patch_size, 3), name="patches")
    pairs = layers.Input((None, 2), dtype="int32", name="pairs")
    x = ops.reshape(pixels, (-1, patch_size, patch_size, 3))  # (B * P, s, s, 3)
    x = build_tower(backbone, patch_size=patch_size, embedding=embedding)(x)["fc6"]
    x = ops.reshape(x, (-1, patches, embedding))  # (B, P, fc6)
    x = PairDense(head[0], kernel_initializer=_INITIALIZER, name="fc7_dense")([x, pairs])  # (B, Q, fc7)
    x = layers.ReLU(name="fc7")(batch_norm(center=False, scale=False, name="fc7_bn")(x))
    x = layers.Dense(head[1], activation="relu", kernel_initializer=_INITIALIZER, name="fc8")(x)
    x = layers.Dense(NUM_LABELS, kernel_initializer=_INITIALIZER, dtype="float32", name="fc9")(x)
    network = keras.Model(
        {"patches": pixels, "pairs": pairs}, x, name=f"context_prediction_{'open' if is_open(backbone) else backbone}"
    )
    return network if is_open(backbone) or backbone == "small" else set_batch_norm(network, **CAFFE)


def build_tower(backbone, *, patch_size, embedding):
    """Convolutions and fc6 of one patch, with tied weights for all of them; arguments as :func:`build_network`.

    fc6 is a convolution as large as the last map of a patch: the same function and the same number of weights, and
    on a whole image it gives the embedding of every patch of it (the paper's "conv6").

    Returns:
        ``keras.Model`` "tower": (B, H, W, 3), any size from patch_size on -> ``{"conv1": ..., "conv5": ..., "pool5":
        ..., "fc6": (B, h, w, embedding)}``, h = w = 1 for one patch.
    """
    pixels = layers.Input((None, None, 3), name="pixels")
    if is_open(backbone):
        maps = trunk(backbone, size=patch_size, stem=layers.Rescaling(1 / _DEVIATION, name="standardize"))
        taps = maps(pixels)
        deepest = taps[list(maps.output)[-1]]
    else:
        function, options = _BACKBONES[backbone]
        found = function(pixels, **options)
        taps = {name: found[name] for name in (*TAPS, "pool5")}
        deepest = taps["pool5"]
    last = keras.Model(pixels, deepest).compute_output_shape((None, patch_size, patch_size, 3))
    fc6 = conv_relu(
        deepest, embedding, last[1], "fc6", padding=0, normalization=_NORMALIZATION, initializer=_INITIALIZER
    )
    return keras.Model(pixels, {**taps, "fc6": fc6}, name="tower")


def build_encoder(model, *, color, rms):
    """Maps of whole images, RGB in [0, 1], (B, H, W, 3) -> ``{"conv1": ..., "conv5": ...}``; it shares variables."""
    tower = model.get_layer("tower")
    rgb = layers.Input((None, None, 3), name="rgb")
    taps = {tap: maps for tap, maps in tower.output.items() if tap not in ("pool5", "fc6")}
    maps = keras.Model(tower.input, taps, name="taps")
    return Encoder(rgb, maps(normalizer(color, rms)(_gray_levels(rgb))), name="encoder")


def build_embedder(model, *, color, rms):
    """The embedding of patches, RGB in [0, 1], (N, s, s, 3) -> fc6 (N, D); it shares variables."""
    tower = model.get_layer("tower")
    rgb = layers.Input(model.input["patches"].shape[2:], name="rgb")
    fc6 = keras.Model(tower.input, tower.output["fc6"], name="fc6")(normalizer(color, rms)(_gray_levels(rgb)))
    return keras.Model(rgb, layers.Flatten(name="embedding")(fc6), name="embedder")


def normalizer(color, rms):
    """The layer that prepares an image in gray levels for a network whose patches the pipeline prepared.

    Without the noise, and for ``"dropping"`` the mean of the three patches that could have come of it: each channel
    a third as strong as the kept one is in training, so that conv1 answers as it does there on average.
    """
    matrix = projection_matrix().tolist() if color == "projection" else None
    if color == "dropping":
        matrix = None if rms else [[1 / 3 if i == j else 0.0 for j in range(3)] for i in range(3)]
        # One channel of deviation sqrt(3) rms becomes three of a third of that: their RMS is rms / sqrt(3).
        rms = rms / 3**0.5 if rms else None
    return ScaleToRMS(rms or None, matrix, dtype="float32", name="normalize")


def _gray_levels(rgb):
    return layers.Rescaling(255.0, dtype="float32", name="gray_levels")(rgb)
