"""The start from a classifier of ImageNet: VGG-16's convolutions made for gray images, every map balanced."""

import keras
import numpy as np

from tfssl.backbones.lpips import DEVIATION, MEAN, trunk_arrays
from tfssl.errors import ConfigError
from tfssl.methods.hypercolumn_colorization.network import MEAN_GRAY, map_strides


def load_imagenet(model):
    """Give a network of ``build_network("vgg16", ..., normalization=None)`` VGG-16's thirteen ImageNet convolutions.

    The first one sums its kernels over R, G and B and takes on the input's scale, so that a gray image gives the maps
    that it gives VGG-16 in color, but at the border, where zeros are gray 0.4488 in all channels. fc6 and fc7 stay as
    they were drawn: the package of the weights (torchvision's, see :mod:`tfssl.backbones.lpips`) has none.
    """
    names = [name for name in map_strides("vgg16") if name.startswith("conv")]
    arrays = trunk_arrays("vgg")
    kernel, bias = arrays[0]
    kernel = kernel / np.array(DEVIATION)[:, None]
    bias = bias + np.sum(kernel * (MEAN_GRAY - np.array(MEAN))[:, None], axis=(0, 1, 2))
    arrays[0] = kernel.sum(axis=2, keepdims=True), bias
    for name, pair in zip(names, arrays, strict=True):
        model.get_layer(f"{name}_conv").set_weights(list(pair))


def balance(model, lightness):
    """Scale all convolutions so that the mean square of every map of the hypercolumn is 1; what they compute stays.

    ReLU and poolings pass on a factor: with ``m = E[X^2]^(-1/2)`` of a map, its kernel is multiplied by m over that of
    the map before, its bias by m. So ``h_fc1`` sees all maps alike, without normalization. The input itself stays.

    Args:
        model: of backbone ``"vgg16"`` without normalization.
        lightness: list of images, L in [0, 100], float (1, H, W, 1), that the mean squares are measured on.

    Returns:
        ``{map: mean square before}``.

    Raises:
        ConfigError: if a map is 0 on all images.

    Reference:
        G. Larsson, M. Maire, G. Shakhnarovich: Learning Representations for Automatic Colorization. ECCV 2016.
    """
    names = [name for name in map_strides("vgg16") if name != "data"]
    maps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    squares, pixels = np.zeros(len(names)), np.zeros(len(names))
    for image in lightness:
        found = [np.asarray(values, np.float64) for values in maps(image)]
        squares += [np.square(values).sum() for values in found]
        pixels += [values.size for values in found]
    moments = squares / pixels
    if not (moments > 0).all():
        raise ConfigError(f"the map {names[int(np.argmin(moments))]} is 0 everywhere: it cannot be balanced")
    before = 1.0
    for name, factor in zip(names, 1 / np.sqrt(moments), strict=True):
        layer = model.get_layer(f"{name}_conv")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * (factor / before), bias * factor])
        before = factor
    return dict(zip(names, moments.tolist(), strict=True))
