"""Networks trained on ImageNet's labels: its 1000 classes, a classifier that knows them, encoders."""

import functools
import re
from pathlib import Path

import keras
from keras import layers

from tfssl.backbones.efficientnet import efficientnet_lite0, load_imagenet
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.lpips import DEVIATION, MEAN, trunk_arrays
from tfssl.backbones.registry import classifier
from tfssl.backbones.vgg import vgg

IMAGE_SIZE, RESIZE = 224, 256
"""Pixels of the square that the classifier sees, cut from the center of an image whose shorter side was scaled."""

_CLASSES = Path(__file__).with_name("imagenet_classes.txt")
_WNID = re.compile(r"(?<![0-9A-Za-z])n\d{8}(?![0-9])")


@functools.cache
def imagenet_classes():
    """``((WordNet id, name), ...)`` of the 1000 classes of ILSVRC 2012, in the order of classifiers: sorted by id.

    Names are the first synonym of WordNet's; two occur twice (crane, maillot). From the package imagenet-classes 0.2.1.
    """
    lines = _CLASSES.read_text(encoding="utf-8").splitlines()
    return tuple((wnid, name) for wnid, _, name in (line.partition(" ") for line in lines))


@functools.cache
def _numbers():
    return {wnid: number for number, (wnid, _) in enumerate(imagenet_classes())}


def imagenet_class(path):
    """Number of the class in [0, 1000) that a path names by a WordNet id, or None.

    ImageNet's files and folders begin with it: ``n01440764/n01440764_10026.JPEG``, ``n01440764_tench.jpg``. Of several
    ids the last one counts.
    """
    known = [wnid for wnid in _WNID.findall(str(path)) if wnid in _numbers()]
    return _numbers()[known[-1]] if known else None


def imagenet_classifier():
    """EfficientNet-Lite0 with the ImageNet weights of the extra ``pretrained``, trained on photographs in color.

    Returns:
        ``keras.Model``: RGB in 8-bit levels, float (B, 224, 224, 3) in [0, 255], to ``{"logits": (B, 1000), "features":
        (B, 1280)}``; features are the averaged last map.

    Raises:
        ConfigError: with the fix, where the package of the weights is not installed.
    """
    pictures = layers.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="pictures")
    scaled = layers.Rescaling(1 / 128, offset=-127 / 128, name="scaled")(pictures)
    logits = classifier(efficientnet_lite0(scaled, initializer="zeros"), len(imagenet_classes()), initializer="zeros")
    model = keras.Model(pictures, logits)
    features = model.get_layer("fc8_pool").output
    model = keras.Model(pictures, {"logits": logits, "features": features}, name="imagenet_classifier")
    load_imagenet(model)
    return model


def imagenet_vgg16(pooling="max"):
    """The trunk of VGG-16 with ImageNet weights (torchvision's) of the extra ``pretrained``, 14,714,688 parameters.

    Args:
        pooling: ``"max"``, as it was trained, or ``"average"``, for synthesis.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder` of RGB in [0, 1] with the taps of :func:`tfssl.backbones.vgg.vgg`.

    Raises:
        ConfigError: with the fix, where the package of the weights is not installed.
        ModelError: where its file does not hold them.
    """
    arrays = trunk_arrays("vgg")
    rgb = layers.Input((None, None, 3), name="rgb")
    offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    scaled = layers.Rescaling([1 / deviation for deviation in DEVIATION], offset=offset, name="scaled")(rgb)
    # Its random start is thrown away, but a clone of it, the network untrained, starts so.
    encoder = Encoder(rgb, vgg(scaled, fc=False, pooling=pooling, initializer="he_normal"), name="imagenet_vgg16")
    for layer, pair in zip((layer for layer in encoder.layers if layer.weights), arrays, strict=True):
        layer.set_weights(pair)
    return encoder


def imagenet_efficientnet_lite0():
    """The trunk of EfficientNet-Lite0 with ImageNet weights of the extra ``pretrained``.

    Returns:
        :class:`~tfssl.backbones.encoder.Encoder` of RGB in [0, 1] with the taps of
        :func:`tfssl.backbones.efficientnet.efficientnet_lite0`.

    Raises:
        ConfigError: with the fix, where the package of the weights is not installed.
        ModelError: where its file does not hold them.
    """
    rgb = layers.Input((None, None, 3), name="rgb")
    scaled = layers.Rescaling(255 / 128, offset=-127 / 128, name="scaled")(rgb)
    encoder = Encoder(rgb, efficientnet_lite0(scaled), name="imagenet_efficientnet_lite0")
    load_imagenet(encoder)
    return encoder


PRETRAINED = {"vgg16": imagenet_vgg16, "efficientnet_lite0": imagenet_efficientnet_lite0}
"""Name of an encoder whose weights come with the extra ``pretrained`` -> function that makes it."""
