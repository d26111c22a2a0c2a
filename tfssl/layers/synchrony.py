"""Synchrony: products of the responses of two filter banks, large where two views agree under a transformation."""

import keras
from keras import initializers, ops

from tfssl.layers.layer import Layer, check_positive
from tfssl.ops.arguments import check_shapes


@keras.saving.register_keras_serializable(package="tfssl")
class SynchronyProduct(Layer):
    """Products ``p_k = (u_k . x)(v_k . y)`` of the responses to two views, and the way back through the same filters.

    Of ``y = T x`` with an orthogonal T, filters ``v = T u`` give equal responses: a product is large where both are
    large and agree. Negative responses that agree count as much as positive ones.
    With ``codes`` h, (..., units), the call gives the tied reconstructions of both views from each other's responses:
    ``x^ = U (h * V^T y)`` and ``y^ = V (h * U^T x)``.

    Args:
        units: number of filter pairs K.
        tied: whether both views share their filters (``v = u``), for one view given twice: energies ``(u . x)^2``.
        contraction: weight c of ``c |dh/d(x, y)|^2`` for ``h = sigmoid(p)``, summed over units and components, mean
            over rows, added to the model's loss where codes are decoded; 0 leaves it out.
        kernel_initializer: of both kernels; ``"unit"`` draws normal numbers and gives each filter the norm 1.
        kernel_constraint: of both kernels, applied after each update; None for none.

    Inputs: ``[x, y]``, float (..., n) and (..., m), with n = m if tied. Output: (..., units); with ``codes``
    (..., n + m), x^ before y^. Weights: ``kernel_x`` (n, units), and ``kernel_y`` (m, units) unless tied.

    Reference:
        K. Konda, R. Memisevic, V. Michalski: The role of spatio-temporal synchrony in the encoding of motion. ICLR
        2014. (The autoencoder's equations are recalled, not checked against the paper.)
    """

    def __init__(self, units, tied=False, contraction=0.0, kernel_initializer="unit", kernel_constraint=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        if not contraction >= 0:
            raise ValueError(f"`contraction` must be at least 0. Received: contraction={contraction!r}")
        self.units = units
        self.tied = tied
        self.contraction = contraction
        unit = kernel_initializer == "unit"
        self.kernel_initializer = kernel_initializer if unit else initializers.get(kernel_initializer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)

    @property
    def takes(self):
        sizes = [kernel.shape[0] for kernel in (self.kernel_x, self.kernel_y)] if self.built else "nm"
        return tuple((name, f"... B {size}") for name, size in zip("xy", sizes, strict=True))

    def build(self, input_shape):
        sizes = [shape[-1] for shape in input_shape]
        if self.tied and sizes[0] != sizes[1]:
            raise ValueError(f"`tied` filters need two views of one size. Received: sizes={sizes}")
        options = {"initializer": self._initializer, "constraint": self.kernel_constraint}
        self.kernel_x = self.add_weight((sizes[0], self.units), name="kernel_x", **options)
        self.kernel_y = self.kernel_x
        if not self.tied:
            self.kernel_y = self.add_weight((sizes[1], self.units), name="kernel_y", **options)

    def _initializer(self, shape, dtype=None):
        if self.kernel_initializer != "unit":  # a clone: one unseeded initializer gives equal values to equal shapes
            return self.kernel_initializer.clone()(shape, dtype=dtype)
        drawn = keras.random.normal(shape, dtype=dtype)
        return drawn / ops.norm(drawn, axis=0, keepdims=True)

    def responses(self, inputs):
        """``(U^T x, V^T y)``, each (..., units)."""
        x, y = inputs
        return ops.matmul(x, self.kernel_x), ops.matmul(y, self.kernel_y)

    def call(self, inputs, codes=None):
        of_x, of_y = self.responses(inputs)
        if codes is None:
            return of_x * of_y
        check_shapes(codes=(codes, f"... B {self.units}"))
        if self.contraction:
            self.add_loss(self.contraction * ops.mean(self._contraction(of_x, of_y, codes)))
        of_first = ops.matmul(codes * of_y, ops.transpose(self.kernel_x))
        return ops.concatenate([of_first, ops.matmul(codes * of_x, ops.transpose(self.kernel_y))], axis=-1)

    def _contraction(self, of_x, of_y, codes):
        norms = [ops.sum(ops.square(kernel), axis=0) for kernel in (self.kernel_x, self.kernel_y)]
        if self.tied:  # both factors are responses to the same x: dp/dx = 2 (u . x) u
            slopes = 4.0 * ops.square(of_x) * norms[0]
        else:
            slopes = ops.square(of_y) * norms[0] + ops.square(of_x) * norms[1]
        return ops.sum(ops.square(codes * (1.0 - codes)) * slopes, axis=-1)

    def compute_output_spec(self, inputs, codes=None):
        shapes = [tuple(tensor.shape) for tensor in inputs]
        if codes is None:
            return keras.KerasTensor(self.compute_output_shape(shapes), dtype=self.compute_dtype)
        shape = (*shapes[0][:-1], shapes[0][-1] + shapes[1][-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def _output_shape(self, input_shape):
        return (*input_shape[0][:-1], self.units)

    def get_config(self):
        constraint = keras.constraints.serialize(self.kernel_constraint)
        return {**super().get_config(), "kernel_constraint": constraint}


@keras.saving.register_keras_serializable(package="tfssl")
class Winner(Layer):
    """One for the unit of the largest product, zero for the others; keeps count of the wins since units were restarted.

    Input: float (..., units). Output: the same shape. Weights, not trained: ``wins`` (units,) and ``steps``, a number,
    both moved by whoever trains the filters.
    """

    takes = (("inputs", "... B units"),)

    def build(self, input_shape):
        self.wins = self.add_weight((input_shape[-1],), "zeros", trainable=False, name="wins")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, inputs):
        return ops.one_hot(ops.argmax(inputs, axis=-1), inputs.shape[-1], dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="tfssl")
class EqualNorms(keras.constraints.Constraint):
    """Filters, the columns of a kernel, are scaled to their mean norm: none dies, none takes over.

    Unlike :class:`tfssl.layers.gating.FilterNormalization` it does not center them: over whitened components a mean
    has no meaning, and centering would forbid one direction.
    """

    def __call__(self, kernel):
        norms = ops.norm(kernel, axis=0, keepdims=True)
        return kernel * (ops.mean(norms) / ops.maximum(norms, 1e-8))


def synchrony_updates(x, y, kernel_x, kernel_y, winners):
    """The change of the filters by synchrony k-means: a Hebbian term and active forgetting, mean over what a unit won.

    For the rows n that unit k won, with responses ``a = u . x`` and ``b = v . y``:
    ``dv = mean(y a) - v mean(a^2)`` and ``du = mean(x b) - u mean(b^2)``: minus half the gradients of
    ``|y - v a|^2`` and ``|x - u b|^2``, zero at ``v = sum(y a) / sum(a^2)``. Units without wins get zeros.

    Args:
        x, y: float (B, n) and (B, m).
        kernel_x, kernel_y: (n, K) and (m, K).
        winners: (B, K), one for the unit that won the row, zero elsewhere.

    Returns:
        ``(du, dv, losses)``: (n, K), (m, K), and (B,), ``|x - u b|^2 + |y - v a|^2`` before the change.
    """
    check_shapes(x=(x, "B n"), kernel_x=(kernel_x, "n K"), winners=(winners, "B K"))
    check_shapes(y=(y, "B m"), kernel_y=(kernel_y, "m K"), winners=(winners, "B K"))
    # One unit a row: sums over what each unit won instead of products of matrices that are nearly all zeros.
    unit = ops.argmax(winners, axis=-1)
    u, v = (ops.take(ops.transpose(kernel), unit, axis=0) for kernel in (kernel_x, kernel_y))
    a, b = (ops.sum(side * own, axis=-1, keepdims=True) for side, own in ((x, u), (y, v)))
    missed = (x - u * b, y - v * a)
    count = ops.shape(winners)[1]
    won = ops.maximum(ops.sum(winners, axis=0), 1.0)
    of_x, of_y = (
        ops.transpose(ops.segment_sum(error * response, unit, count)) / won
        for error, response in zip(missed, (b, a), strict=True)
    )
    losses = sum(ops.sum(ops.square(error), axis=-1) for error in missed)
    return of_x, of_y, losses
