"""Normalization: of batches, of neighbor channels, of examples."""

import keras
import numpy as np
from keras import ops

from tfssl.layers.layer import Layer, check_odd

CAFFE = {"epsilon": 1e-5, "momentum": 0.999}
"""Constants of Caffe's batch normalization; its moving statistics are right at once, Keras' after many steps."""

TORCH = {"epsilon": 1e-5, "momentum": 0.9}
"""Constants of Torch's batch normalization, whose momentum is 1 - this."""


def set_batch_norm(model, epsilon=None, momentum=None):
    """Give every batch normalization of a model, also inside its layers, these constants; None leaves one as it is.

    Weights that were trained elsewhere give the same outputs only with the epsilon of their framework (Keras: 1e-3).

    Args:
        model: ``keras.Model``, changed in place; compile it afterwards.
        epsilon: added to the variance.
        momentum: of the moving statistics, in [0, 1).

    Returns:
        ``model``.
    """
    given = {"epsilon": epsilon, "momentum": momentum}
    for layer in model._flatten_layers():
        if hasattr(layer, "epsilon") and hasattr(layer, "momentum"):  # also a layer that makes one anew when loaded
            for name, value in given.items():
                if value is not None:
                    setattr(layer, name, value)
    return model


def batch_norm(**options):
    """``keras.layers.BatchNormalization`` whose statistics are those of all devices, on TensorFlow, where Keras can."""
    return keras.layers.BatchNormalization(synchronized=keras.backend.backend() == "tensorflow", **options)


@keras.saving.register_keras_serializable(package="tfssl")
class LocalResponseNormalization(Layer):
    """Divide each activation by a power of the energy of its neighbor channels.

    ``b_i = a_i / (bias + alpha / n * sum_j a_j^2) ^ beta`` with j over the n channels centered at i (Krizhevsky et al.
    2012, section 3.3). Defaults are Caffe's, which divides alpha by n; ``tf.nn.local_response_normalization`` needs
    ``alpha=2e-5`` for the same numbers. The AlexNet paper has ``bias=2.0, divide_by_size=False``.

    Args:
        size: channels n in the window, odd.
        alpha: weight of the energy.
        beta: exponent.
        bias: constant k, positive.
        divide_by_size: whether alpha is divided by n.

    Input: float (B, ..., C). Output: the same shape.
    """

    takes = (("inputs", "... B C"),)

    def __init__(self, size=5, alpha=1e-4, beta=0.75, bias=1.0, divide_by_size=True, **kwargs):
        super().__init__(**kwargs)
        check_odd(size=size)
        if not bias > 0:
            raise ValueError(f"`bias` must be positive, or zeros would divide by zero. Received: bias={bias!r}")
        self.size, self.alpha, self.beta, self.bias, self.divide_by_size = size, alpha, beta, bias, divide_by_size

    def call(self, inputs):
        # Squares of activations above 256 do not fit into float16.
        x = ops.cast(inputs, "float32") if self.compute_dtype in ("float16", "bfloat16") else inputs
        channels = inputs.shape[-1]
        distance = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels)))
        window = ops.cast(distance <= self.size // 2, x.dtype)
        # A product with a band matrix sums the window; n shifted copies of the activations would cost more memory.
        energy = ops.matmul(ops.square(x), window)
        alpha = self.alpha / self.size if self.divide_by_size else self.alpha
        return ops.cast(x * ops.power(self.bias + alpha * energy, -self.beta), inputs.dtype)


@keras.saving.register_keras_serializable(package="tfssl")
class ScaleToRMS(Layer):
    """Subtract each channel's mean, then scale each image so that the root of its mean square is ``rms``.

    The last step of preparing a patch in the released code of Doersch, Gupta and Efros (2015). A flat image becomes
    zero.

    Args:
        rms: root mean square of the output over rows, columns and channels (released code: 50); None for no scaling.
        matrix: (C, C) list of lists that every pixel is multiplied by first, ``x @ matrix``; None for none.

    Input: float (B, H, W, C). Output: the same shape.
    """

    def __init__(self, rms=50.0, matrix=None, **kwargs):
        super().__init__(**kwargs)
        if rms is not None and not rms > 0:
            raise ValueError(f"`rms` must be positive, or None. Received: rms={rms!r}")
        self.rms = rms
        self.matrix = None if matrix is None else [[float(value) for value in row] for row in matrix]

    @property
    def takes(self):
        return (("inputs", f"B H W {'C' if self.matrix is None else len(self.matrix)}"),)

    def call(self, inputs):
        x = inputs
        if self.matrix is not None:
            x = ops.matmul(x, ops.convert_to_tensor(self.matrix, dtype=x.dtype))
        x = x - ops.mean(x, axis=(1, 2), keepdims=True)
        if self.rms is None:
            return x
        square = ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)
        return x * (self.rms * ops.rsqrt(square + keras.config.epsilon()))


@keras.saving.register_keras_serializable(package="tfssl")
class Standardize(Layer):
    """``(x - mean) / sqrt(variance + epsilon^2)`` over given axes of each example; zero where nothing varies.

    Args:
        axis: axes of the statistics, all after the batch: ``(1, 2)`` for each channel of an image (B, H, W, C) by
            itself, ``(1, 2, 3)`` for the image as a whole.
        epsilon: in units of the input.

    Input: float (B, ...). Output: the same shape.
    """

    def __init__(self, axis=(1, 2), epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        axis = (axis,) if isinstance(axis, int) else tuple(axis)
        if not axis or any(not isinstance(a, int) or a < 1 for a in axis):
            raise ValueError(f"`axis` must hold axes after the batch, 1 or more. Received: axis={axis!r}")
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive, or flat images give NaN. Received: epsilon={epsilon!r}")
        self.axis = axis
        self.epsilon = epsilon

    @property
    def takes(self):
        return (("inputs", " ".join(("...", "B", *(f"n{axis}" for axis in range(1, max(self.axis) + 1))))),)

    def call(self, inputs):
        centered = inputs - ops.mean(inputs, axis=self.axis, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=self.axis, keepdims=True)
        return centered * ops.rsqrt(variance + self.epsilon**2)


@keras.saving.register_keras_serializable(package="tfssl")
class MapNormalization(Layer):
    """Layer normalization of maps as TensorFlow's contrib library has it: statistics of an example, a scale a channel.

    ``gamma_c (x - mean) / sqrt(variance + epsilon) + beta_c``, mean and variance over height, width and channels.
    Keras' ``LayerNormalization`` has its scales along the same axes as its statistics: for maps it needs their size.

    Args:
        epsilon: added to the variance (contrib: 1e-12, recalled; with that flat maps have enormous gradients).

    Input: float (B, H, W, C). Output: the same shape. Weights: gamma and beta (C,).
    """

    _channels = "C"

    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive, or flat maps give NaN. Received: epsilon={epsilon!r}")
        self.epsilon = epsilon

    @property
    def takes(self):
        return (("inputs", f"B H W {self._channels}"),)

    def build(self, input_shape):
        self._channels = input_shape[-1]
        self.gamma = self.add_weight((self._channels,), "ones", name="gamma")
        self.beta = self.add_weight((self._channels,), "zeros", name="beta")

    def call(self, inputs):
        x = ops.cast(inputs, "float32")  # squares of activations above 256 do not fit into float16
        x = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)
        x = x * ops.rsqrt(ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True) + self.epsilon)
        return ops.cast(x, inputs.dtype) * self.gamma + self.beta
