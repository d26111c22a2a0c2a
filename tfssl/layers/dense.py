"""Fully connected layers: inside each map, on pairs of rows, of the units that are asked for, and both ways."""

import math

import keras
from keras import constraints, initializers, ops

from tfssl.layers.layer import Layer, check_positive
from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class ChannelwiseDense(Layer):
    """Connect all positions of a map with each other, each map by itself (Pathak et al. 2016, section 3.1).

    ``y[:, :, c] = W_c x[:, :, c] + b_c`` with the n = h w positions of map c flattened. It carries information across
    the whole image with C n^2 weights instead of the C^2 n^2 of a dense layer: 331,776 instead of 84,934,656 for 256
    maps of 6 x 6.

    Args:
        use_bias: whether each output has an offset.
        kernel_initializer: of the kernel; it is given a matrix with n rows, so that its fan-in is n.
        bias_initializer: of the bias.

    Input: float (B, h, w, C) of known h, w and C. Output: the same shape. Weights: kernel (C, n, n), from the input's
    position to the output's; bias (n, C).
    """

    def __init__(self, use_bias=True, kernel_initializer="lecun_normal", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self._shape = "B h w C"
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    @property
    def takes(self):
        return (("inputs", self._shape),)

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                f"ChannelwiseDense needs maps (B, h, w, C) of known h, w and C. Received: input_shape={input_shape}"
            )
        _, height, width, maps = input_shape
        self._shape = f"B {height} {width} {maps}"
        self.kernel = self.add_weight((maps, height * width, height * width), self._draw_kernel, name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((height * width, maps), self.bias_initializer, name="bias")

    def _draw_kernel(self, shape, dtype=None):
        # Keras takes the first axes of more than two for those of a convolution, and would start far too small.
        maps, rows, columns = shape
        matrix = self.kernel_initializer((rows, maps * columns), dtype=dtype)
        return ops.transpose(ops.reshape(matrix, (rows, maps, columns)), (1, 0, 2))

    def call(self, inputs):
        _, height, width, maps = inputs.shape
        flat = ops.reshape(inputs, (-1, height * width, maps))  # (B, n, C)
        outputs = ops.einsum("bnc,cnm->bmc", flat, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        return ops.reshape(outputs, (-1, height, width, maps))


@keras.saving.register_keras_serializable(package="tfssl")
class PairDense(Layer):
    """``Dense(units)`` on the concatenation of two rows, for many pairs of the same rows.

    ``y = [x_i, x_j] W + b = x_i W_1 + x_j W_2 + b``: the products are formed for the rows, then picked and added for
    each pair (i, j). Weights are those of ``keras.layers.Dense`` on the concatenation.

    Args:
        units: outputs of each pair.
        kernel_initializer: of the kernel (2 D, units).
        bias_initializer: of the bias.

    Inputs: ``[rows, pairs]``, float (B, P, D) and int (B, Q, 2) with indices in [0, P). Output: (B, Q, units).
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    @property
    def takes(self):
        return ("rows", f"B P {self.kernel.shape[0] // 2 if self.built else 'D'}"), ("pairs", "B Q 2")

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

    def _output_shape(self, input_shape):
        return (*input_shape[1][:2], self.units)


@keras.saving.register_keras_serializable(package="tfssl")
class SelectedDense(Layer):
    """``Dense(units)`` without an offset, of which only the units that are asked for are computed.

    ``scores = SelectedDense(1000)(x)`` gives ``w_k . x`` for all k; ``SelectedDense(1000)(x, indices)`` for a few of
    each row, and nothing is done for the others, in the gradient neither.

    Args:
        units: number of units there are.
        kernel_initializer: of the kernel; it is given a matrix (D, units).

    Input: float (B, D), and perhaps int ``indices`` (B, T) in [0, units); one outside gets the score of the nearest.
    Output: (B, units), or (B, T). Weights: kernel (units, D), a row for each unit.
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self._shape = "B D"
        self.kernel_initializer = initializers.get(kernel_initializer)

    @property
    def takes(self):
        return (("inputs", self._shape),)

    def build(self, input_shape):
        self._shape = f"B {input_shape[-1]}"
        self.kernel = self.add_weight((self.units, input_shape[-1]), self._draw_kernel, name="kernel")

    def _draw_kernel(self, shape, dtype=None):
        return ops.transpose(self.kernel_initializer(shape[::-1], dtype=dtype))

    def call(self, inputs, indices=None):
        if indices is None:
            return ops.matmul(inputs, ops.transpose(self.kernel))
        check_shapes(inputs=(inputs, self._shape), indices=(indices, "B T"))
        within = ops.clip(ops.cast(indices, "int32"), 0, self.units - 1)
        chosen = ops.take(self.kernel, within, axis=0)  # (B, T, D)
        return ops.squeeze(ops.matmul(chosen, ops.expand_dims(inputs, -1)), -1)

    def compute_output_spec(self, inputs, indices=None):
        self.compute_output_shape(inputs.shape)
        outputs = self.units if indices is None else indices.shape[1]
        return keras.KerasTensor((inputs.shape[0], outputs), dtype=self.compute_dtype)

    def _output_shape(self, input_shape):
        return input_shape[0], self.units


@keras.saving.register_keras_serializable(package="tfssl")
class TiedDense(Layer):
    """Affine map ``x W + b`` and, with ``transposed=True``, the way back ``h W' + b'``, both on the last axis.

    ``y = TiedDense(500)``; ``code = sigmoid(y(x))``; ``x_again = sigmoid(y(code, transposed=True))``.

    With ``use_bias=False`` the code is ``x W``: the factors of gated models, and zero-bias autoencoders.

    Args:
        units: size of the code.
        tied: whether W' is the transpose of W, or a kernel of its own.
        kernel_initializer: of the kernels; None is uniform in +-4 sqrt(6 / (inputs + units)), the tutorial's for
            sigmoid units (Vincent et al. 2008).
        use_bias: whether codes have the offset b; the way back always has its own.
        kernel_constraint: of W, a ``keras.constraints.Constraint``; None for none.

    Input: float (..., inputs), or (..., units) with ``transposed=True``. Output: (..., units), or (..., inputs).
    """

    def __init__(self, units, tied=True, kernel_initializer=None, use_bias=True, kernel_constraint=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self.tied = tied
        self.use_bias = use_bias
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.kernel_initializer = None if kernel_initializer is None else initializers.get(kernel_initializer)

    takes = (("inputs", "... B n"),)

    def build(self, input_shape):
        inputs = input_shape[-1]
        self.inputs_size = inputs
        # On several devices a constraint assigns to every copy; all of them are equal, so the first one's is taken.
        copies = "none" if self.kernel_constraint is None else "only_first_replica"
        self.kernel = self.add_weight(
            (inputs, self.units),
            self._initializer(inputs),
            constraint=self.kernel_constraint,
            aggregation=copies,
            name="kernel",
        )
        self.bias = self.add_weight((self.units,), "zeros", name="bias") if self.use_bias else None
        self.transposed_bias = self.add_weight((inputs,), "zeros", name="transposed_bias")
        if not self.tied:
            self.transposed_kernel = self.add_weight(
                (self.units, inputs), self._initializer(inputs), name="transposed_kernel"
            )

    def call(self, inputs, transposed=False):
        check_shapes(inputs=(inputs, f"... {self.units if transposed else self.inputs_size}"))
        if not transposed:
            code = ops.matmul(inputs, self.kernel)
            return code if self.bias is None else code + self.bias
        kernel = ops.transpose(self.kernel) if self.tied else self.transposed_kernel
        return ops.matmul(inputs, kernel) + self.transposed_bias

    def compute_output_shape(self, input_shape, transposed=False):
        super().compute_output_shape(input_shape)
        return (*input_shape[:-1], self.inputs_size if transposed else self.units)

    def compute_output_spec(self, inputs, transposed=False):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, transposed), dtype=self.compute_dtype)

    def _initializer(self, inputs):
        if self.kernel_initializer is None:
            limit = 4 * math.sqrt(6 / (inputs + self.units))
            return initializers.RandomUniform(-limit, limit)
        # A clone, because one unseeded initializer gives equal values to equal shapes.
        return self.kernel_initializer.clone()
