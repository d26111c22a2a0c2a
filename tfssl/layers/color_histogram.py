"""Histograms of colors: a hand-made feature of style."""

import math

import keras
from keras import ops

from tfssl.layers.layer import Layer
from tfssl.ops.color import rgb_to_lab

BINS = (4, 14, 14)
"""Of L, a and b."""

NUMBERS = math.prod(BINS)

LOW, HIGH = (0.0, -87.0, -108.0), (100.0, 99.0, 95.0)
"""Ends of the bins: the gamut of sRGB lies between them."""


@keras.saving.register_keras_serializable(package="tfssl")
class LabHistogram(Layer):
    """Joint histogram of L, a and b: sRGB images (B, H, W, 3) in [0, 1] -> (B, 784), which sum to 1.

    4 x 14 x 14 bins of equal width, L slowest, b fastest, as Karayev et al. count them (their ends are not given; here
    they are those of sRGB). What lies outside falls into the outermost bins.

    Reference:
        S. Karayev et al.: Recognizing Image Style. BMVC 2014; F. Palermo, J. Hays, A. A. Efros: Dating Historical
        Color Images. ECCV 2012.
    """

    takes = (("inputs", "B H W 3"),)

    def call(self, inputs):
        low, high, bins = (ops.cast(values, inputs.dtype) for values in (LOW, HIGH, BINS))
        lab = ops.reshape(rgb_to_lab(inputs), (ops.shape(inputs)[0], -1, 3))
        places = ops.cast(ops.clip(ops.floor((lab - low) / (high - low) * bins), 0, bins - 1), "int32")
        lightness, a, b = (ops.one_hot(places[..., i], n, dtype=inputs.dtype) for i, n in enumerate(BINS))
        # One lightness at a time: all bins of all pixels at once would take a gigabyte.
        planes = [ops.matmul(ops.transpose(a * lightness[..., i : i + 1], (0, 2, 1)), b) for i in range(BINS[0])]
        counts = ops.reshape(ops.stack(planes, axis=1), (-1, NUMBERS))
        return counts / ops.sum(counts, axis=1, keepdims=True)

    def _output_shape(self, input_shape):
        return (input_shape[0], NUMBERS)
