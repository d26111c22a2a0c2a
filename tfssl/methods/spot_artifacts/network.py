"""The four networks: an encoder and a decoder of images, what repairs damaged features, and what spots the repair."""

import keras
from keras import initializers, layers, ops

from tfssl.backbones.adapter import DEVIATION, strides, trunk
from tfssl.backbones.alexnet import caffenet
from tfssl.backbones.blocks import fully_connected
from tfssl.backbones.decoding import decode_maps
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.layers.convolution import RepairBlock
from tfssl.layers.normalization import batch_norm, set_batch_norm
from tfssl.layers.resizing import Upsample
from tfssl.methods.opened import OPEN_STRIDE, is_open

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""Layers of the discriminator that an encoder exposes."""

MEAN_COLOR = (123.68, 116.78, 103.94)
"""What the discriminator subtracts from RGB levels of 0 ... 255: the mean color of ImageNet."""

REAL, CORRUPT = 1, 0
"""Classes of the discriminator."""

_SMALL = {"widths": (32, 64, 96, 96, 96), "conv1_kernel": 3, "conv1_stride": 1, "pools": (1, 2, 3), "pool_size": 2}
_MOMENTUM = 0.975
_SLOPE = 0.2
_GLOROT, _BIAS = "glorot_uniform", 0.1  # of the discriminator


def kernel_initializer():
    """Variance scaling, mean of fan-in and fan-out; the factor 2 is that of its authors' library, unconfirmed."""
    return initializers.VarianceScaling(2.0, "fan_avg", "truncated_normal")


def build_encoder(widths, l2=0.0):
    """The encoder E: a 3x3 convolution, then 2x2 convolutions with stride 2 that do not overlap.

    Each is followed by batch normalization and leaky ReLU (0.2). One cell of the result therefore sees one square of
    the image and a margin of one pixel: damage stays where it is made. 699,168 trainable parameters for the ``widths``,
    channels of each convolution, of ``"alexnet"``.

    Returns:
        ``keras.Model``: images in [-1, 1], (B, H, W, 3) -> features (B, H / s, W / s, widths[-1]),
        s = 2 ** (len(widths) - 1).
    """
    images = x = layers.Input((None, None, 3), name="pictures")
    for i, filters in enumerate(widths):
        x = _conv_block(x, filters, 2 if i else 3, f"encode{i}", strides=2 if i else 1, l2=l2)
    return keras.Model(images, x, name="encoder")


def build_decoder(widths, l2=0.0):
    """The decoder D: stages ``decode1`` ... that :func:`decode` also runs with repairs between them.

    Each doubles the size bilinearly (on the grid of pixel centers; TensorFlow 1's was another), then a 3x3 convolution
    with batch normalization and leaky ReLU (0.2); the last is a 3x3 convolution with tanh. 1,568,547 trainable
    parameters for the widths of ``"alexnet"``.

    Returns:
        ``keras.Model``: features (B, h, w, widths[-1]) -> images in [-1, 1], (B, s h, s w, 3).
    """
    features = x = layers.Input((None, None, widths[-1]), name="features")
    for i, (filters, old) in enumerate(zip(widths[-2::-1], widths[::-1], strict=False), start=1):
        inputs = layers.Input((None, None, old), name=f"decode{i}_input")
        outputs = _conv_block(Upsample(2, name=f"decode{i}_up")(inputs), filters, 3, f"decode{i}", l2=l2)
        x = keras.Model(inputs, outputs, name=f"decode{i}")(x)
    last = f"decode{len(widths)}"
    inputs = layers.Input((None, None, widths[0]), name=f"{last}_input")
    outputs = layers.Conv2D(3, 3, activation="tanh", name=f"{last}_conv", **_kernel(l2))(inputs)
    return keras.Model(features, keras.Model(inputs, outputs, name=last)(x), name="decoder")


def build_autoencoder(widths, size, cells, l2=0.0):
    """Encoder and decoder in one: ``{"images": (B, size, size, 3), "omega": unused}`` -> images in [-1, 1].

    It takes the batches of the second phase, so that both phases of a run share one dataset. 2,267,715 trainable
    parameters for the widths of ``"alexnet"``. ``l2`` weighs the penalty on kernels.
    """
    images, omega = layers.Input((size, size, 3), name="images"), layers.Input((cells, cells, 1), name="omega")
    decoded = build_decoder(widths, l2)(build_encoder(widths, l2)(images))
    return keras.Model({"images": images, "omega": omega}, decoded, name="autoencoder")


def build_repairer(widths):
    """The repair network R: one gated layer ``repair1`` ... before each stage of the decoder.

    6,297,216 trainable parameters for the widths of ``"alexnet"``. The layers stand side by side here; :func:`decode`
    puts them between the stages of the decoder.

    Returns:
        ``keras.Model``: ``[[map 1, mask 1], [map 2, mask 2] ...]`` -> list of repaired maps.
    """
    pairs, repaired = [], []
    for i, channels in enumerate(widths[::-1], start=1):
        pairs.append([
            layers.Input((None, None, channels), name=f"repair{i}_map"),
            layers.Input((None, None, 1), name=f"repair{i}_mask"),
        ])  # fmt: skip
        repaired.append(RepairBlock(_MOMENTUM, kernel_initializer(), name=f"repair{i}")(pairs[-1]))
    return keras.Model(pairs, repaired, name="repairer")


