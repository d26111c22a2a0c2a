"""Small backbones for CPUs, with the tap names of the large ones."""

from tfssl.backbones.blocks import check_normalization, conv_relu, fully_connected, max_pool
from tfssl.backbones.googlenet import inception
from tfssl.errors import ConfigError


def alexnet_s(
    x,
    *,
    widths=(32, 64, 96, 96, 64),
    conv1_kernel=5,
    conv1_stride=2,
    pools=(1, 2, 5),
    pool_size=3,
    normalization=None,
    fc=(256,),
    dropout=0.0,
    initializer="he_normal",
    name_prefix="",
):
    """Five convolutions in the shape of AlexNet, for images or tiles of 16 to 96 pixels.

    conv1 has its own kernel and stride, the others are 3x3; every convolution is padded by half its kernel, so that
    strides alone shrink the maps. With 64x64 images and the defaults they have 32, 16, 8, 8, 8 pixels, pool5 has 4.

    Args:
        x: KerasTensor (B, H, W, C), any size and number of channels.
        widths: channels of the five convolutions.
        conv1_kernel: in pixels, odd.
        conv1_stride: in pixels.
        pools: numbers of the convolutions that a max pooling with stride 2 follows, () for none.
        pool_size: of the pooling windows in pixels: 3 overlap, as AlexNet's; 2 cost less.
        normalization: None, ``"batch"`` or ``"batch_without_affine"``, between each convolution or fully connected
            layer and its ReLU.
        fc, dropout, initializer, name_prefix: as :func:`tfssl.backbones.alexnet.alexnet`.

    Returns:
        dict of KerasTensors conv1 ... conv5 (after the ReLU), pool1 ... for each number in ``pools``, fc6 ...
    """
    if len(widths) != 5:
        raise ConfigError(f"widths={widths!r} must have one number for each of conv1 ... conv5")
    if not set(pools) <= {1, 2, 3, 4, 5}:
        raise ConfigError(f"pools={pools!r} must be numbers of convolutions, 1 to 5")
    if conv1_kernel % 2 == 0:
        raise ConfigError(f"conv1_kernel={conv1_kernel!r} must be odd")
    check_normalization(normalization)
    weights = {"normalization": normalization, "initializer": initializer}
    taps = {}
    for i, filters in enumerate(widths, start=1):
        kernel_size, strides = (conv1_kernel, conv1_stride) if i == 1 else (3, 1)
        x = conv_relu(x, filters, kernel_size, f"{name_prefix}conv{i}", strides=strides, **weights)
        taps[f"conv{i}"] = x
        if i in pools:
            x = taps[f"pool{i}"] = max_pool(x, pool_size, f"{name_prefix}pool{i}")
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)


def vgg_s(
    x, *, widths=(16, 32, 64), normalization=None, fc=(256,), dropout=0.0, initializer="he_normal", name_prefix=""
):
    """Three blocks of two 3x3 convolutions of ``widths`` channels, each closed by 2x2 / 2 max pooling, as VGG.

    The taps conv1 ... conv5 are conv1_2, conv2_1, conv2_2, conv3_1 and conv3_2, which are there too, with conv1_1,
    pool1, pool2, pool3, fc6 ... With 64x64 images they have 64, 32, 32, 16, 16 pixels. Arguments and errors as
    :func:`alexnet_s`.
    """
    if len(widths) != 3:
        raise ConfigError(f"widths={widths!r} must have one number for each of three blocks")
    check_normalization(normalization)
    weights = {"normalization": normalization, "initializer": initializer}
    taps, convolutions = {}, []
    for block, filters in enumerate(widths, start=1):
        for i in (1, 2):
            tap = f"conv{block}_{i}"
            x = taps[tap] = conv_relu(x, filters, 3, name_prefix + tap, **weights)
            convolutions.append(x)
        x = taps[f"pool{block}"] = max_pool(x, 2, f"{name_prefix}pool{block}")
    taps |= {f"conv{i}": tensor for i, tensor in enumerate(convolutions[1:], start=1)}
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)


def inception_s(x, *, fc=(256,), dropout=0.0, initializer="he_normal", name_prefix=""):
    """A stem and two inception modules, in the shape of GoogLeNet; arguments and errors as :func:`alexnet_s`.

    conv1 5x5 / 2 with 32 channels, pool1; conv2 1x1 with 32 and conv3 3x3 with 64, pool3; two modules of 8 (1x1),
    8 -> 16 (3x3), 4 -> 8 (5x5) and 8 (pool projection) channels, conv4 and conv5; pool5. With 64x64 images the taps
    have 32, 16, 16, 8, 8 pixels, pool5 has 4.
    """
    weights = {"initializer": initializer, "bias": 0.0}
    taps = {}
    taps["conv1"] = x = conv_relu(x, 32, 5, f"{name_prefix}conv1", strides=2, **weights)
    taps["pool1"] = x = max_pool(x, 3, f"{name_prefix}pool1")
    taps["conv2"] = x = conv_relu(x, 32, 1, f"{name_prefix}conv2", **weights)
    taps["conv3"] = x = conv_relu(x, 64, 3, f"{name_prefix}conv3", **weights)
    taps["pool3"] = x = max_pool(x, 3, f"{name_prefix}pool3")
    for tap in ("conv4", "conv5"):
        taps[tap] = x = inception(x, (8, 8, 16, 4, 8, 8), name_prefix + tap, **weights)
    taps["pool5"] = x = max_pool(x, 3, f"{name_prefix}pool5")
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)
