"""Convolution in groups that trains at full speed on CPUs."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="tfssl")
class GroupedConv2D(layers.Conv2D):
    """``keras.layers.Conv2D(groups=g)`` computed as g convolutions side by side.

    Output maps ``[i * filters / g, (i + 1) * filters / g)`` see input maps ``[i * C / g, (i + 1) * C / g)`` only, as
    in AlexNet, whose halves lived on two GPUs (Krizhevsky et al. 2012, section 3.5). Variables, their shapes and
    the configuration are those of ``keras.layers.Conv2D``: one kernel (kh, kw, C / g, filters) and one bias.

    TensorFlow's CPU kernels have no gradient for grouped convolutions, so Keras compiles each of them with XLA: that
    is 8 to 10 times slower than the split, and such a graph does not run in TF Lite.

    Args:
        *args: of ``keras.layers.Conv2D``.
        **kwargs: of ``keras.layers.Conv2D``.

    Input: float tensor (B, H, W, C), C a multiple of ``groups``. Output: (B, H', W', filters).

    Reference:
        A. Krizhevsky, I. Sutskever, G. E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks.
        NeurIPS 2012.
    """

    def convolution_op(self, inputs, kernel):
        axis = -1 if self.data_format == "channels_last" else 1
        parts = zip(ops.split(inputs, self.groups, axis), ops.split(kernel, self.groups, -1), strict=True)
        outputs = [
            ops.conv(x, k, list(self.strides), self.padding, self.data_format, self.dilation_rate) for x, k in parts
        ]
        return ops.concatenate(outputs, axis)
