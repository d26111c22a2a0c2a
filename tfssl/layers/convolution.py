"""Convolutions in groups, with dilation, and with a gate."""

import keras
from keras import initializers, layers, ops

from tfssl.layers import normalization
from tfssl.layers.layer import Layer, check_positive


@keras.saving.register_keras_serializable(package="tfssl")
class GroupedConv2D(layers.Conv2D):
    """``keras.layers.Conv2D(groups=g)`` with the same arguments and weights, computed as g convolutions side by side.

    As in AlexNet, whose halves lived on two GPUs (Krizhevsky et al. 2012, section 3.5). TensorFlow's CPU kernels have
    no gradient for grouped convolutions, so Keras compiles each of them with XLA: that is 8 to 10 times slower than the
    split, and such a graph does not run in TF Lite.

    Input: float (B, H, W, C), C a multiple of ``groups``. Output: (B, H', W', filters).
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.input_spec = layers.InputSpec(ndim=4, axes=self.input_spec.axes)  # Keras' own takes more axes as batches

    def convolution_op(self, inputs, kernel):
        axis = -1 if self.data_format == "channels_last" else 1
        options = list(self.strides), self.padding, self.data_format, self.dilation_rate
        parts = zip(ops.split(inputs, self.groups, axis), ops.split(kernel, self.groups, -1), strict=True)
        return ops.concatenate([ops.conv(x, k, *options) for x, k in parts], axis)


@keras.saving.register_keras_serializable(package="tfssl")
class DepthwiseConv2D(layers.DepthwiseConv2D):
    """``keras.layers.DepthwiseConv2D`` with the same arguments and weights, whose gradients are fast on CPUs.

    For TensorFlow without a GPU, see :mod:`tfssl.ops.depthwise_gradient`. Square kernels, one stride, padding "same";
    it is Keras' own layer elsewhere.

    Input: float (B, H, W, C). Output: (B, H', W', C * depth_multiplier).
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.input_spec = layers.InputSpec(ndim=4, axes=self.input_spec.axes)  # Keras' own takes more axes as batches

    def call(self, inputs, training=None):
        if not (training and self._has_fast_gradient()):
            return super().call(inputs)
        from tfssl.ops.depthwise_gradient import depthwise_conv

        outputs = depthwise_conv(inputs, ops.convert_to_tensor(self.kernel), self.strides[0])
        outputs = outputs + self.bias if self.use_bias else outputs
        return self.activation(outputs)

    def _has_fast_gradient(self):
        square = len(set(self.kernel_size)) == len(set(self.strides)) == 1 and set(self.dilation_rate) == {1}
        plain = self.padding == "same" and self.depth_multiplier == 1 and self.data_format == "channels_last"
        return square and plain and keras.backend.backend() == "tensorflow"


@keras.saving.register_keras_serializable(package="tfssl")
class DilatedStack(Layer):
    """``depth`` 3x3 convolutions of one width and dilation, each with a ReLU, then one batch normalization.

    The blocks conv5 and conv6 of Zhang, Isola and Efros (2016). Padding equals the dilation, so that height and width
    do not change.

    Args:
        filters: channels of each convolution.
        depth: number of convolutions (paper: 3).
        dilation: spacing of the kernel taps in pixels (paper: 2).
        batch_norm: whether a batch normalization closes the stack.
        kernel_initializer: of all kernels.
        epsilon, momentum: of the batch normalization (Caffe: 1e-5 and 0.999).

    Input: float (B, H, W, C). Output: (B, H, W, filters).
    """

    def __init__(
        self,
        filters,
        depth=3,
        dilation=2,
        batch_norm=True,
        kernel_initializer="he_normal",
        epsilon=1e-3,
        momentum=0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, depth=depth, dilation=dilation)
        self.filters, self.depth, self.dilation, self.batch_norm = filters, depth, dilation, batch_norm
        self.kernel_initializer = initializers.get(kernel_initializer)
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
        self.epsilon, self.momentum = epsilon, momentum
        options = {"epsilon": epsilon, "momentum": momentum, "dtype": self.dtype_policy, "name": "bn"}
        self.normalization = normalization.batch_norm(**options) if batch_norm else None

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

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


@keras.saving.register_keras_serializable(package="tfssl")
class RepairBlock(Layer):
    """``h + (1 - m) r(h, m)``: what a small network adds, at damaged positions only (Jenni, Favaro 2018).

    ``r`` is a 3x3 convolution of h and m together with batch normalization and leaky ReLU (0.2), then a 3x3
    convolution with biases; both have as many channels as h. Intact positions pass unchanged, bit for bit.

    Args:
        momentum: of the batch normalization, in [0, 1) (released code: 0.975).
        kernel_initializer: of both kernels.
        epsilon: of the batch normalization.

    Inputs: ``[h, m]``, float (B, H, W, C) and (B, H, W, 1), 1 where intact and 0 where damaged. Output: the shape of h.
    """

    takes = (("h", "B H W C"), ("m", "B H W 1"))

    def __init__(self, momentum=0.975, kernel_initializer="glorot_uniform", epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1). Received: momentum={momentum!r}")
        self.momentum = momentum
        self.epsilon = epsilon
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.sees = layers.Conv2D(channels, 3, use_bias=False, **self._convolution("sees"))
        self.norm = normalization.batch_norm(
            momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name="norm"
        )
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

    def _output_shape(self, input_shape):
        return input_shape[0]
