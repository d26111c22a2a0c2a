"""Zero mean of each channel and one root mean square of each picture."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class ScaleToRMS(layers.Layer):
    """Subtract each channel's mean, then scale each picture so that the root of its mean square is ``rms``.

    The last step of preparing a patch in the released code of Doersch, Gupta and Efros (2015). A flat picture
    becomes zero.

    Args:
        rms: root mean square of the output over rows, columns and channels (released code: 50); None for no scaling.
        matrix: (C, C) list of lists that every pixel is multiplied by first, ``x @ matrix``; None for none.

    Input: float tensor (B, H, W, C). Output: the same shape.

    Raises:
        ValueError: if rms is not positive.
    """

    def __init__(self, rms=50.0, matrix=None, **kwargs):
        super().__init__(**kwargs)
        if rms is not None and not rms > 0:
            raise ValueError(f"`rms` must be positive, or None. Received: rms={rms!r}")
        self.rms = rms
        self.matrix = None if matrix is None else [[float(value) for value in row] for row in matrix]

    def call(self, inputs):
        x = inputs
        if self.matrix is not None:
            x = ops.matmul(x, ops.convert_to_tensor(self.matrix, dtype=x.dtype))
        x = x - ops.mean(x, axis=(1, 2), keepdims=True)
        if self.rms is None:
            return x
        square = ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)
        return x * (self.rms * ops.rsqrt(square + keras.config.epsilon()))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rms": self.rms, "matrix": self.matrix}