def decode(decoder, features, repairer=None, omega=None, training=False):
    """Decode features (B, h, w, C) to images in [-1, 1], (B, H, W, 3), repairing them before each stage.

    The decoder is always in inference mode; repairer None decodes without repair. ``omega`` (B, h, w, 1), 1 where
    features are intact, is doubled with the maps, by nearest neighbors.
    """
    x, mask = features, omega
    stages = [layer for layer in decoder.layers if layer.name.startswith("decode")]
    for number, stage in enumerate(stages, start=1):
        if repairer is not None:
            mask = upsample_mask(mask) if number > 1 else mask
            x = repairer.get_layer(f"repair{number}")([x, mask], training=training)
        x = stage(x, training=False)
    return x


def upsample_mask(mask):
    """Double a mask (B, h, w, 1) by nearest neighbors: (B, 2 h, 2 w, 1)."""
    return ops.repeat(ops.repeat(mask, 2, axis=1), 2, axis=2)


def build_discriminator(backbone, *, size, fc6, dropout, pool5=False):
    """The discriminator C: five convolutions, a head for the class, a head for the damage.

    ``"alexnet"`` is CaffeNet with SAME padding, local response normalization after the first two poolings, batch
    normalization without scale in conv5 and fc6 (momentum 0.975), no fc7; Glorot's initial weights, biases of 0.1, as
    the released code: 40,097,411 trainable parameters for images of 96 pixels and
    4096 units. conv5 has as many cells as the encoder's features, so that the second head can say for each whether it
    was damaged. (With VALID padding it would not: 4x4 against 6x6 at 96 pixels.) ``pool5`` brings the 14x14 cells of
    224 pixels to 6x6, for which the network has the same number of parameters as at 96 pixels.

    Returns:
        ``keras.Model``: images in [-1, 1], (B, size, size, 3) -> ``{"logits": (B, 2), "mask": (B, h, w, 1)}``, both
        before softmax or sigmoid and in float32; logits are (corrupt, real), mask is high where intact.
    """
    images = layers.Input((size, size, 3), name="judged")
    levels = layers.Rescaling(127.5, offset=[127.5 - mean for mean in MEAN_COLOR], dtype="float32", name="levels")
    network = build_trunk(backbone, size)
    taps = network(levels(images))
    if is_open(backbone):
        cells = decode_maps(taps, strides(network), images, OPEN_STRIDE)
        conv5 = taps[list(network.output)[-1]]
    else:
        cells = conv5 = taps["conv5"]
    mask = layers.Conv2D(1, 3, padding="same", name="mask", **_head(backbone))(cells)
    x = layers.MaxPooling2D(3, 2, name="pool5")(conv5) if pool5 else conv5
    options = {"initializer": _head(backbone)["kernel_initializer"], "normalization": {"fc6": "batch_without_scale"}}
    x = fully_connected(x, (fc6,), dropout=dropout, **options)["fc6"]
    logits = layers.Dense(2, name="class", **_head(backbone))(x)
    network = keras.Model(images, {"logits": logits, "mask": mask}, name="discriminator")
    return set_batch_norm(network, momentum=_MOMENTUM) if backbone == "alexnet" else network


def build_trunk(backbone, size=None):
    """The convolutions of the discriminator: RGB levels less their mean -> ``{"conv1": ..., ... "conv5": ...}``."""
    if is_open(backbone):
        return trunk(backbone, size=size, stem=layers.Rescaling(1 / DEVIATION, name="standardize"))
    levels = layers.Input((None, None, 3), name="trunk_levels")
    if backbone == "small":
        taps = alexnet_s(levels, **_SMALL, normalization="batch", fc=None)
        return keras.Model(levels, {name: taps[name] for name in TAPS}, name="trunk")
    taps = caffenet(
        levels,
        padding="same",
        normalization={"conv1": "lrn", "conv2": "lrn", "conv5": "batch_without_scale"},
        initializer=_GLOROT,
        bias=_BIAS,
        fc=None,
    )
    network = keras.Model(levels, {name: taps[name] for name in TAPS}, name="trunk")
    for name in ("conv1_conv", "conv3_conv"):  # BVLC's start at zero
        bias = network.get_layer(name).bias
        bias.assign(ops.full(bias.shape, _BIAS))
    for name in ("conv2_conv", "conv4_conv", "conv5_conv"):  # there each group is a convolution of its own
        kernel = network.get_layer(name).kernel
        inputs, outputs = kernel.shape[-2:]
        kernel.assign(kernel * ((inputs + outputs) / (inputs + outputs / 2)) ** 0.5)
    return network


def feature_encoder(discriminator):
    """Maps of whole images, RGB in [0, 1], (B, H, W, 3) -> ``{"conv1": ..., "conv5": ...}``; it shares variables."""
    rgb = layers.Input((None, None, 3), name="rgb")
    levels = layers.Rescaling(255.0, offset=[-mean for mean in MEAN_COLOR], dtype="float32", name="rgb_levels")
    return Encoder(rgb, discriminator.get_layer("trunk")(levels(rgb)), name="features")


def _head(backbone):
    initial = {"kernel_initializer": kernel_initializer()}
    if backbone == "alexnet":
        initial = {"kernel_initializer": _GLOROT, "bias_initializer": initializers.Constant(_BIAS)}
    return {**initial, "dtype": "float32"}


def _conv_block(x, filters, kernel_size, name, *, strides=1, l2):
    x = layers.Conv2D(filters, kernel_size, strides=strides, use_bias=False, name=f"{name}_conv", **_kernel(l2))(x)
    x = batch_norm(momentum=_MOMENTUM, name=f"{name}_bn")(x)
    return layers.LeakyReLU(_SLOPE, name=f"{name}_relu")(x)


def _kernel(l2):
    return {
        "padding": "same",
        "kernel_initializer": kernel_initializer(),
        "kernel_regularizer": keras.regularizers.L2(l2 / 2) if l2 else None,
    }
