"""Networks with hypercolumns: the activations of all layers above a pixel, at a few pixels or at all of them."""

import keras
from keras import layers

from tfssl.backbones.blocks import conv_relu, max_pool
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.vgg import DEPTHS, vgg
from tfssl.layers.color import GrayLevel, Lightness
from tfssl.layers.resizing import SampleMap, Upsample
from tfssl.ops.hue_chroma import AB_DEVIATION

DENSE_STRIDE = 4
"""Input pixels per output position of the dense form."""

INPUT_MULTIPLE = {"vgg16": 32, "small": 16}
"""Heights and widths of the dense form's input must be multiples of this."""

_SMALL_WIDTHS, _SMALL_DEPTHS = (16, 32, 64, 64, 64), (2, 2, 2, 2, 1)
MEAN_GRAY = 0.4488  # of ImageNet, as the released files have it


def map_strides(backbone):
    """``{name: pixels per cell}`` of the maps that a hypercolumn is made of, in their order."""
    depths = DEPTHS[16] if backbone == "vgg16" else _SMALL_DEPTHS
    strides = {"data": 1}
    for block, depth in enumerate(depths, start=1):
        strides |= {f"conv{block}_{i}": 2 ** (block - 1) for i in range(1, depth + 1)}
    return strides | ({"fc6": 32, "fc7": 32} if backbone == "vgg16" else {})


def build_network(backbone, channels, *, fc=4096, hidden=1024, dropout=0.5, normalization=None, outputs_ab=False):
    """Build the form that is trained: predictions at given pixels.

    Args:
        backbone: ``"vgg16"``, fc6 and fc7 as convolutions, or ``"small"``.
        channels: of the predictions.
        fc, hidden, dropout, normalization: fields of :class:`~tfssl.methods.HypercolumnColorization`.
        outputs_ab: whether predictions are ab: in units of 25 inside the network.

    Returns:
        ``keras.Model``: L (B, H, W, 1) in [0, 100], and pixels (y, x), int32 (B, N, 2) -> float32 (B, N, channels).
    """
    lightness = layers.Input((None, None, 1), name="lightness")
    locations = layers.Input((None, 2), dtype="int32", name="locations")
    # Half precision has 256 levels between 1/2 and 1, as many as the image has.
    x = GrayLevel(dtype="float32", name="gray")(lightness)
    x = layers.Rescaling(1.0, offset=-MEAN_GRAY, dtype="float32", name="data")(x)
    taps = _vgg_taps(x, fc, dropout, normalization) if backbone == "vgg16" else _small_taps(x, normalization)
    taps["data"] = x
    sampled = [
        SampleMap(n, name=f"{name}_sample")([taps[name], locations]) for name, n in map_strides(backbone).items()
    ]
    x = layers.Concatenate(name="hypercolumn")(sampled)
    initializer = keras.initializers.RandomNormal(stddev=1e-4) if backbone == "vgg16" else "he_normal"
    x = layers.Dense(hidden, activation="relu", kernel_initializer=initializer, name="h_fc1")(x)
    x = layers.Dropout(dropout, name="h_fc1_dropout")(x) if dropout else x
    # float32 keeps softmax and loss exact under mixed precision.
    x = layers.Dense(channels, kernel_initializer="lecun_uniform", dtype="float32", name="scores")(x)
    if outputs_ab:
        x = layers.Rescaling(AB_DEVIATION, dtype="float32", name="ab")(x)
    return keras.Model([lightness, locations], x, name=f"hypercolumn_{backbone}")


def _vgg_taps(x, fc, dropout, normalization):
    # Caffe's "xavier" looks at the inputs of a layer alone: Keras' lecun_uniform.
    options = {"normalization": normalization, "initializer": "lecun_uniform"}
    taps = vgg(x, fc=None, **options)
    x = taps["pool5"]
    for name, kernel in (("fc6", 7), ("fc7", 1)):
        x = conv_relu(x, fc, kernel, name, **options)
        x = taps[name] = layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x
    return taps


def _small_taps(x, normalization):
    """Nine 3x3 convolutions of 16 to 64 channels for images of 64 pixels; a hypercolumn of 417 numbers."""
    taps = {}
    for block, (filters, depth) in enumerate(zip(_SMALL_WIDTHS, _SMALL_DEPTHS, strict=True), start=1):
        if block > 1:
            x = max_pool(x, 2, f"pool{block - 1}")
        for i in range(1, depth + 1):
            name = f"conv{block}_{i}"
            x = taps[name] = conv_relu(x, filters, 3, name, normalization=normalization, initializer="he_normal")
    return taps


def dense_network(model, backbone):
    """The form that is used: predictions at every fourth pixel, by the variables of a model of :func:`build_network`.

    Maps are brought to a quarter of the input's size before they are joined: finer ones averaged, coarser ones
    upsampled bilinearly. Training reads finer maps at single pixels and coarser ones without the half-pixel offset: a
    small mismatch, accepted by the authors.

    Returns:
        ``keras.Model``: L (B, H, W, 1), sizes multiples of :data:`INPUT_MULTIPLE` -> (B, H / 4, W / 4, channels).
    """
    if len(model.inputs) == 1:
        return model
    maps = []
    for name, stride in map_strides(backbone).items():
        x = model.get_layer(name).output
        if stride < DENSE_STRIDE:
            x = layers.AveragePooling2D(DENSE_STRIDE // stride, name=f"{name}_quarter")(x)
        elif stride > DENSE_STRIDE:
            x = Upsample(stride // DENSE_STRIDE, name=f"{name}_quarter")(x)
        maps.append(x)
    x = layers.Concatenate(name="hypercolumn_dense")(maps)
    for name in ("h_fc1", "scores", "ab"):
        if any(layer.name == name for layer in model.layers):
            x = model.get_layer(name)(x)
    return keras.Model(model.inputs[0], x, name=f"{model.name}_dense")


def build_encoder(model, backbone):
    """Features of whole images, by the model's variables: the last map of each block, and fc6 and fc7."""
    taps = {}
    for name in list(map_strides(backbone))[1:]:
        taps[name.partition("_")[0]] = model.get_layer(name).output
    rgb = layers.Input((None, None, 3), name="rgb")
    trunk = keras.Model(model.inputs[0], taps, name="taps")
    return Encoder(rgb, trunk(Lightness(name="lightness")(rgb)), name="encoder")
