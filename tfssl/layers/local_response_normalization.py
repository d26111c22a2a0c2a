"""Local response normalization across channels."""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class LocalResponseNormalization(layers.Layer):
    """Divide each activation by a power of the energy of its neighbor channels.

    ``b_i = a_i / (bias + alpha / n * sum_j a_j^2) ^ beta`` with j over the n channels centered at i (Krizhevsky et al.
    2012, section 3.3). Defaults are Caffe's, which divides alpha by n; the paper and TensorFlow do not, so that
    ``tf.nn.local_response_normalization`` needs ``alpha=2e-5`` for the same numbers. For the constants of the AlexNet
    paper take ``bias=2.0, divide_by_size=False``.

    Args:
        size: channels n in the window, odd (Caffe and the paper: 5).
        alpha: weight of the energy (Caffe and the paper: 1e-4).
        beta: exponent (Caffe and the paper: 0.75).
        bias: constant k, positive (Caffe: 1; the paper: 2).
        divide_by_size: whether alpha is divided by n.

    Input: float tensor (B, ..., C). Output: the same shape.

    Raises:
        ValueError: if size is not a positive odd integer or bias is not positive.

    Reference:
        A. Krizhevsky, I. Sutskever, G. E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks.
        NeurIPS 2012.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, bias=1.0, divide_by_size=True, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be a positive odd integer. Received: size={size!r}")
        if not bias > 0:
            raise ValueError(f"`bias` must be positive, or zeros would divide by zero. Received: bias={bias!r}")
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.bias = bias
        self.divide_by_size = divide_by_size

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

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
            "divide_by_size": self.divide_by_size,
        }
