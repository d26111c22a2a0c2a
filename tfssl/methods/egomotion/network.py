"""The networks of ego-motion: one base network for both images, and layers that see both of its maps."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import DEVIATION, MEAN_COLOR, trunk
from tfssl.backbones.alexnet import alexnet
from tfssl.backbones.blocks import conv_relu, fully_connected, max_pool
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.methods.opened import is_open

_SMALL = {"widths": (32, 64, 96, 96, 96), "pools": (1, 2, 5), "normalization": "batch"}
_SHALLOW = {"mnist": (96, 256), "shallow": (32, 64)}


def build_network(backbone, *, size, heads, merge=(256, 128), fc=500, dropout=0.5):
    """The base network on both images, their last maps behind each other, convolutions, fc and a softmax a component.

    ``"alexnet"`` has 6,146,590 parameters with the defaults, images of 227 pixels and three heads of 22.

    Args:
        backbone: field of :class:`~tfssl.methods.Egomotion`.
        size: of the images in pixels.
        heads: classes of each component of the motion; None for slowness: the distance of both maps.
        merge, fc, dropout: fields of :class:`~tfssl.methods.Egomotion`.

    Returns:
        ``keras.Model``: RGB in [0, 1], (B, 2, size, size, 3) -> logits of all components behind each other,
        (B, sum of heads), or distances (B, 1), float32.
    """
    pairs = layers.Input((2, size, size, 3), name="pairs")
    tower = build_tower(backbone, size)
    maps = tower(ops.reshape(pairs, (-1, size, size, 3)))[list(tower.output)[-1]]
    first, second = ops.unstack(ops.reshape(maps, (-1, 2, *maps.shape[1:])), axis=1)
    name = f"egomotion_{'open' if is_open(backbone) else backbone}"
    if heads is None:
        squares = ops.mean(ops.square(ops.cast(first - second, "float32")), axis=(1, 2, 3))
        # The root has no slope at 0, where both images are the same.
        distance = ops.sqrt(ops.maximum(ops.expand_dims(squares, -1), 1e-12))
        return keras.Model(pairs, layers.Identity(dtype="float32", name="distance")(distance), name=name)
    x = layers.Concatenate(name="both")([first, second])
    options = _options(backbone)
    for number, channels in enumerate(merge, start=1):
        x = conv_relu(x, channels, 3, f"merge{number}", **options)
    x = fully_connected(x, (fc,), dropout=dropout, **_options(backbone, dense=True))["fc6"]
    motion = layers.Dense(
        sum(heads), kernel_initializer=initializers.RandomNormal(stddev=0.01), dtype="float32", name="motion"
    )
    return keras.Model(pairs, motion(x), name=name)


def build_tower(backbone, size=None):
    """The base network: RGB in [0, 1], (B, H, W, 3) of any size -> ``{"conv1": ..., "pool5": ...}``, coarsest last.

    ``size`` is what an open backbone must have maps for.
    """
    scale = layers.Rescaling(255.0 / DEVIATION, offset=[-c / DEVIATION for c in MEAN_COLOR], name="standardize")
    if is_open(backbone):
        return trunk(backbone, size=size, name="tower", stem=scale)
    pixels = layers.Input((None, None, 3), name="pixels")
    x = scale(pixels)
    if backbone in _SHALLOW:
        taps = {}
        for number, channels in enumerate(_SHALLOW[backbone], start=1):
            x = taps[f"conv{number}"] = conv_relu(x, channels, 5, f"conv{number}", **_options(backbone))
            x = taps[f"pool{number}"] = max_pool(x, 2, f"pool{number}")
    elif backbone == "alexnet":
        taps = alexnet(x, fc=None)
    else:
        taps = alexnet_s(x, **_SMALL, fc=None)
    last = "pool2" if backbone in _SHALLOW else "pool5"
    return keras.Model(
        pixels, {tap: maps for tap, maps in taps.items() if tap.startswith("conv") or tap == last}, name="tower"
    )


def build_encoder(model):
    """The convolutions of the base network; it shares variables with a model of :func:`build_network`."""
    tower = model.get_layer("tower")
    taps = {tap: maps for tap, maps in tower.output.items() if not tap.startswith("pool")}
    rgb = layers.Input((None, None, 3), name="rgb")
    return Encoder(rgb, keras.Model(tower.input, taps, name="taps")(rgb), name="encoder")


def _options(backbone, dense=False):
    if backbone == "alexnet":  # Caffe's Gaussians, as in the base network
        return {"initializer": initializers.RandomNormal(stddev=0.005 if dense else 0.01)}
    batch = {"normalization": "batch"} if backbone == "small" else {}
    return {"initializer": "he_normal", **batch}
