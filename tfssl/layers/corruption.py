"""What is done to maps and codes so that a network has something to bring back."""

import keras
from keras import ops

from tfssl.layers.layer import Layer, check_odd
from tfssl.ops.corruption import Corruption


@keras.saving.register_keras_serializable(package="tfssl")
class Corrupt(Layer):
    """Corrupt a batch in training; do nothing in inference. See :class:`tfssl.ops.corruption.Corruption`.

    The state of its generator is a variable: a resumed run draws what an unbroken one would have drawn.

    Args:
        kind, amount, exact, fill: as there.
        seed: of the generator; None draws one from ``keras.utils.set_random_seed``.

    Input: float (B, ...). Output: ``(corrupted, mask)`` of its shape; the mask is 1 where a component is corrupted.
    """

    def __init__(self, kind="masking", amount=0.3, exact=True, fill=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.corruption = Corruption(kind, amount, exact, fill)
        self.kind, self.amount, self.exact, self.fill, self.seed = kind, amount, exact, fill, seed
        # A name of its own: the automatic one counts, and files of weights know variables by name.
        self.generator = keras.random.SeedGenerator(seed, name=f"{self.name}_generator")

    @property
    def takes(self):
        return (("inputs", "B H W C" if self.kind in ("pixel", "block") else "... B n"),)

    def call(self, inputs, training=False):
        if not training:
            return inputs, ops.zeros_like(inputs)
        return self.corruption.apply(
            inputs,
            uniform=lambda shape: keras.random.uniform(shape, seed=self.generator),
            normal=lambda shape: ops.cast(keras.random.normal(shape, seed=self.generator), inputs.dtype),
            xp=ops,
        )

    def _output_shape(self, input_shape):
        return input_shape, input_shape


@keras.saving.register_keras_serializable(package="tfssl")
class Damage(Layer):
    """``m x + (1 - m) u * x``: features are replaced by their local mean wherever a mask is 0.

    The mean is that of x before any damage over a square window, without what lies beyond the border. A dropped
    position thus still has features, but only those that its neighbors suggest.

    Args:
        size: of the window, odd (released code of Jenni and Favaro 2018: 3; their paper speaks of a large filter).

    Inputs: ``[x, m]``, float (B, h, w, C) and (B, h, w, 1), 1 where kept and 0 where dropped. Output: the shape of x.
    """

    takes = (("x", "B h w C"), ("m", "B h w 1"))

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        check_odd(size=size)
        self.size = size

    def call(self, inputs):
        x, mask = inputs
        mean = ops.average_pool(x, self.size, strides=1, padding="same")  # Keras leaves padding out of the average
        return mask * x + (1 - mask) * mean

    def _output_shape(self, input_shape):
        return input_shape[0]
