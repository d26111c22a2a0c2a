"""From lightness to ab with a trained network: on tensors, on arrays, and on whole photographs.

``method`` is what says ``image_size``, ``input_multiple``, ``output_stride`` and ``temperature``, with the functions
``served`` and ``decode``, see :class:`~tfssl.methods.Colorization`.
"""

import numpy as np
from keras import ops
from PIL import Image

from tfssl import runtime
from tfssl.color.photographs import read_photograph
from tfssl.errors import ModelError, SourceError
from tfssl.layers.resizing import upsample
from tfssl.ops.ab_bins import GRAY_THRESHOLD

MAX_ASPECT = 4
"""The network sees at most this many times ``image_size`` pixels along the longer side of an image."""

_SEED = 0


def predict_cells(method, model, lightness, temperature=None):
    """Predict ab on the network's own grid.

    Args:
        method, model: a colorizer and its network.
        lightness: float tensor (B, H, W, 1), L in [0, 100], any H and W.
        temperature: T of the annealed mean; None for the method's.

    Returns:
        float32 (B, ceil(H / s), ceil(W / s), 2) in ab units with s = ``method.output_stride``. Cell (i, j) is the
        color at pixel (s i, s j), where its training target was sampled.
    """
    output, seen, (height, width) = _predict_output(method, model, lightness)
    return method.decode(output, seen, method.temperature if temperature is None else temperature)[:, :height, :width]


def _predict_output(method, model, lightness):
    """``(output, L, size)``: what the network says of L that is filled up to whole cells, and the cells that count."""
    lightness = ops.convert_to_tensor(lightness)
    height, width = ops.shape(lightness)[1], ops.shape(lightness)[2]
    multiple, stride = method.input_multiple, method.output_stride
    lightness = _extend(lightness, -height % multiple, -width % multiple)
    size = (height + stride - 1) // stride, (width + stride - 1) // stride
    return model(lightness, training=False), lightness, size


def predict_ab(method, model, lightness, temperature=None):
    """:func:`predict_cells`, upsampled bilinearly to every pixel: float32 (B, H, W, 2), ab units."""
    lightness = ops.convert_to_tensor(lightness)
    cells = predict_cells(method, model, lightness, temperature)
    # first=0: cell i lands on pixel stride * i, where its target was sampled. The half-pixel convention would put
    # it (stride - 1) / 2 pixels away, and colors would run over edges by as much.
    ab = upsample(cells, method.output_stride, first=0)
    return ab[:, : ops.shape(lightness)[1], : ops.shape(lightness)[2]]


def _extend(x, bottom, right):
    # Repeats the last row and column: for sizes known only in the graph too, and for images of one pixel.
    rows = ops.minimum(ops.arange(ops.shape(x)[1] + bottom), ops.shape(x)[1] - 1)
    columns = ops.minimum(ops.arange(ops.shape(x)[2] + right), ops.shape(x)[2] - 1)
    return ops.take(ops.take(x, rows, axis=1), columns, axis=2)


def compiled_predictor(method, model):
    """:func:`predict_cells` as a function ``(lightness, temperature=None)`` of NumPy arrays, compiled for all sizes."""
    runtime.check_backend()
    import tensorflow as tf

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32), tf.TensorSpec((), tf.float32)],
        autograph=False,
    )
    def run(lightness, temperature):
        with runtime.precision():  # traced when it is first called
            return predict_cells(method, model, lightness, temperature)

    def predict(lightness, temperature=None):
        runtime.check()
        temperature = method.temperature if temperature is None else temperature
        return run(tf.constant(lightness, tf.float32), tf.constant(temperature, tf.float32)).numpy()

    return predict


def compiled_scores(method, model):
    """The network's scores of the 313 bins as a function of NumPy arrays, compiled for all sizes.

    Args:
        method, model: a colorizer and its network; ModelError for one that predicts no distribution (regression).

    Returns:
        Function of L, float (B, H, W, 1) in [0, 100]; float32 (B, h, w, 313), unnormalized log-probabilities on the
        grid of :func:`predict_cells`.
    """
    if getattr(method, "objective", None) not in ("rebalanced", "classification"):
        raise ModelError(
            "other colorings and hints need a model that predicts a distribution over the 313 colors: one of "
            "method: colorization with objective: rebalanced or classification"
        )
    runtime.check_backend()
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32)], autograph=False)
    def run(lightness):
        with runtime.precision():
            output, _, (height, width) = _predict_output(method, model, lightness)
            return ops.cast(output[:, :height, :width], "float32")

    def scores(lightness):
        runtime.check()
        return run(tf.constant(lightness, tf.float32)).numpy()

    return scores


class Colorizer:
    """A model as a function of :class:`~tfssl.color.photographs.Photograph`, at one temperature or several.

    Args:
        method, model: a colorizer and its network, as it was trained or as it is served.
        prefixes: ``{prefix of the names of its metrics: T, or None for the method's}``; all T decode the same logits.
    """

    def __init__(self, method, model, prefixes):
        self.method = method
        self.prefixes = list(prefixes)
        self._predict = _decoder(method, method.served(model), list(prefixes.values()))

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


class RandomColors:
    """The baseline that gives each photograph the true colors of another one of the set, drawn by chance but always the
    same: as vivid as photographs are, and wrong (Zhang et al. 2016, section 3.1: "random").

    Args:
        source: the images, see :func:`tfssl.data.images.image_source`.
        limit: only the first so many of them take part; None for all.
    """

    prefixes = ("random_",)

    def __init__(self, source, limit=None):
        self._source, self._count = source, min(len(source), limit or len(source))

    def __call__(self, photograph):
        size = photograph.rgb.shape[1::-1]
        order = np.random.default_rng((_SEED, photograph.index)).permutation(self._count)
        for index in order[order != photograph.index].tolist():
            other = read_photograph(self._source, index)
            if other.reason is None and np.abs(other.lab[..., 1:]).max() > GRAY_THRESHOLD:
                planes = np.moveaxis(other.lab[..., 1:].astype(np.float32), -1, 0)
                resized = [Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in planes]
                return {"random_": np.stack([np.asarray(plane, np.float64) for plane in resized], axis=-1)}
        raise SourceError("`data` has one readable image in color; random colors are those of another one: give more")


def network_size(size, image_size):
    """(width, height) at which the network sees an image of ``size``: ``image_size`` pixels on its shorter side.

    The longer side gets at most :data:`MAX_ASPECT` times as many.
    """
    scale = min(image_size / min(size), MAX_ASPECT * image_size / max(size))
    return tuple(max(1, round(n * scale)) for n in size)


def network_lightness(rgb, image_size):
    """L of an image at :func:`network_size`, by scikit-image: uint8 (H, W, 3) -> float32 (h, w) in [0, 100]."""
    from skimage.color import rgb2lab

    image = Image.fromarray(rgb)
    size = network_size(image.size, image_size)
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


def _decoder(method, model, temperatures):
    if len(temperatures) == 1:
        predict = compiled_predictor(method, model)
        return lambda lightness: predict(lightness, temperatures[0])

    import tensorflow as tf

    # One temperature for each row of a batch: logits (1, h, w, 313) / T (n, 1, 1, 1) decode to n fields at once.
    column = tf.reshape(tf.constant(temperatures, tf.float32), (-1, 1, 1, 1))

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 1), tf.float32)], autograph=False)
    def run(lightness):
        return predict_cells(method, model, lightness, column)

    return lambda lightness: run(tf.constant(lightness)).numpy()
