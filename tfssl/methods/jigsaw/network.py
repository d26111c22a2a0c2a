"""The context-free network: nine towers that share their weights, and layers that see all tiles only at the end."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import trunk
from tfssl.backbones.alexnet import caffenet
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.registry import build
from tfssl.backbones.small import alexnet_s
from tfssl.layers.normalization import Standardize, batch_norm
from tfssl.methods.opened import is_open
from tfssl.ops.patches import MEAN_COLOR, PIXEL_SCALE
from tfssl.ops.permutations import TILES

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""Layers that an encoder exposes."""

PRETRAINING_STRIDE, TRANSFER_STRIDE = 2, 4
"""Stride of conv1 on tiles, and on whole images in transfer (paper, section 4.1)."""

_SMALL = {"widths": (32, 64, 96, 96, 96), "conv1_kernel": 3, "conv1_stride": 1, "pools": (1, 2, 5)}


def build_network(backbone, *, tile, permutations, fc6, fc7, dropout):
    """Build the context-free network (paper, figure 3).

    Each tile goes through the convolutions ``tower`` and through fc6 alone; fc7 sees the nine fc6 vectors in the order
    of the slots. ``"alexnet"`` is CaffeNet with groups, conv1 with stride 2, weights and biases drawn as in the
    released definition: 27,407,208 parameters for tiles of 75 pixels, fc6 of 512 and 1000 classes (the recognition
    form), 46,544,232 for 64 pixels, fc6 of 1024 and 1000 classes (the released one).

    Args: fields of :class:`~tfssl.methods.Jigsaw`.

    Returns:
        ``keras.Model``: standardized tiles (B, 9, tile, tile, 3) -> logits (B, P) in float32.
    """
    options = _dense_options(backbone)
    tiles = layers.Input((TILES, tile, tile, 3), name="tiles")
    x = ops.reshape(tiles, (-1, tile, tile, 3))  # (B * 9, tile, tile, 3)
    tower = build_tower(backbone, tile)
    x = tower(x)[list(tower.output)[-1]]
    x = layers.Flatten(name="flatten")(x)
    x = _dense_relu(x, fc6, "fc6", dropout, **options)
    x = ops.reshape(x, (-1, TILES * fc6))  # (B, 9 * fc6)
    x = _dense_relu(x, fc7, "fc7", dropout, **options)
    scores = layers.Dense(
        permutations, kernel_initializer=initializers.RandomNormal(stddev=0.01), dtype="float32", name="fc8"
    )
    return keras.Model(tiles, scores(x), name=f"jigsaw_{'open' if is_open(backbone) else backbone}")


def build_tower(backbone, tile=None):
    """The convolutions of one tile: (B, H, W, 3) of any size -> ``{"conv1": ..., "conv5": ..., "pool5": ...}``.

    An open backbone has the taps of :func:`tfssl.backbones.adapter.trunk`; ``tile`` is what it must have maps for.
    """
    if is_open(backbone):
        return trunk(backbone, size=tile, name="tower")
    pixels = layers.Input((None, None, 3), name="pixels")
    if backbone == "alexnet":
        taps = caffenet(pixels, conv1_stride=PRETRAINING_STRIDE, fc=None)
    else:
        taps = alexnet_s(pixels, **_SMALL, normalization="batch", fc=None)
    return keras.Model(pixels, {name: taps[name] for name in (*TAPS, "pool5")}, name="tower")


def to_caffenet(model, *, input_shape=(None, None, 3), classes=None, conv1_stride=TRANSFER_STRIDE, **options):
    """A CaffeNet with the convolutions of a trained puzzle network, for transfer (paper, section 4.1).

    The weights are copied: they fit, because neither the stride of conv1 nor the tile size changes their shapes.

    Args:
        model: a network of :func:`build_network` with backbone ``"alexnet"``.
        input_shape, **options: of :func:`tfssl.backbones.build`.
        classes: number of classes of a new classifier, whose fully connected layers start at random; None for the
            taps conv1 ... conv5.
        conv1_stride: 4 in the paper; 2 is that of pretraining.

    Returns:
        ``keras.Model``: standardized images (B, H, W, 3) -> ``{tap: (B, h, w, c)}``, or logits (B, classes).
    """
    if classes is None:
        options = {"fc": None, **options}
    network = build("caffenet", input_shape=input_shape, classes=classes, conv1_stride=conv1_stride, **options)
    tower = model.get_layer("tower")
    for tap in TAPS:
        network.get_layer(f"{tap}_conv").set_weights(tower.get_layer(f"{tap}_conv").get_weights())
    return network


def build_encoder(model, backbone, normalization):
    """Features of whole images.

    An image is standardized as a tile is. The small tower is applied as it is and shares its variables with the
    model; CaffeNet is a copy with stride 4, see :func:`to_caffenet`.
    """
    rgb = layers.Input((None, None, 3), name="rgb")
    tower = to_caffenet(model) if backbone == "alexnet" else model.get_layer("tower")
    taps = tower(normalizer(normalization)(rgb))
    return Encoder(
        rgb, {name: taps[name] for name in model.get_layer("tower").output if name != "pool5"}, name="encoder"
    )


def normalizer(normalization):
    """The layer that does to an image in [0, 1] what the pipeline does to a tile."""
    if normalization == "none":
        return layers.Rescaling(
            255.0 / PIXEL_SCALE, offset=[-level / PIXEL_SCALE for level in MEAN_COLOR], dtype="float32", name="scale"
        )
    axis = (1, 2) if normalization == "channel" else (1, 2, 3)
    return Standardize(axis, dtype="float32", name="standardize")


def _dense_options(backbone):
    if backbone == "alexnet":
        return {"initializer": initializers.RandomNormal(stddev=0.005), "bias": 1.0, "normalize": False}
    return {"initializer": initializers.HeNormal(), "bias": 0.0, "normalize": True}


def _dense_relu(x, units, name, dropout, *, initializer, bias, normalize):
    x = layers.Dense(
        units,
        use_bias=not normalize,
        # A clone, because one unseeded initializer gives equal values to equal shapes.
        kernel_initializer=initializer.clone(),
        bias_initializer=initializers.Constant(bias),
        name=f"{name}_dense",
    )(x)
    if normalize:
        x = batch_norm(name=f"{name}_bn")(x)
    x = layers.ReLU(name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x
