"""PCA whitening of the patch around every position, as a convolution."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_positive
from tfssl.ops.patch_whitening import CONTRAST_FLOOR


@keras.saving.register_keras_serializable(package="tfssl")
class PatchWhitening(Layer):
    """Every patch of a map freed of its mean, divided by its contrast and whitened (:mod:`tfssl.ops.patch_whitening`).

    ``z = (p - mean(p)) / sqrt(var(p) + floor^2)``, then ``P^T (z - m)``: because the columns of P sum to zero, that is
    one convolution, one division and one subtraction.

    Args:
        size: of the square patches in pixels.
        components: numbers that describe a patch.
        stride: distance of the patches in pixels.
        floor: deviation of a patch, in units of the input, below which its contrast is not brought to 1.

    Input: float (B, H, W, frames) in [0, 1], gray frames of a clip or the channels of an image, H and W at least
    ``size``. Output: (B, h, w, components). Weights, not trained, which :meth:`adapt_to` sets: ``kernel`` (size, size,
    frames, components) and ``offset`` (components,).
    """

    keeps_weights = True
    """They describe data: a network that is drawn anew for comparison keeps them."""

    def __init__(self, size, components, stride=1, floor=CONTRAST_FLOOR, **kwargs):
        super().__init__(trainable=kwargs.pop("trainable", False), **kwargs)
        check_positive(size=size, components=components, stride=stride)
        self.size = size
        self.components = components
        self.stride = stride
        self.floor = float(floor)

    @property
    def takes(self):
        return (("inputs", f"B H W {self.kernel.shape[2] if self.built else 'frames'}"),)

    def build(self, input_shape):
        shape = (self.size, self.size, input_shape[-1], self.components)
        self.kernel = self.add_weight(shape, "zeros", trainable=False, name="kernel")
        self.offset = self.add_weight((self.components,), "zeros", trainable=False, name="offset")

    def adapt_to(self, mean, matrix):
        """Take the statistics of :func:`tfssl.ops.patch_whitening.pca_whitening`: (d,) and (d, components)."""
        self.kernel.assign(ops.reshape(matrix, self.kernel.shape))
        self.offset.assign(ops.matmul(mean, matrix))

    def call(self, inputs):
        window = {"pool_size": self.size, "strides": self.stride, "padding": "valid"}
        frames = ops.mean(inputs, axis=-1, keepdims=True)
        squares = ops.mean(ops.square(inputs), axis=-1, keepdims=True)
        mean = ops.average_pool(frames, **window)
        variance = ops.maximum(ops.average_pool(squares, **window) - ops.square(mean), 0.0)
        responses = ops.conv(inputs, self.kernel, strides=self.stride, padding="valid")
        return responses / ops.sqrt(variance + self.floor**2) - self.offset

    def _output_shape(self, input_shape):
        sizes = [None if n is None else (n - self.size) // self.stride + 1 for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.components)
