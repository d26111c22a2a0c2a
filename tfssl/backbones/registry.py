"""Backbones by name, as whole models."""

import functools
import inspect
import re

import keras
from keras import layers

from tfssl.backbones.alexnet import alexnet, caffenet, zf
from tfssl.backbones.blocks import nearest
from tfssl.backbones.efficientnet import efficientnet_lite0
from tfssl.backbones.encoder import Encoder
from tfssl.backbones.googlenet import googlenet
from tfssl.backbones.small import alexnet_s, inception_s, vgg_s
from tfssl.backbones.vgg import vgg
from tfssl.errors import ConfigError

BACKBONES = {
    "alexnet": alexnet,
    "caffenet": caffenet,
    "zf": zf,
    "vgg16": functools.partial(vgg, depth=16),
    "vgg19": functools.partial(vgg, depth=19),
    "googlenet": googlenet,
    "efficientnet_lite0": efficientnet_lite0,
    "alexnet_s": alexnet_s,
    "vgg_s": vgg_s,
    "inception_s": inception_s,
}
"""Name -> function from a KerasTensor (B, H, W, C) and options to a dict of taps."""


def build(name, *, input_shape, classes=None, value_range=None, **options):
    """Build a backbone by name, as an encoder or as a whole classifier.

    Args:
        name: a key of ``BACKBONES``.
        input_shape: (height, width, channels); height and width may be None where ``fc=False``.
        classes: number of classes of a classifier on top; None for the taps.
        value_range: (lowest, highest) value of the images that an encoder is meant for, such as (0, 1): it then scales
            uint8 to it and refuses values far outside; None for any float, as where a mean is subtracted, and uint8 is
            refused. A classifier takes what it is given.
        **options: of the backbone's function, such as ``fc``, ``dropout``, ``initializer``.

    Returns:
        An :class:`~tfssl.backbones.encoder.Encoder` of float images (B, H, W, C), fc6 and fc7 among its taps where
        ``fc`` asks for them; or, with classes, a ``keras.Model`` to logits (B, classes) in float32; with GoogLeNet's
        ``auxiliary=True`` to a dict of the logits ``logits``, ``aux1`` and ``aux2``.

    Raises:
        ConfigError: if the name or an option is unknown, or the network does not fit the input; by the encoder, for
            inputs that do not fit ``value_range``.
    """
    if name not in BACKBONES:
        raise ConfigError(f"no backbone {name!r}{nearest(name, BACKBONES)}")
    _check_options(name, options)
    _check_input_shape(input_shape)
    pictures = layers.Input(input_shape, name="pictures")
    try:
        taps = BACKBONES[name](pictures, **options)
    except ConfigError:
        raise
    except ValueError as error:  # Keras': a window larger than its map, channels that no group count divides
        raise ConfigError(f"{name} cannot be built for input_shape={tuple(input_shape)}: {_reason(error)}") from None
    if classes is None:
        return Encoder(pictures, taps, name=name, value_range=value_range)
    initializer = options.get("initializer")
    logits = {"logits": classifier(taps, classes, initializer=initializer, name="fc8")}
    for branch in ("aux1", "aux2"):
        if branch in taps:
            logits[branch] = classifier({"fc7": taps[branch]}, classes, initializer=initializer, name=f"{branch}_fc8")
    return keras.Model(pictures, logits if len(logits) > 1 else logits["logits"], name=name)


def random_encoder(name):
    """An untrained backbone as an encoder of RGB in [0, 1], shifted and scaled by (x - 0.5) / 0.25; always the same."""
    keras.utils.set_random_seed(0)
    rgb = keras.Input((None, None, 3), name="rgb")
    taps = build(name, input_shape=(None, None, 3), fc=False)(layers.Rescaling(4.0, offset=-2.0)(rgb))
    return Encoder(rgb, {tap: x for tap, x in taps.items() if tap.startswith("conv")}, name=name)


def classifier(taps, classes, *, initializer=None, name="fc8"):
    """The last layer of a classifier, on the deepest tap there is: fc7, fc6, or the average of pool5 or conv5.

    Args:
        taps: dict of KerasTensors, as a backbone returns it.
        classes: number of classes.
        initializer: of the kernel; None for a Gaussian of deviation 0.01, as in AlexNet.
        name: of the layer, whose logits (B, classes) are float32, whatever the precision of the network.
    """
    x = next(taps[tap] for tap in ("fc7", "fc6", "pool5", "conv5") if tap in taps)
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)
    initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.01))
    return layers.Dense(classes, kernel_initializer=initializer.clone(), dtype="float32", name=name)(x)


def _check_options(name, options):
    known = [key for key in inspect.signature(BACKBONES[name]).parameters if key not in ("x", "name_prefix")]
    for key in options:
        if key not in known:
            raise ConfigError(f"{name} has no option {key!r}{nearest(key, known)}")


def _check_input_shape(shape):
    if len(shape) != 3 or not all((n is None and i < 2) or (isinstance(n, int) and n > 0) for i, n in enumerate(shape)):
        raise ConfigError(f"input_shape={shape!r} must be (height, width, channels), such as (227, 227, 3)")


def _reason(error):
    """The sentence that Keras prints in bold, without the call that it wraps around it."""
    bold = re.search(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    return " ".join((bold.group(1) if bold else str(error)).split())
