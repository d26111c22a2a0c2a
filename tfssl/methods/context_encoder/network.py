"""Inpainting networks: a masked image in, the dropped region (or the whole image) out, and their discriminators.

Colors lie in [-1, 1]. Every network holds its convolutions up to conv5 in a model ``trunk`` that takes images of
any size: the encoder of transfer. What follows it has fully connected layers and one size.
"""

import keras
from keras import initializers, layers

from tfssl.backbones.adapter import DEVIATION, trunk
from tfssl.backbones.alexnet import alexnet
from tfssl.backbones.decoding import deepest, double
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.small import alexnet_s
from tfssl.layers.dense import ChannelwiseDense
from tfssl.layers.normalization import TORCH, batch_norm
from tfssl.methods.opened import is_open
from tfssl.ops.patches import MEAN_COLOR

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
"""Layers that an encoder exposes."""

_ENCODER_WIDTHS, _DECODER_WIDTHS = (64, 64, 128, 256, 512), (512, 256, 128, 64)
_DISCRIMINATOR_WIDTHS = (64, 128, 256, 512)
_FEATURE_DECODER_WIDTHS = (128, 64, 64, 32, 3)
_SMALL = {"widths": (32, 64, 96, 96, 96), "conv1_kernel": 5, "conv1_stride": 2, "pools": (2, 5)}
_SMALL_DECODER_WIDTHS = (64, 32, 16)
_SMALL_DISCRIMINATOR_WIDTHS = (32, 64, 128)
_SLOPE = 0.2


def build_inpainter(network, *, crop_size, whole, bottleneck):
    """Build a network that predicts what was dropped.

    - ``"inpainting"`` (paper, section 5.1; released code): 4x4 convolutions with stride 2, LeakyReLU 0.2, batch
      normalization; a bottleneck of one position; transposed convolutions, tanh. 71,130,531 parameters for the center
      (128 -> 64) with a bottleneck of 4000, 71,196,259 for the whole image, moving statistics not counted. The
      released code sets the biases of convolutions to zero before each step; here they are learned.
    - ``"features"`` (paper, figure 2): AlexNet up to pool5, :class:`ChannelwiseDense`, a 1x1 convolution, five
      up-convolutions with ReLU (unconfirmed: their widths 128, 64, 64, 32, 3 and 5x5 kernels, recalled from the
      supplement's figure), resized bilinearly to the image. Different from it: the last one has tanh, not ReLU, and
      takes the whole range of colors. Pixels enter as levels less the mean color, as Caffe's
      initial weights expect: what was dropped is zero.
    - ``"small"``: five convolutions of 32 to 96 channels, :class:`ChannelwiseDense` on maps of crop_size / 8, a 1x1
      convolution, up-convolutions. 0.8 million parameters at 64 pixels, for CPUs.

    Args:
        network, crop_size, bottleneck: fields of :class:`~tfssl.methods.ContextEncoder`.
        whole: whether the output is the whole image, or its central half (half the side).

    Returns:
        ``keras.Model``: images (B, S, S, 3) in [-1, 1] -> (B, T, T, 3) in float32, T = S or S / 2.
    """
    images = layers.Input((crop_size, crop_size, 3), name="pictures")
    if network == "inpainting":
        x = _inpainting_decoder(_trunk(_inpainting_taps)(images)["conv5"], bottleneck, whole)
    elif is_open(network):
        x = _open_decoder(network, images, whole)
    elif network == "features":
        x = _feature_decoder(_trunk(_alexnet_taps)(images)["pool5"], crop_size)
    else:
        x = _to_colors(_trunk(_small_taps)(images)["pool5"], 3 if whole else 2)
    return keras.Model(images, x, name=f"inpainter_{'open' if is_open(network) else network}")


def build_discriminator(network, size):
    """Build the discriminator: does this patch come from a photograph? (paper, section 3.2; released code)

    It sees the predicted or true pixels alone, never their surroundings, of which it would only judge the seam.
    2,766,529 parameters for 64 pixels, 2,832,257 for 128 (moving statistics not counted); for ``"small"`` and open
    inpainters it has widths of 32 to 128.

    Returns:
        ``keras.Model``: patches (B, size, size, 3) in [-1, 1] -> logits (B, 1), float32. The released network ends in
        a sigmoid, which is here in the loss.
    """
    widths = _SMALL_DISCRIMINATOR_WIDTHS if network == "small" or is_open(network) else _DISCRIMINATOR_WIDTHS
    while size > 4 * 2 ** len(widths):
        widths = (widths[0], *widths)
    x = patches = layers.Input((size, size, 3), name="patches")
    for i, filters in enumerate(widths, start=1):
        x = _halve(x, filters, f"critic_conv{i}", normalize=i > 1)
    x = layers.Conv2D(1, x.shape[1], kernel_initializer=_normal(), dtype="float32", name="critic_scores")(x)
    return keras.Model(patches, layers.Flatten(dtype="float32", name="critic_logits")(x), name="critic")


