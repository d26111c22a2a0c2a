"""A stack of 3x3 convolutions with one dilation, as in the colorization trunks."""

import keras
from keras import layers

from tfssl.layers import normalization


@keras.saving.register_keras_serializable(package="tfssl")
class DilatedStack(layers.Layer):
    """``depth`` 3x3 convolutions of one width and dilation, each with a ReLU, then batch normalization.

    The blocks conv5 and conv6 of Zhang, Isola and Efros (2016): dilation widens the receptive field without
    losing resolution. Padding equals the dilation, so height and width do not change. Batch normalization comes
    once, after the last ReLU, and can be left out.

    Args:
        filters: output channels of each convolution.
        depth: number of convolutions (paper: 3).
        dilation: spacing of the kernel taps in pixels (paper: 2).
        batch_norm: whether a batch normalization closes the stack.
        kernel_initializer: initializer of the kernels.

    Input: float tensor (B, H, W, C). Output: (B, H, W, filters).

    Raises:
        ValueError: if filters, depth or dilation is not a positive integer.

    Reference:
        R. Zhang, P. Isola, A. A. Efros: Colorful Image Colorization. ECCV 2016.
    """

    def __init__(self, filters, depth=3, dilation=2, batch_norm=True, kernel_initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        for name, value in (("filters", filters), ("depth", depth), ("dilation", dilation)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        self.filters = filters
        self.depth = depth
        self.dilation = dilation
        self.batch_norm = batch_norm
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.convolutions = [
            layers.Conv2D(
                filters,
                3,
                padding="same",
                dilation_rate=dilation,
                activation="relu",
                # A clone per layer: one unseeded initializer object would give every kernel the same values.
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=f"conv{i + 1}",
            )
            for i in range(depth)
        ]
        self.normalization = normalization.batch_norm(dtype=self.dtype_policy, name="bn") if batch_norm else None

    def build(self, input_shape):
        for convolution in self.convolutions:
            convolution.build(input_shape)
            input_shape = (*input_shape[:-1], self.filters)
        if self.normalization is not None:
            self.normalization.build(input_shape)
        self.built = True

    def call(self, inputs, training=None):
        x = inputs
        for convolution in self.convolutions:
            x = convolution(x)
        return x if self.normalization is None else self.normalization(x, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth": self.depth,
            "dilation": self.dilation,
            "batch_norm": self.batch_norm,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
