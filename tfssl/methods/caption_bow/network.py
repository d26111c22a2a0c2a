"""The networks of captions: a trunk, layers that describe the whole image, and a weight vector for each word."""

import keras
from keras import initializers, layers

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.alexnet import alexnet
from tfssl.backbones.blocks import fully_connected
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.googlenet import googlenet
from tfssl.backbones.small import alexnet_s
from tfssl.layers.dense import SelectedDense
from tfssl.methods.opened import is_open

_SMALL = {"widths": (32, 64, 96, 96, 128), "pools": (1, 2, 5), "normalization": "batch"}


def build_network(backbone, *, size, words, candidates=None, fc=(4096, 4096), dropout=0.5):
    """A trunk, fully connected layers, and scores ``w_k . f(x)`` of words, without offsets.

    ``"alexnet"`` has 60,964,224 parameters with the defaults, images of 224 pixels and 1000 words.

    Args:
        backbone, fc, dropout: fields of :class:`~tfssl.methods.CaptionBow`.
        size: of the images in pixels.
        words: K, size of the vocabulary.
        candidates: words that are scored for each image, which are given; None for all.

    Returns:
        ``keras.Model``: RGB in [0, 1], (B, size, size, 3), or ``{"image": that, "words": int (B, candidates)}`` ->
        scores (B, words) or (B, candidates), float32.
    """
    image = layers.Input((size, size, 3), name="image")
    tower = build_tower(backbone, size)
    maps = tower(image)[list(tower.output)[-1]]
    features = build_head(backbone, maps.shape[1:], fc, dropout)(maps)
    weights = initializers.RandomNormal(stddev=0.01) if backbone == "alexnet" else "glorot_uniform"
    scores = SelectedDense(words, weights, dtype="float32", name="word_vectors")
    name = f"caption_bow_{'open' if is_open(backbone) else backbone}"
    if candidates is None:
        return keras.Model(image, scores(features), name=name)
    chosen = layers.Input((candidates,), dtype="int32", name="words")
    return keras.Model({"image": image, "words": chosen}, scores(features, indices=chosen), name=name)


def build_tower(backbone, size=None):
    """The trunk: RGB in [0, 1], (B, H, W, 3) of any size -> ``{"conv1": ..., "pool5": ...}``, coarsest last.

    ``size`` is what an open backbone must have maps for.
    """
    scale = layers.Rescaling(255.0 / DEVIATION, offset=[-c / DEVIATION for c in MEAN_COLOR], name="standardize")
    if is_open(backbone):
        return trunk(backbone, size=size, name="tower", stem=scale)
    pixels = layers.Input((None, None, 3), name="pixels")
    x = scale(pixels)
    if backbone == "alexnet":
        taps, last = alexnet(x, fc=None), "pool5"
    elif backbone == "googlenet":
        taps, last = googlenet(x), "conv5"
    else:
        taps, last = alexnet_s(x, **_SMALL, fc=None), "pool5"
    return keras.Model(
        pixels, {tap: maps for tap, maps in taps.items() if tap.startswith("conv") or tap == last}, name="tower"
    )


def build_head(backbone, shape, fc, dropout):
    """Maps -> the vector that scores are made of: flattened for ``"alexnet"``, elsewhere averaged over the image."""
    maps = layers.Input(shape if backbone == "alexnet" else (None, None, shape[-1]), name="maps")
    x = maps if backbone == "alexnet" else layers.GlobalAveragePooling2D(name="average")(maps)
    if not fc:
        return keras.Model(maps, layers.Dropout(dropout, name="features")(x), name="head")
    if backbone == "alexnet":  # Caffe's Gaussian
        options = {"initializer": initializers.RandomNormal(stddev=0.005), "bias": 0.1}
    else:
        options = {"initializer": "he_normal", "normalization": "batch" if backbone == "small" else None}
    taps = fully_connected(x, fc, dropout=dropout, **options)
    return keras.Model(maps, list(taps.values())[-1], name="head")


def build_scorer(model):
    """Scores of all words, (B, size, size, 3) -> (B, K); it shares variables with a model of :func:`build_network`."""
    tower, head, words = (model.get_layer(name) for name in ("tower", "head", "word_vectors"))
    image = layers.Input(model.get_layer("image").output.shape[1:], name="image")
    return keras.Model(image, words(head(tower(image)[list(tower.output)[-1]])), name="scorer")


def build_encoder(model):
    """The convolutions, and where maps are averaged also ``features``, the vector that scores are made of."""
    tower, head = model.get_layer("tower"), model.get_layer("head")
    taps = {tap: maps for tap, maps in tower.output.items() if not tap.startswith("pool")}
    if head.input.shape[1] is None:  # of any size, as the maps are
        taps["features"] = head(list(tower.output.values())[-1])
    rgb = layers.Input((None, None, 3), name="rgb")
    return Encoder(rgb, keras.Model(tower.input, taps, name="taps")(rgb), name="encoder")


def word_vectors(model):
    """The weight vector of each word, a KerasVariable (K, D)."""
    return model.get_layer("word_vectors").kernel
