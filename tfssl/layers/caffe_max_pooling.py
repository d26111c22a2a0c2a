"""Max pooling with Caffe's output sizes."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class CaffeMaxPooling2D(layers.Layer):
    """Max pooling whose output size rounds up: ``ceil((n + 2 padding - k) / s) + 1``.

    One less where the last window would start in the padding. Keras rounds down (``"valid"``) or forgets the
    padding (``"same"``), which shifts every later size of the networks that were defined in Caffe: 24 -> 12,
    27 -> 13, 55 -> 27, 6 -> 3 with 3x3 windows and stride 2. Places outside the input never win a maximum.

    Args:
        pool_size: side k of the window in pixels.
        strides: step s between windows in pixels, at most ``pool_size``.
        padding: rows and columns added on each side, less than ``pool_size``.

    Input: float tensor (B, H, W, C), any size, also one known only inside a graph. Output: (B, H', W', C).

    Raises:
        ValueError: if an argument is outside its range, or the input is smaller than a window.

    Reference:
        BVLC/caffe, PoolingLayer.
    """

    def __init__(self, pool_size=3, strides=2, padding=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(pool_size, int) or pool_size < 1:
            raise ValueError(f"`pool_size` must be a positive integer. Received: pool_size={pool_size!r}")
        if not isinstance(strides, int) or not 1 <= strides <= pool_size:
            raise ValueError(f"`strides` must be an integer in [1, pool_size]. Received: strides={strides!r}")
        if not isinstance(padding, int) or not 0 <= padding < pool_size:
            raise ValueError(f"`padding` must be an integer in [0, pool_size). Received: padding={padding!r}")
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding

    def output_size(self, n):
        """Output pixels along an axis of ``n`` input pixels; n may be an int, None or an integer tensor."""
        if n is None:
            return None
        size = -(-(n + 2 * self.padding - self.pool_size) // self.strides) + 1
        if isinstance(size, int) and size < 1:
            raise ValueError(
                f"The input must be about as large as a window of {self.pool_size}x{self.pool_size}. Received: a side "
                f"of {n}"
            )
        if self.padding == 0:
            return size
        starts_in_padding = (size - 1) * self.strides >= n + self.padding
        return size - (int(starts_in_padding) if isinstance(n, int) else ops.cast(starts_in_padding, "int32"))

    def call(self, inputs):
        sizes = inputs.shape[1:3]
        after = [self._rows_after(n) for n in sizes]
        if self.padding == 0 and None not in sizes:
            # Keras' own modes need no copy of the input: "same" adds a single row or column at the end.
            if after == [0, 0]:
                return ops.max_pool(inputs, self.pool_size, self.strides, "valid", "channels_last")
            if after == [1, 1] and self.pool_size <= self.strides + 1:
                return ops.max_pool(inputs, self.pool_size, self.strides, "same", "channels_last")
        pads = [(0, 0), *((self.padding, n) for n in after), (0, 0)]
        x = ops.pad(inputs, pads, constant_values=-float("inf"))
        x = ops.max_pool(x, self.pool_size, self.strides, "valid", "channels_last")
        if self.padding:
            shape = ops.shape(inputs)
            x = x[:, : self.output_size(shape[1]), : self.output_size(shape[2])]
        return x

    def _rows_after(self, n):
        """Rows to add at the end: what the last window lacks, or the most it can lack where n is unknown."""
        if n is None:
            return self.padding + self.strides - 1
        return max(0, (self.output_size(n) - 1) * self.strides + self.pool_size - n - self.padding)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, self.output_size(height), self.output_size(width), channels)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }
