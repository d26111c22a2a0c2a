"""Recurrent networks that are unrolled by hand: a convolutional LSTM cell, and which frames it is shown in training."""

import keras
from keras import initializers, ops

from tfssl.layers.layer import Layer, check_odd, check_positive


@keras.saving.register_keras_serializable(package="tfssl")
class ConvLSTMCell(Layer):
    """One step of an LSTM whose products with weights are convolutions.

    ``i, j, f, o`` from one convolution of x and h; ``c' = c sigmoid(f + 1) + sigmoid(i) tanh(j)``, ``h' = tanh(c')
    sigmoid(o)``. No peepholes, one stride, zero padding. Keras' own ``ConvLSTM2D`` runs over a whole sequence; here the
    network around the cell is what recurs.

    Args:
        filters: channels of h and c.
        size: of the kernel, odd (Finn et al. 2016: 5).
        forget_bias: added to f (1).

    Inputs: ``[x, h, c]``, float (B, H, W, C) and twice (B, H, W, filters). Output: ``[h', c']``. Weights: kernel (size,
    size, C + filters, 4 filters) and bias (4 filters,), both in the order i, j, f, o.

    Reference:
        X. Shi et al.: Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting. NIPS 2015.
    """

    _channels = "C"

    def __init__(self, filters, size=5, forget_bias=1.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters)
        check_odd(size=size)
        self.filters, self.size, self.forget_bias = filters, size, forget_bias

    @property
    def takes(self):
        return ("x", f"B H W {self._channels}"), *((name, f"B H W {self.filters}") for name in ("h", "c"))

    def build(self, input_shape):
        self._channels = input_shape[0][-1]
        shape = (self.size, self.size, self._channels + self.filters, 4 * self.filters)
        self.kernel = self.add_weight(shape, initializers.GlorotUniform(), name="kernel")
        self.bias = self.add_weight((4 * self.filters,), "zeros", name="bias")

    def call(self, inputs):
        x, h, c = inputs
        gates = ops.conv(ops.concatenate([x, h], axis=-1), self.kernel, padding="same") + self.bias
        i, j, f, o = ops.split(gates, 4, axis=-1)
        c = c * ops.sigmoid(f + self.forget_bias) + ops.sigmoid(i) * ops.tanh(j)
        return [ops.tanh(c) * ops.sigmoid(o), c]

    def _output_shape(self, input_shape):
        return [tuple(input_shape[1]), tuple(input_shape[2])]


@keras.saving.register_keras_serializable(package="tfssl")
class ScheduledSampling(Layer):
    """Which examples of a batch see the true frame at a step, and which the one that the network predicted itself.

    At training step n, ``round(B k / (k + exp(n / k)))`` of B examples see the true one, drawn anew for every step of
    the sequence; in inference none does. How many training steps there were is a weight, so that a resumed run goes on.

    Args:
        steps: of the sequence.
        decay: k (Finn et al. 2016: 900, half of the examples after 6,122 steps); None: never the true one.
        seed: of the draws; None takes one from ``keras.utils.set_random_seed``.

    Input: float (B, T, H, W, C), of which only B counts. Output: float32 (B, steps), 1 for the true frame.

    Reference:
        S. Bengio, O. Vinyals, N. Jaitly, N. Shazeer: Scheduled Sampling for Sequence Prediction with Recurrent Neural
        Networks. NIPS 2015.
    """

    takes = (("inputs", "B T H W C"),)

    def __init__(self, steps, decay=900.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(steps=steps)
        if decay is not None and not decay > 0:
            raise ValueError(f"`decay` must be positive, or None. Received: decay={decay!r}")
        self.steps, self.decay, self.seed = steps, decay, seed
        self.generator = keras.random.SeedGenerator(seed, name=f"{self.name}_generator")

    def build(self, input_shape):
        self.trained = self.add_weight(
            (), "zeros", dtype="int32", trainable=False, aggregation="only_first_replica", name="trained"
        )

    def call(self, inputs, training=False):
        count = ops.shape(inputs)[0]
        if not training or self.decay is None:
            return ops.zeros((count, self.steps), "float32")
        true = self.true_frames(self.trained, count)
        self.trained.assign_add(1)
        drawn = keras.random.uniform((count, self.steps), seed=self.generator)
        ranks = ops.argsort(ops.argsort(drawn, axis=0), axis=0)
        return ops.cast(ranks < true, "float32")

    def true_frames(self, step, count):
        """How many of ``count`` examples see the true frame at training step ``step``, int32."""
        decay = ops.cast(self.decay, "float32")
        fraction = decay / (decay + ops.exp(ops.cast(step, "float32") / decay))
        return ops.cast(ops.round(ops.cast(count, "float32") * fraction), "int32")

    def _output_shape(self, input_shape):
        return input_shape[0], self.steps
