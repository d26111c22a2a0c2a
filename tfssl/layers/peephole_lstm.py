"""LSTMs whose gates see their cells, and decoders that unroll them into frames."""

import keras
from keras import initializers, layers, ops

from tfssl.layers.layer import Layer, check_positive

_SCALE, _PEEPHOLE_SCALE = 0.01, 0.1  # of the uniform distributions that weights are drawn from, in the released code


@keras.saving.register_keras_serializable(package="tfssl")
class PeepholeLSTMCell(Layer):
    """One step of an LSTM with peepholes (Srivastava et al. 2015, section 2.1), for ``keras.layers.RNN``.

    ``i = s(W_i x + U_i h + p_i c + b_i)``, ``f = s(W_f x + U_f h + p_f c + b_f)``, ``a = tanh(W_a x + U_a h + b_a)``,
    ``c' = f c + i a``, ``o = s(W_o x + U_o h + p_o c' + b_o)``, ``h' = o tanh(c')``: the input and the forget gate see
    the old cell, the output gate the new one, each unit its own. s is the sigmoid.

    Args:
        units: n.
        use_inputs: False for a cell that sees nothing but its state: inputs are not read, and there is no kernel.
        scale: kernels are drawn uniformly from [-scale, scale] (0.01, the released code's).
        peephole_scale: peepholes likewise (0.1).

    Call: ``cell(inputs, [h, c])``, float (B, D), (B, n) and (B, n) -> ``(h', [h', c'])``. Weights: kernel (D, 4 n),
    recurrent_kernel (n, 4 n) and bias (4 n), in the order i, f, a, o; peepholes (3, n), in the order i, f, o.

    Reference:
        N. Srivastava, E. Mansimov, R. Salakhutdinov: Unsupervised Learning of Video Representations using LSTMs. ICML
        2015. A. Graves: Generating Sequences With Recurrent Neural Networks. arXiv:1308.0850.
    """

    takes = (("inputs", "B D"),)

    def __init__(self, units, use_inputs=True, scale=_SCALE, peephole_scale=_PEEPHOLE_SCALE, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units, self.use_inputs = units, use_inputs
        self.scale, self.peephole_scale = scale, peephole_scale

    @property
    def state_size(self):
        return [self.units, self.units]

    @property
    def output_size(self):
        return self.units

    def build(self, input_shape):
        shapes = {"recurrent_kernel": (self.units, 4 * self.units)}
        if self.use_inputs:
            shapes = {"kernel": (input_shape[-1], 4 * self.units)} | shapes
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape, _uniform(self.scale), name=name))
        self.peepholes = self.add_weight((3, self.units), _uniform(self.peephole_scale), name="peepholes")
        self.bias = self.add_weight((4 * self.units,), "zeros", name="bias")

    def call(self, inputs, states):
        h, c = states
        gates = ops.matmul(h, self.recurrent_kernel) + self.bias
        if self.use_inputs:
            gates = gates + ops.matmul(inputs, self.kernel)
        i, f, a, o = ops.split(gates, 4, axis=-1)
        old_i, old_f, new_o = ops.unstack(self.peepholes)
        c = ops.sigmoid(f + old_f * c) * c + ops.sigmoid(i + old_i * c) * ops.tanh(a)
        h = ops.sigmoid(o + new_o * c) * ops.tanh(c)
        return h, [h, c]

    def compute_output_spec(self, inputs, states):
        self._check_inputs(inputs)
        h, c = (keras.KerasTensor((inputs.shape[0], self.units), dtype=self.compute_dtype) for _ in range(2))
        return h, [h, c]

    def _output_shape(self, input_shape):
        return (input_shape[0], self.units)


@keras.saving.register_keras_serializable(package="tfssl")
class PeepholeLSTM(Layer, layers.RNN):
    """``keras.layers.RNN`` of a :class:`PeepholeLSTMCell`.

    Args:
        units, scale, peephole_scale: of the cell.
        **kwargs: of ``keras.layers.RNN``, such as ``return_sequences`` and ``return_state``.

    Input: float (B, T, D); ``initial_state=[h, c]`` is zeros where it is not given. Output: h of the last step, (B, n),
    or of all, (B, T, n); and with ``return_state`` h and c of the last one.
    """

    takes = (("inputs", "B T D"),)

    def __init__(self, units, scale=_SCALE, peephole_scale=_PEEPHOLE_SCALE, **kwargs):
        # A cell of its own, as in keras.layers.LSTM: one that is saved as an argument is built first, and then the
        # paths of its weights are others than in the model that was saved.
        cell = PeepholeLSTMCell(units, scale=scale, peephole_scale=peephole_scale, name="cell")
        super().__init__(cell, **kwargs)
        self.units, self.scale, self.peephole_scale = units, scale, peephole_scale

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        return super().compute_output_shape(sequences_shape)

    def _output_shape(self, input_shape):
        return layers.RNN.compute_output_shape(self, input_shape)

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="tfssl")
class FrameDecoder(Layer):
    """Unroll a stack of LSTMs from given states into a sequence of frames (Srivastava et al. 2015, section 2.2).

    The first step has no input. Later ones have none either, or, of a conditional decoder, the frame of the step
    before: in training the true one, otherwise the decoder's own output, so that truth is not needed for a prediction.

    Args:
        units: of each LSTM, the first one next to the frames.
        conditional: whether later steps see the frame before.
        binary: whether frames are probabilities: the outputs are their logits, and what is fed back their sigmoids.
        scale, peephole_scale: see :class:`PeepholeLSTMCell`.

    Inputs: ``[frames, h, c, h, c, ...]``: the true frames in the order in which they are decoded, float (B, T, D), read
    by conditional decoders in training only, all but the last; and the states of each LSTM, (B, n). Output: (B, T, D).
    """

    def __init__(self, units, conditional=True, binary=True, scale=_SCALE, peephole_scale=_PEEPHOLE_SCALE, **kwargs):
        super().__init__(**kwargs)
        self.units = tuple(units)
        check_positive(**{f"units[{number}]": size for number, size in enumerate(self.units)})
        self.conditional, self.binary = conditional, binary
        self.scale, self.peephole_scale = scale, peephole_scale
        options = {"scale": scale, "peephole_scale": peephole_scale}
        self.cells = [
            PeepholeLSTMCell(size, use_inputs=conditional or number > 0, name=f"lstm{number + 1}", **options)
            for number, size in enumerate(self.units)
        ]

    @property
    def takes(self):
        states = ((f"{name}{number}", f"B {size}") for number, size in enumerate(self.units, 1) for name in "hc")
        return (("frames", "B T D"), *states)

    def build(self, input_shape):
        size = input_shape[0][-1]
        self.frame = layers.Dense(size, kernel_initializer=_uniform(self.scale), name="frame", dtype=self.dtype_policy)
        self.frame.build((None, self.units[-1]))
        for cell, below in zip(self.cells, (size, *self.units), strict=False):
            cell.build((None, below))

    def call(self, inputs, training=False):
        frames, *states = inputs
        states = [states[place : place + 2] for place in range(0, len(states), 2)]
        seen, outputs = ops.zeros_like(frames[:, 0]), []
        for step in range(frames.shape[1]):
            x = seen
            for number, cell in enumerate(self.cells):
                x, states[number] = cell(x, states[number])
            outputs.append(self.frame(x))
            if self.conditional:
                own = ops.sigmoid(outputs[-1]) if self.binary else outputs[-1]
                seen = frames[:, step] if training else own
        return ops.stack(outputs, axis=1)

    def _output_shape(self, input_shape):
        return tuple(input_shape[0])


def _uniform(scale):
    return initializers.RandomUniform(-scale, scale)
