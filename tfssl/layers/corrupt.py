"""Corruption as a layer, for codes that exist inside a network only."""

import keras
from keras import layers, ops

from tfssl.ops.corruption import Corruption


@keras.saving.register_keras_serializable(package="tfssl")
class Corrupt(layers.Layer):
    """Corrupt a batch in training; do nothing in inference. See :class:`tfssl.ops.corruption.Corruption`.

    The state of its generator is a variable: it is saved in checkpoints, so that a resumed run draws what an unbroken
    one would have drawn.

    Args:
        kind: ``"none"``, ``"masking"``, ``"salt_and_pepper"``, ``"gaussian"``, ``"pixel"`` or ``"block"``.
        amount: fraction of the components, or standard deviation.
        exact: exactly that fraction of each example, or each component with that probability.
        fill: value of masked components.
        seed: of the generator; None draws one from ``keras.utils.set_random_seed``.

    Input: float tensor (B, ...). Output: ``(corrupted, mask)``, both of its shape; the mask is 1 where a component is
    corrupted, all 0 in inference.

    Raises:
        ConfigError: if a value is out of range.
    """

    def __init__(self, kind="masking", amount=0.3, exact=True, fill=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.corruption = Corruption(kind, amount, exact, fill)
        self.seed = seed
        # A name of its own: the automatic one counts, and files of weights know variables by name.
        self.generator = keras.random.SeedGenerator(seed, name=f"{self.name}_generator")

    def call(self, inputs, training=False):
        if not training:
            return inputs, ops.zeros_like(inputs)
        return self.corruption.apply(
            inputs,
            uniform=lambda shape: keras.random.uniform(shape, seed=self.generator),
            normal=lambda shape: ops.cast(keras.random.normal(shape, seed=self.generator), inputs.dtype),
            xp=ops,
        )

    def compute_output_shape(self, input_shape):
        return input_shape, input_shape

    def get_config(self):
        rule = self.corruption
        own = {"kind": rule.kind, "amount": rule.amount, "exact": rule.exact, "fill": rule.fill, "seed": self.seed}
        return {**super().get_config(), **own}
