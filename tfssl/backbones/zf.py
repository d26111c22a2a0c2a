"""The network of Zeiler and Fergus: AlexNet with a smaller, denser first layer."""

from keras import initializers

from tfssl.backbones.blocks import conv_relu, fully_connected, max_pool
from tfssl.layers.normalization import LocalResponseNormalization


def zf(
    x,
    *,
    conv1_padding=1,
    conv2_padding=0,
    fc=(4096, 4096),
    dropout=0.5,
    initializer=None,
    bias=0.0,
    name_prefix="",
):
    """ZF net: conv1 7x7 / 2, conv2 5x5 / 2, no groups; each 3x3 / 2 pooling is followed by the normalization.

    For 224x224 pictures: 3,726,464 convolution parameters, 62,357,608 with fc8 of 1000 classes; maps of 110, 26, 13,
    13, 13 pixels. The version for detection has ``conv1_padding=3, conv2_padding=2``.

    Args:
        x: KerasTensor (B, H, W, C), any number of channels.
        conv1_padding: zeros on each side of conv1's input.
        conv2_padding: zeros on each side of conv2's input.
        fc: units of fc6, fc7; None, False or () for convolutions only.
        dropout: share of units dropped after each fully connected layer.
        initializer: of all kernels; None for a Gaussian of deviation 0.01, as in the paper.
        bias: initial value of all biases (paper: 0).
        name_prefix: put before every layer name.

    Returns:
        dict of KerasTensors conv1 ... conv5 (after the ReLU), pool1, pool2 (after the normalization), pool5, fc6,
        fc7 (after the dropout).

    Raises:
        ConfigError: if fc is asked for on an input of unknown size.

    Reference:
        M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014.
    """
    initializer = initializer or initializers.RandomNormal(stddev=0.01)
    layers = ((96, 7, 2, conv1_padding), (256, 5, 2, conv2_padding), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))
    taps = {}
    for i, (filters, kernel_size, strides, padding) in enumerate(layers, start=1):
        x = taps[f"conv{i}"] = conv_relu(
            x,
            filters,
            kernel_size,
            f"{name_prefix}conv{i}",
            strides=strides,
            padding=padding,
            initializer=initializer,
            bias=bias,
        )
        if i in (1, 2, 5):
            x = max_pool(x, 3, f"{name_prefix}pool{i}")
            if i != 5:
                x = LocalResponseNormalization(name=f"{name_prefix}norm{i}")(x)
            taps[f"pool{i}"] = x
    return taps | fully_connected(x, fc, dropout=dropout, initializer=initializer, bias=bias, name_prefix=name_prefix)
