"""A fully connected layer inside each map, and none between maps."""

import keras
from keras import initializers, layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class ChannelwiseDense(layers.Layer):
    """Connect all positions of a map with each other, each map by itself (Pathak et al. 2016, section 3.1).

    ``y[:, :, c] = W_c x[:, :, c] + b_c`` with the n = h w positions of map c flattened. It carries information across
    the whole picture, which convolutions alone cannot, with C n^2 weights instead of the C^2 n^2 of a dense layer:
    331,776 instead of 84,934,656 for 256 maps of 6 x 6. What lies in different maps meets in the convolution that
    follows.

    Args:
        use_bias: whether each output has an offset.
        kernel_initializer: initializer of the kernel; it is given a matrix with n rows, so that its fan-in is n.
        bias_initializer: initializer of the bias.

    Input: float tensor (B, h, w, C) of known h, w and C. Output: the same shape. Weights: kernel (C, n, n), from the
    input's position to the output's; bias (n, C).

    Raises:
        ValueError: when built on an input of unknown height or width.

    Reference:
        D. Pathak, P. Kraehenbuehl, J. Donahue, T. Darrell, A. A. Efros: Context Encoders: Feature Learning by
        Inpainting. CVPR 2016.
    """

    def __init__(self, use_bias=True, kernel_initializer="lecun_normal", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                f"ChannelwiseDense needs maps (B, h, w, C) of known h, w and C. Received: input_shape={input_shape}"
            )
        _, height, width, maps = input_shape
        self.kernel = self.add_weight((maps, height * width, height * width), self._draw_kernel, name="kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((height * width, maps), self.bias_initializer, name="bias")

    def _draw_kernel(self, shape, dtype=None):
        # Keras takes the first axes of more than two for those of a convolution, and would start far too small.
        maps, rows, columns = shape
        matrix = self.kernel_initializer((rows, maps * columns), dtype=dtype)
        return ops.transpose(ops.reshape(matrix, (rows, maps, columns)), (1, 0, 2))

    def call(self, inputs):
        _, height, width, maps = inputs.shape
        flat = ops.reshape(inputs, (-1, height * width, maps))  # (B, n, C)
        outputs = ops.einsum("bnc,cnm->bmc", flat, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        return ops.reshape(outputs, (-1, height, width, maps))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }
