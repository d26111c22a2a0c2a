"""A dense layer on pairs of rows, computed once for each row instead of once for each pair."""

import keras
from keras import initializers, layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class PairDense(layers.Layer):
    """``Dense(units)`` on the concatenation of two rows, for many pairs of the same rows.

    ``y = [x_i, x_j] W + b = x_i W_1 + x_j W_2 + b``: the products are formed for the rows, then picked and added for
    each pair (i, j). Weights, their shapes and initial values are those of ``keras.layers.Dense`` on the
    concatenation: one kernel (2 D, units), the upper half for the first row of a pair, and one bias.

    Args:
        units: outputs of each pair.
        kernel_initializer: initializer of the kernel.
        bias_initializer: initializer of the bias.

    Inputs: ``[rows, pairs]``, float (B, P, D) and int (B, Q, 2) with indices in [0, P). Output: (B, Q, units).

    Raises:
        ValueError: if units is not a positive integer.
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        features = input_shape[0][-1]
        self.kernel = self.add_weight((2 * features, self.units), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias")

    def call(self, inputs):
        rows, pairs = inputs
        picked = 0.0
        for place, kernel in enumerate(ops.split(self.kernel, 2, axis=0)):
            products = ops.matmul(rows, kernel)  # (B, P, units)
            # A product with rows of the identity picks rows; its gradient is a product too, exact and fast everywhere.
            pick = ops.one_hot(pairs[..., place], rows.shape[1], dtype=products.dtype)  # (B, Q, P)
            picked = picked + ops.matmul(pick, products)  # (B, Q, units)
        return picked + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[1][:2], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }
