"""Dense descriptors as a Keras layer."""

import functools

import keras
import numpy as np

from tfssl.errors import ConfigError, suggest
from tfssl.layers.layer import Layer, check_positive
from tfssl.local.descriptors import (
    HOG_LENGTH,
    LBP_LENGTH,
    SIFT_LENGTH,
    dense_sift,
    gray_levels,
    hog_blocks,
    lbp_histograms,
    root_sift,
)

KINDS = {"sift": SIFT_LENGTH, "hog": HOG_LENGTH, "lbp": LBP_LENGTH}
"""Numbers of a descriptor of each kind."""


@keras.saving.register_keras_serializable(package="tfssl")
class DenseDescriptors(Layer):
    """A descriptor at each point of a grid, by OpenCV or scikit-image on the CPU; no gradients flow through it.

    Args:
        kind: ``"sift"`` (RootSIFT, 128 numbers), ``"hog"`` (blocks of 2x2 cells, 36) or ``"lbp"`` (59).
        step: pixels between grid points; of HOG and LBP, width of a cell.
        size: of SIFT, width of a patch in pixels; the others have none.

    Input: float (B, H, W, 3), RGB in [0, 1]. Output: float32 (B, H // step, W // step, c); of HOG one row and column
    less.
    """

    takes = (("inputs", "B H W 3"),)

    def __init__(self, kind="sift", step=8, size=24, **kwargs):
        super().__init__(trainable=kwargs.pop("trainable", False), dtype=kwargs.pop("dtype", "float32"), **kwargs)
        if kind not in KINDS:
            raise ConfigError(f"`kind`: {suggest(kind, KINDS)}. Received: kind={kind!r}")
        check_positive(step=step, size=size)
        self.kind = kind
        self.step = step
        self.size = size
        self.supports_jit = False

    def call(self, inputs):
        import tensorflow as tf

        # A graph of unknown size has unknown output sizes: those of the shape that is known are set again.
        found = tf.numpy_function(self._describe, [inputs], tf.float32, stateful=False)
        found.set_shape(self._output_shape(inputs.shape))
        return found

    def _describe(self, images):
        describe = {
            "sift": lambda gray: root_sift(dense_sift(gray, self.step, self.size)),
            "hog": functools.partial(hog_blocks, cell=self.step),
            "lbp": functools.partial(lbp_histograms, cell=self.step),
        }[self.kind]
        return np.stack([describe(gray) for gray in gray_levels(images)])

    def _output_shape(self, input_shape):
        less = int(self.kind == "hog")
        sizes = [None if n is None else n // self.step - less for n in input_shape[1:3]]
        return (input_shape[0], *sizes, KINDS[self.kind])
