"""A gated residual layer that repairs a feature map where a mask says it is damaged."""

import keras
from keras import initializers, layers, ops

from tfssl.layers.normalization import batch_norm


@keras.saving.register_keras_serializable(package="tfssl")
class RepairBlock(layers.Layer):
    """``h + (1 - m) r(h, m)``: what a small network adds, at damaged places only.

    ``r`` is a 3x3 convolution of h and m together with batch normalization and leaky ReLU (0.2), then a 3x3
    convolution with biases; both have as many channels as h: ``9 (2 C + 1) C + 3 C`` parameters. Intact places pass
    unchanged, bit for bit, so that what arrives there can only be their own features.

    Args:
        momentum: of the moving statistics of the batch normalization (released code of Jenni and Favaro: 0.975).
        kernel_initializer: of both kernels.

    Inputs: ``[h, m]``, float (B, H, W, C) and (B, H, W, 1), 1 where a place is intact and 0 where it is damaged.
    Output: the shape of h.

    Raises:
        ValueError: if momentum is not in [0, 1).

    Reference:
        S. Jenni, P. Favaro: Self-Supervised Feature Learning by Learning to Spot Artifacts. CVPR 2018.
    """

    def __init__(self, momentum=0.975, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1). Received: momentum={momentum!r}")
        self.momentum = momentum
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.sees = layers.Conv2D(channels, 3, use_bias=False, **self._convolution("sees"))
        self.norm = batch_norm(momentum=self.momentum, dtype=self.dtype_policy, name="norm")
        self.adds = layers.Conv2D(channels, 3, **self._convolution("adds"))
        self.sees.build((*input_shape[0][:-1], channels + 1))
        self.norm.build(input_shape[0])
        self.adds.build(input_shape[0])

    def _convolution(self, name):
        # A clone, because one unseeded initializer gives equal values to equal shapes.
        initializer = self.kernel_initializer.clone()
        return {"padding": "same", "kernel_initializer": initializer, "dtype": self.dtype_policy, "name": name}

    def call(self, inputs, training=False):
        h, mask = inputs
        x = self.norm(self.sees(ops.concatenate([h, mask], axis=-1)), training=training)
        return h + (1 - mask) * self.adds(ops.leaky_relu(x, 0.2))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }
