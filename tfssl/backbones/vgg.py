"""VGG-16 and VGG-19: 3x3 convolutions in five blocks (Simonyan, Zisserman, ICLR 2015)."""

from keras import layers

from tfssl.backbones.blocks import check_normalization, conv_relu, fully_connected, max_pool
from tfssl.errors import ConfigError

WIDTHS = (64, 128, 256, 512, 512)  # channels of the five blocks
DEPTHS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # weight layers of the network -> convolutions in each block


def vgg(
    x,
    *,
    depth=16,
    normalization=None,
    pooling="max",
    fc=(4096, 4096),
    dropout=0.5,
    initializer="glorot_uniform",
    bias=0.0,
    name_prefix="",
):
    """VGG: blocks of 3x3 convolutions with padding 1, each block closed by a 2x2 / 2 max pooling.

    For 224x224 images: VGG-16 has 14,714,688 convolution parameters, 138,357,544 with fc8 of 1000 classes; VGG-19
    has 20,024,384 and 143,667,240. The taps conv1 ... conv5 are the last convolutions of the blocks (conv3 is
    conv3_3 in VGG-16, conv3_4 in VGG-19).

    Args:
        depth: 16 or 19.
        normalization: None as in the paper, or a batch normalization between each convolution or fully connected
            layer and its ReLU: ``"batch"`` or, as the VGG-style network of context prediction,
            ``"batch_without_affine"``.
        pooling: ``"max"`` as in the paper, or ``"average"``, which Gatys, Ecker and Bethge found to give cleaner
            textures.
        initializer: of all kernels; Glorot and Bengio's, which the paper's authors found to make training in stages
            unnecessary.
        others: as :func:`tfssl.backbones.alexnet.alexnet`.

    Returns:
        dict of KerasTensors conv1_1, conv1_2, conv1, pool1, conv2_1, ... pool5 (convolutions after the ReLU), fc6,
        fc7 (after the dropout).
    """
    if depth not in DEPTHS:
        raise ConfigError(f"depth={depth!r} is not known; take 16 or 19")
    if pooling not in ("max", "average"):
        raise ConfigError(f"pooling={pooling!r} is not known; take max or average")
    check_normalization(normalization)
    weights = {"normalization": normalization, "initializer": initializer, "bias": bias}
    taps = {}
    for block, (filters, convolutions) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), start=1):
        for i in range(1, convolutions + 1):
            tap = f"conv{block}_{i}"
            x = taps[tap] = conv_relu(x, filters, 3, name_prefix + tap, **weights)
        taps[f"conv{block}"] = x
        name = f"{name_prefix}pool{block}"
        x = taps[f"pool{block}"] = (
            max_pool(x, 2, name) if pooling == "max" else layers.AveragePooling2D(2, name=name)(x)
        )
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)
