"""Bilinear layers, in which one input gates the weights that act on the other, and what their filters need."""

import keras
from keras import constraints, initializers, ops

from tfssl.layers.layer import Layer, check_positive

_SMALL = 1e-6  # added to standard deviations, as in the released code


class _Gate(Layer):
    """Two inputs of fixed sizes to one output."""

    _sizes = ("I", "J")

    @property
    def takes(self):
        return tuple((name, f"... B {size}") for name, size in zip(("x", "y"), self._sizes, strict=True))

    def _set_sizes(self, input_shape):
        sizes = [shape[-1] for shape in input_shape]
        if None in sizes:
            raise ValueError(f"{self._title()} needs inputs of known sizes. Received: input_shape={input_shape}")
        self._sizes = tuple(sizes)
        return sizes

    def _output_shape(self, input_shape):
        return (*input_shape[0][:-1], self.units)


@keras.saving.register_keras_serializable(package="tfssl")
class BilinearGate(_Gate):
    """``z_k = sum_ij w_ijk x_i y_j``: x gates the weights that act on y, with a weight for every triple.

    I J K weights: 1,428,050 for two patches of 13x13 pixels and 50 units. :class:`FactoredGate` needs far fewer.

    Args:
        units: outputs K.
        kernel_initializer: of the kernel; it is given a matrix with I J rows, so that its fan-in is I J.

    Inputs: ``[x, y]``, float (..., I) and (..., J), the same leading axes. Output: (..., K). Weights: kernel (I, J, K).

    Reference:
        R. Memisevic, G. Hinton: Unsupervised Learning of Image Transformations. CVPR 2007.
    """

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        first, second = self._set_sizes(input_shape)
        self.kernel = self.add_weight((first, second, self.units), self._draw_kernel, name="kernel")

    def _draw_kernel(self, shape, dtype=None):
        # Keras takes the first axis of three for that of a convolution, and would start too large.
        return ops.reshape(self.kernel_initializer((shape[0] * shape[1], shape[2]), dtype=dtype), shape)

    def call(self, inputs):
        x, y = inputs
        weights = ops.tensordot(x, self.kernel, axes=1)  # (..., J, K): the weights that x leaves to y
        return ops.squeeze(ops.matmul(ops.expand_dims(y, -2), weights), -2)


@keras.saving.register_keras_serializable(package="tfssl")
class FactoredGate(_Gate):
    """``z = ((x U) * (y V)) H``: a :class:`BilinearGate` whose tensor is ``w_ijk = sum_f U_if V_jf H_fk``.

    F (I + J + K) weights instead of I J K: 77,600 instead of 1,428,050 for patches of 13x13 pixels, 50 units and 200
    factors. Each factor is a pair of filters whose responses are multiplied: large where they agree.

    Args:
        units: outputs K.
        factors: F.
        kernel_initializer: of the three matrices.

    Inputs: ``[x, y]``, float (..., I) and (..., J), the same leading axes. Output: (..., K). Weights: x_filters U
    (I, F), y_filters V (J, F), kernel H (F, K).

    Reference:
        R. Memisevic, G. Hinton: Learning to Represent Spatial Transformations with Factored Higher-Order Boltzmann
        Machines. Neural Computation 22, 2010.
    """

    def __init__(self, units, factors, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units, factors=factors)
        self.units, self.factors = units, factors
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        first, second = self._set_sizes(input_shape)
        shapes = {"x_filters": (first, self.factors), "y_filters": (second, self.factors)}
        shapes["kernel"] = (self.factors, self.units)
        for name, shape in shapes.items():
            # A clone, because one unseeded initializer gives equal values to equal shapes.
            setattr(self, name, self.add_weight(shape, self.kernel_initializer.clone(), name=name))

    def call(self, inputs):
        x, y = inputs
        return ops.matmul(ops.matmul(x, self.x_filters) * ops.matmul(y, self.y_filters), self.kernel)

    def tensor(self):
        """The full tensor w, (I, J, K): the kernel of the :class:`BilinearGate` that computes the same."""
        return ops.einsum("if,jf,fk->ijk", self.x_filters, self.y_filters, self.kernel)


@keras.saving.register_keras_serializable(package="tfssl")
class FilterNormalization(constraints.Constraint):
    """Center each filter, then scale every filter to the mean standard deviation of all; filters are columns.

    ``w_f <- (w_f - mean(w_f)) mean_g(s_g) / s_g`` with ``s_g = std(w_g) + 1e-6``. It keeps single factors from growing
    at the cost of others; their common size stays free. The released code measures s before it centers, which changes
    nothing: a standard deviation does not depend on the mean.

    Call: float (inputs, filters), after every update when it is a layer's ``kernel_constraint``.
    """

    def __call__(self, w):
        deviation = ops.std(w, axis=0, keepdims=True) + _SMALL
        return (w - ops.mean(w, axis=0, keepdims=True)) * (ops.mean(deviation) / deviation)


@keras.saving.register_keras_serializable(package="tfssl")
class ThresholdedLinear(Layer):
    """``x`` where ``x^2 > threshold``, 0 elsewhere: the second unit of zero-bias autoencoders, "TLin".

    Their first, "TRec", is ``keras.layers.ReLU(threshold=1.0)``: x above the threshold, 0 up to it. Both replace the
    hidden bias by a fixed threshold, so that what a unit adds to the reconstruction is linear once it is active.

    Args:
        threshold: of the square, positive (1.0, the paper's; its form of TLin is recalled, not checked).

    Input: float (..., n), at least two axes. Output: the same shape.

    Reference:
        K. Konda, R. Memisevic, D. Krueger: Zero-bias Autoencoders and the Benefits of Co-adapting Features. ICLR 2015.
    """

    takes = (("inputs", "... B n"),)

    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        if not threshold > 0:
            raise ValueError(f"`threshold` must be positive. Received: threshold={threshold!r}")
        self.threshold = threshold

    def call(self, inputs):
        return inputs * ops.cast(ops.square(inputs) > self.threshold, inputs.dtype)
