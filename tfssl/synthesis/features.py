"""The networks whose features an image is made to have: which taps, and in which unit."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfssl.data.builtin import builtin_photographs
from tfssl.data.crop import Crop
from tfssl.data.decode import decode_image
from tfssl.errors import ConfigError, suggest

_LEAST_UNIT = 0.01  # of a channel, in units of the mean channel of its map
_PHOTOGRAPH = 128  # pixels a side of the photographs that the unit of a channel is measured on


class Features:
    """Maps of an encoder, each channel in units of its mean absolute value over photographs.

    Of a network of ReLUs this is the "normalized" network of the paper (section 2): its weights rescaled so that each
    filter's mean activation over images and positions is 1. Without it single loud channels would rule the statistics.

    Args:
        encoder: ``keras.Model``: RGB in [0, 1], (B, H, W, 3) -> ``{tap: (B, h, w, C)}``.
        taps: names of the maps to give.
        photographs: RGB images in [0, 1], float32 (N, H, W, 3); None for crops of the builtin photographs.

    Raises:
        ConfigError: for a tap that the encoder does not have, or that is a vector.
    """

    def __init__(self, encoder, taps, photographs=None):
        maps = map_taps(encoder)
        for tap in taps:
            if tap not in maps:
                raise ConfigError(f"`tap`: {encoder.name} has no map {tap!r}; {suggest(tap, maps, 'it has')}")
        self.taps = tuple(dict.fromkeys(taps))
        self._network = keras.Model(encoder.input, {tap: encoder.output[tap] for tap in self.taps})
        self.units: dict = dict.fromkeys(self.taps, 1.0)
        """``{tap: (C,)}``: what each channel is divided by."""
        photographs = _photographs() if photographs is None else photographs
        found = [self(image[None]) for image in photographs]
        for tap in self.taps:
            unit = np.mean([tf.reduce_mean(tf.abs(maps[tap]), axis=(0, 1, 2)) for maps in found], axis=0)
            # Random filters that hardly ever answer would be the loudest of all; of VGG-16 there are none.
            self.units[tap] = np.maximum(unit, _LEAST_UNIT * unit.mean() or 1.0).astype(np.float32)

    def __call__(self, images):
        """``{tap: float32 (B, h, w, C)}`` of images, RGB in [0, 1], float32 (B, H, W, 3)."""
        maps = self._network(images, training=False)
        return {tap: tf.cast(maps[tap], tf.float32) / self.units[tap] for tap in self.taps}


def map_taps(encoder):
    """Names of an encoder's taps that are maps."""
    return [tap for tap, tensor in encoder.output.items() if len(tensor.shape) == 4]


def choose_taps(encoder, wanted):
    """Taps to take where none are named: the wanted ones, if the encoder has them all, or else one of each resolution.

    That is the deepest of each; the finest comes first.
    """
    maps = map_taps(encoder)
    if set(wanted) <= set(maps):
        return tuple(wanted)
    size = 2 ** int(np.ceil(np.log2(max(64, getattr(encoder, "smallest", 1)))))
    shapes = encoder.compute_output_shape((1, size, size, 3))
    return tuple({shapes[tap][1]: tap for tap in maps}.values())


@functools.lru_cache(maxsize=1)
def _photographs():
    crop = Crop(_PHOTOGRAPH, resize=_PHOTOGRAPH, flip=False)
    return np.stack([crop.apply(decode_image(str(path))) for path in builtin_photographs()]).astype(np.float32) / 255
