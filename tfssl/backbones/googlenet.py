"""GoogLeNet (Inception v1; Szegedy et al., CVPR 2015; BVLC/caffe, models/bvlc_googlenet)."""

from keras import initializers, layers

from tfssl.backbones.blocks import conv_relu, fully_connected, max_pool
from tfssl.errors import ConfigError
from tfssl.layers.normalization import LocalResponseNormalization

MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Module -> channels of 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5 and pool projection."""

AUXILIARY = {"4a": "aux1", "4d": "aux2"}
"""Module -> the auxiliary branch that starts from it."""


def googlenet(x, *, auxiliary=False, fc=(), dropout=0.4, initializer=None, bias=0.2, name_prefix=""):
    """GoogLeNet: two convolutional stages, nine inception modules, average pooling.

    For 224x224 images the trunk has 5,973,552 parameters, 6,998,552 with a classifier of 1000 classes, 13,378,280
    with both auxiliary classifiers. The taps conv1 ... conv5 are: conv1, conv2 (the 3x3 convolution), and the last
    modules of each size, conv3 = inception_3b, conv4 = inception_4e, conv5 = inception_5b.

    Args:
        auxiliary: whether to grow the two auxiliary branches, up to their dropout of 0.7; their losses are weighted
            by 0.3. They need a known size (224 in the paper).
        fc: units of fully connected layers after the average pooling; the paper has none.
        dropout: fraction of channels dropped after the average pooling (paper: 0.4), and after each layer of fc.
        initializer: of all kernels; None for Caffe's "xavier", uniform with variance 1 / fan-in.
        bias: initial value of all biases (Caffe's definition: 0.2).

    Returns:
        dict of KerasTensors conv1, pool1, conv2, pool2, inception_3a, ... inception_5b, conv3, conv4, conv5,
        pool5 (B, 1024) (averaged over the whole map, after the dropout), and aux1, aux2 (B, 1024) with ``auxiliary``.
    """
    if auxiliary and None in x.shape[1:]:
        raise ConfigError("auxiliary=True needs an input of known height and width; give them, or auxiliary=False")
    weights = {"initializer": initializer or initializers.VarianceScaling(1.0, "fan_in", "uniform"), "bias": bias}
    taps = {}
    taps["conv1"] = x = conv_relu(x, 64, 7, f"{name_prefix}conv1", strides=2, **weights)
    x = max_pool(x, 3, f"{name_prefix}pool1")
    taps["pool1"] = x = LocalResponseNormalization(name=f"{name_prefix}norm1")(x)
    x = conv_relu(x, 64, 1, f"{name_prefix}conv2_reduce", **weights)
    taps["conv2"] = x = conv_relu(x, 192, 3, f"{name_prefix}conv2", **weights)
    x = LocalResponseNormalization(name=f"{name_prefix}norm2")(x)
    taps["pool2"] = x = max_pool(x, 3, f"{name_prefix}pool2")
    for module, channels in MODULES.items():
        tap = f"inception_{module}"
        taps[tap] = x = inception(x, channels, name_prefix + tap, **weights)
        if auxiliary and module in AUXILIARY:
            taps[AUXILIARY[module]] = _auxiliary(x, name_prefix + AUXILIARY[module], **weights)
        if module in ("3b", "4e"):
            stage = int(module[0])
            taps[f"conv{stage}"] = x
            taps[f"pool{stage}"] = x = max_pool(x, 3, f"{name_prefix}pool{stage}")
    taps["conv5"] = x
    x = layers.GlobalAveragePooling2D(name=f"{name_prefix}pool5")(x)
    taps["pool5"] = x = layers.Dropout(dropout, name=f"{name_prefix}pool5_dropout")(x)
    return taps | fully_connected(x, fc, dropout=dropout, name_prefix=name_prefix, **weights)


def inception(x, channels, name, **weights):
    """An inception module: 1x1, 3x3, 5x5 and pooled branches side by side, concatenated in this order.

    Its convolutions are ``NAME_1x1``, ``NAME_3x3_reduce`` and so on; ``channels`` as in :data:`MODULES`; ``weights``
    are ``initializer`` and ``bias`` of :func:`tfssl.backbones.blocks.conv_relu`.
    """
    one, reduce_three, three, reduce_five, five, projection = channels
    branches = [conv_relu(x, one, 1, f"{name}_1x1", **weights)]
    y = conv_relu(x, reduce_three, 1, f"{name}_3x3_reduce", **weights)
    branches.append(conv_relu(y, three, 3, f"{name}_3x3", **weights))
    y = conv_relu(x, reduce_five, 1, f"{name}_5x5_reduce", **weights)
    branches.append(conv_relu(y, five, 5, f"{name}_5x5", **weights))
    y = max_pool(x, 3, f"{name}_pool", strides=1, padding="same")
    branches.append(conv_relu(y, projection, 1, f"{name}_pool_proj", **weights))
    return layers.Concatenate(name=name)(branches)


def _auxiliary(x, name, **weights):
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = conv_relu(x, 128, 1, f"{name}_conv", **weights)
    # fully_connected counts from fc6; the prefix tells these from the trunk's own.
    return fully_connected(x, (1024,), dropout=0.7, name_prefix=f"{name}_", **weights)["fc6"]