def build_encoder(inpainter):
    """Features of images of any size, by the inpainter's own variables."""
    rgb = layers.Input((None, None, 3), name="rgb")
    taps = inpainter.get_layer("trunk")(layers.Rescaling(2.0, offset=-1.0, dtype="float32", name="scale")(rgb))
    return Encoder(rgb, {tap: maps for tap, maps in taps.items() if tap != "pool5"}, name="encoder")


def _trunk(build):
    pixels = layers.Input((None, None, 3), name="pixels")
    taps = build(pixels)
    return keras.Model(pixels, {name: taps[name] for name in (*TAPS, "pool5") if name in taps}, name="trunk")


def _inpainting_taps(x):
    taps = {}
    for i, filters in enumerate(_ENCODER_WIDTHS, start=1):
        x = taps[f"conv{i}"] = _halve(x, filters, f"conv{i}", normalize=i > 1)
    return taps


def _alexnet_taps(x):
    offset = [127.5 - level for level in MEAN_COLOR]
    return alexnet(layers.Rescaling(127.5, offset=offset, name="levels")(x), fc=None)


def _small_taps(x):
    return alexnet_s(x, **_SMALL, normalization="batch", fc=None)


def _inpainting_decoder(x, units, whole):
    x = layers.Conv2D(units, 4, kernel_initializer=_normal(), name="bottleneck_conv")(x)
    x = layers.LeakyReLU(_SLOPE, name="bottleneck")(_normalize(x, "bottleneck_bn"))
    widths = (*_DECODER_WIDTHS, 64) if whole else _DECODER_WIDTHS
    for i, filters in enumerate(widths, start=1):
        # The first one opens one position to 4 x 4, the others double.
        options = {"strides": 1, "padding": "valid"} if i == 1 else {"strides": 2, "padding": "same"}
        x = layers.Conv2DTranspose(filters, 4, kernel_initializer=_normal(), name=f"up{i}_conv", **options)(x)
        x = layers.ReLU(name=f"up{i}")(_normalize(x, f"up{i}_bn"))
    x = layers.Conv2DTranspose(3, 4, strides=2, padding="same", kernel_initializer=_normal(), name="colors_conv")(x)
    return layers.Activation("tanh", dtype="float32", name="colors")(x)


def _feature_decoder(x, size):
    x = layers.ReLU(name="across")(ChannelwiseDense(name="across_dense")(x))
    x = layers.ReLU(name="mixed")(layers.Conv2D(x.shape[-1], 1, kernel_initializer="he_normal", name="mixed_conv")(x))
    last = len(_FEATURE_DECODER_WIDTHS)
    for i, filters in enumerate(_FEATURE_DECODER_WIDTHS, start=1):
        x = layers.Conv2DTranspose(filters, 5, strides=2, kernel_initializer="he_normal", name=f"up{i}_conv")(x)
        x = layers.Cropping2D(2, name=f"up{i}_crop")(x)  # n -> 2n - 1
        x = layers.ReLU(name=f"up{i}")(x) if i < last else x  # colors below mid-gray are negative
    x = layers.Resizing(size, size, dtype="float32", name="to_picture")(x)
    return layers.Activation("tanh", dtype="float32", name="colors")(x)


def _open_decoder(backbone, images, whole):
    stem = layers.Rescaling(
        127.5 / DEVIATION, offset=[(127.5 - level) / DEVIATION for level in MEAN_COLOR], name="standardize"
    )
    code, doublings = deepest(trunk(backbone, size=images.shape[1], stem=stem), images.shape[1])
    return _to_colors(code(images), doublings if whole else doublings - 1)


def _to_colors(x, doublings):
    x = layers.ReLU(name="across")(batch_norm(name="across_bn")(ChannelwiseDense(name="across_dense")(x)))
    x = layers.Conv2D(128, 1, use_bias=False, kernel_initializer="he_normal", name="mixed_conv")(x)
    x = layers.ReLU(name="mixed")(batch_norm(name="mixed_bn")(x))
    x = double(x, doublings, _SMALL_DECODER_WIDTHS[:doublings])
    # A plain convolution last: transposed ones leave a checkerboard.
    x = layers.Conv2D(3, 3, padding="same", name="colors_conv")(x)
    return layers.Activation("tanh", dtype="float32", name="colors")(x)


def _halve(x, filters, name, *, normalize):
    """4x4 convolution with stride 2, batch normalization, LeakyReLU 0.2; "same" pads 1 on each side of even maps."""
    x = layers.Conv2D(filters, 4, strides=2, padding="same", kernel_initializer=_normal(), name=f"{name}_conv")(x)
    x = _normalize(x, f"{name}_bn") if normalize else x
    return layers.LeakyReLU(_SLOPE, name=name)(x)


def _normalize(x, name):
    scale = initializers.RandomNormal(1.0, 0.02)
    return batch_norm(**TORCH, gamma_initializer=scale, name=name)(x)


def _normal():
    # A new one for each layer, because one unseeded initializer gives equal values to equal shapes.
    return initializers.RandomNormal(stddev=0.02)
