"""Predictors of color as functions of whole photographs: a model at any temperatures, and the gray baseline."""

import numpy as np
from PIL import Image

from tfssl.color.predict import compiled_predictor, predict_cells
from tfssl.errors import ModelError

MAX_ASPECT = 4
"""The network sees at most this many times ``image_size`` pixels along the longer side of an image."""


class Colorizer:
    """A model as a function of photographs.

    Args:
        method: its configuration.
        predict: function of float32 L (1, h, w, 1) -> ab on the network's grid, (n, h', w', 2), n = len(prefixes).
        prefixes: of the names of its n predictions' metrics.
    """

    def __init__(self, method, predict, prefixes):
        self.method = method
        self.prefixes = prefixes
        self._predict = predict

    def __call__(self, photograph):
        """Predicted ab at each pixel, ``{prefix: (H, W, 2)}``."""
        shape = photograph.rgb.shape[:2]
        lightness = network_lightness(photograph.rgb, self.method.image_size)
        cells = np.asarray(self._predict(lightness[None, ..., None]), np.float64)
        if not np.isfinite(cells).all():
            raise ModelError(f"the model predicts NaN for {photograph.name}; its training has failed, use another one")
        rows, columns = (
            _interpolation(n, self.method.output_stride, m, k)
            for n, m, k in zip(cells.shape[1:3], lightness.shape, shape, strict=True)
        )
        fields = np.einsum("yi,nijc,xj->nyxc", rows, cells, columns, optimize=True)
        return dict(zip(self.prefixes, fields, strict=True))


class GrayBaseline:
    """The baseline that predicts ab = 0 everywhere."""

    prefixes = ("gray_",)

    def __call__(self, photograph):
        return {"gray_": np.zeros((*photograph.rgb.shape[:2], 2))}


def network_lightness(rgb, side):
    """L of an image at the size at which the network sees it.

    Args:
        rgb: uint8 array (H, W, 3), sRGB.
        side: pixels of the shorter side; the longer one gets at most :data:`MAX_ASPECT` times as many.

    Returns:
        float32 array (h, w), in [0, 100].
    """
    from skimage.color import rgb2lab

    image = Image.fromarray(rgb)
    scale = min(side / min(image.size), MAX_ASPECT * side / max(image.size))
    size = tuple(max(1, round(n * scale)) for n in image.size)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return rgb2lab(np.asarray(image))[..., 0].astype(np.float32)


def _interpolation(cells, stride, network, pixels):
    """Weights (pixels, cells) of linear interpolation; cell i lies at the center of network pixel ``stride * i``."""
    position = ((np.arange(pixels) + 0.5) * network / pixels - 0.5) / stride
    position = np.clip(position, 0, cells - 1)
    low = np.minimum(position.astype(int), max(cells - 2, 0))
    weights = np.zeros((pixels, cells))
    weights[np.arange(pixels), low] = 1.0 - (position - low)
    weights[np.arange(pixels), np.minimum(low + 1, cells - 1)] += position - low
    return weights


def one_temperature(method, model, temperature):
    """A predictor for :class:`Colorizer` at one T; None for the method's."""
    predict = compiled_predictor(method, model)
    return lambda lightness: predict(lightness, temperature)


def all_temperatures(method, model, temperatures):
    """A predictor for :class:`Colorizer` at several T, from the same logits."""
    import tensorflow as tf

    # One temperature for each row of a batch: logits (1, h, w, 313) / T (n, 1, 1, 1) decode to n fields at once.
    column = tf.reshape(tf.constant(temperatures, tf.float32), (-1, 1, 1, 1))

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 1), tf.float32)])
    def run(lightness):
        return predict_cells(method, model, lightness, column)

    return lambda lightness: run(tf.constant(lightness)).numpy()
