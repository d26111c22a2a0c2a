"""Zero mean and unit deviation of each picture."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class Standardize(layers.Layer):
    """Subtract the mean and divide by the standard deviation, both taken over given axes of each example.

    ``(x - mean) / sqrt(variance + epsilon^2)``: where nothing varies the output is zero.

    Args:
        axis: axes of the statistics, all after the batch: ``(1, 2)`` for each channel of a picture (B, H, W, C) by
            itself, ``(1, 2, 3)`` for the picture as a whole.
        epsilon: in units of the input.

    Input: float tensor (B, ...). Output: the same shape.

    Raises:
        ValueError: if axis is empty or names the batch, or epsilon is not positive.
    """

    def __init__(self, axis=(1, 2), epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        axis = (axis,) if isinstance(axis, int) else tuple(axis)
        if not axis or any(not isinstance(a, int) or a < 1 for a in axis):
            raise ValueError(f"`axis` must hold axes after the batch, 1 or more. Received: axis={axis!r}")
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be positive, or flat pictures give NaN. Received: epsilon={epsilon!r}")
        self.axis = axis
        self.epsilon = epsilon

    def call(self, inputs):
        centered = inputs - ops.mean(inputs, axis=self.axis, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=self.axis, keepdims=True)
        return centered * ops.rsqrt(variance + self.epsilon**2)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "axis": list(self.axis), "epsilon": self.epsilon}
