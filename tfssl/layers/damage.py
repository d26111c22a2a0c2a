"""Damage to a feature map: where a mask says so, features give way to the mean of their surroundings."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class Damage(layers.Layer):
    """Replace features by their local mean wherever a mask is 0.

    ``y = m x + (1 - m) u * x``: ``u * x`` is the mean of ``x``, before any damage, over a square window around each
    place. Places beyond the border do not count, so that a constant map stays as it is. A dropped place thus still has
    features, but only those that its neighbors suggest.

    Args:
        size: side of the window, odd (released code of Jenni and Favaro: 3; their paper speaks of a large filter,
            unconfirmed).

    Inputs: ``[x, m]``, float (B, h, w, C) and (B, h, w, 1), 1 where a place is kept and 0 where it is dropped.
    Output: the shape of x.

    Raises:
        ValueError: if size is not a positive odd integer.

    Reference:
        S. Jenni, P. Favaro: Self-Supervised Feature Learning by Learning to Spot Artifacts. CVPR 2018.
    """

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be a positive odd integer. Received: size={size!r}")
        self.size = size

    def call(self, inputs):
        x, mask = inputs
        # Keras leaves padding out of the average.
        mean = ops.average_pool(x, self.size, strides=1, padding="same")
        return mask * x + (1 - mask) * mean

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "size": self.size}
