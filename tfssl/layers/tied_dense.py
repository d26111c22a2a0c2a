"""A dense layer that also runs backwards: the encoder and the decoder of an autoencoder's layer."""

import math

import keras
from keras import initializers, layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class TiedDense(layers.Layer):
    """Affine map ``x W + b`` and, with ``transposed=True``, the way back ``h W' + b'``.

    Tied: W' is the transpose of W, one variable, whose gradient adds both uses. Both maps act on the last axis, so that
    the layer also serves as a 1x1 convolution. There is no activation: put one behind it.

    ``y = TiedDense(500)``; ``code = sigmoid(y(x))``; ``x_again = sigmoid(y(code, transposed=True))``.

    Args:
        units: size of the code.
        tied: one kernel for both directions, or a second one of its own for the way back.
        kernel_initializer: initializer of the kernels; None is uniform in +-4 sqrt(6 / (inputs + units)), the
            tutorial's for sigmoid units.

    Input: float (..., inputs), or (..., units) with ``transposed=True``. Output: (..., units), or (..., inputs).

    Raises:
        ValueError: if units is not a positive integer.

    Reference:
        P. Vincent et al.: Extracting and Composing Robust Features with Denoising Autoencoders. ICML 2008, section 2.
    """

    def __init__(self, units, tied=True, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        self.units = units
        self.tied = tied
        self.kernel_initializer = None if kernel_initializer is None else initializers.get(kernel_initializer)

    def build(self, input_shape):
        inputs = input_shape[-1]
        self.inputs_size = inputs
        self.kernel = self.add_weight((inputs, self.units), self._initializer(inputs), name="kernel")
        self.bias = self.add_weight((self.units,), "zeros", name="bias")
        self.transposed_bias = self.add_weight((inputs,), "zeros", name="transposed_bias")
        if not self.tied:
            self.transposed_kernel = self.add_weight(
                (self.units, inputs), self._initializer(inputs), name="transposed_kernel"
            )

    def call(self, inputs, transposed=False):
        if not transposed:
            return ops.matmul(inputs, self.kernel) + self.bias
        kernel = ops.transpose(self.kernel) if self.tied else self.transposed_kernel
        return ops.matmul(inputs, kernel) + self.transposed_bias

    def compute_output_shape(self, input_shape, transposed=False):
        return (*input_shape[:-1], self.inputs_size if transposed else self.units)

    def compute_output_spec(self, inputs, transposed=False):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, transposed), dtype=self.compute_dtype)

    def _initializer(self, inputs):
        if self.kernel_initializer is None:
            limit = 4 * math.sqrt(6 / (inputs + self.units))
            return initializers.RandomUniform(-limit, limit)
        # A clone, because one unseeded initializer gives equal values to equal shapes.
        return self.kernel_initializer.clone()

    def get_config(self):
        initializer = self.kernel_initializer
        return {
            **super().get_config(),
            "units": self.units,
            "tied": self.tied,
            "kernel_initializer": None if initializer is None else initializers.serialize(initializer),
        }
