"""Depthwise convolution on TensorFlow with gradients that are fast on CPUs; only for that backend.

TensorFlow's own are slow in two places: 5x5 kernels take 10 to 30 times as long as 3x3 ones for the gradient of the
kernel, and strides take 10 to 70 times as long for the gradient of the input where numbers are bfloat16.
"""

import tensorflow as tf

from tfssl.ops.arguments import check_shapes

_FAST = 3
"""Largest kernel whose gradient is fast; larger ones are covered by several of this size."""


def depthwise_conv(x, kernel, stride):
    """``keras.ops.depthwise_conv(x, kernel, stride, "same")`` of square kernels: the same numbers, faster gradients.

    Where there is a GPU it has TensorFlow's own.

    Args:
        x: float (B, H, W, C).
        kernel: float (k, k, C, 1) of the same type.
        stride: pixels between positions, an int.
    """
    check_shapes(x=(x, "B H W C"), kernel=(kernel, "k k C 1"))

    def convolve(x, kernel):
        def gradient(upstream):
            return _input_gradient(x, kernel, stride, upstream), _kernel_gradient(x, kernel, stride, upstream)

        return tf.nn.depthwise_conv2d(x, kernel, (1, stride, stride, 1), "SAME"), gradient

    if tf.config.list_physical_devices("GPU"):
        return convolve(x, kernel)[0]
    # Of a variable itself, outside of a graph, the rule would have to speak as well.
    return tf.custom_gradient(convolve)(x, tf.convert_to_tensor(kernel))


def _padding(size, cells, kernel_size, stride):
    """Zeros before and after an axis of ``size`` under "same"."""
    total = tf.maximum((cells - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def _input_gradient(x, kernel, stride, upstream):
    """A convolution with the flipped kernel of ``upstream``, between whose cells there are stride - 1 zeros."""
    flipped = kernel[::-1, ::-1]
    if stride == 1:
        return tf.nn.depthwise_conv2d(upstream, flipped, (1, 1, 1, 1), "SAME")
    k = kernel.shape[0]
    shape, cells = tf.shape(x), tf.shape(upstream)
    spread = tf.pad(upstream[:, :, None, :, None], [[0, 0], [0, 0], [0, stride - 1], [0, 0], [0, stride - 1], [0, 0]])
    spread = tf.reshape(spread, (shape[0], cells[1] * stride, cells[2] * stride, shape[3]))
    paddings = []
    for axis in (1, 2):
        before = k - 1 - _padding(shape[axis], cells[axis], k, stride)[0]
        paddings.append((before, tf.maximum(shape[axis] + k - 1 - before - cells[axis] * stride, 0)))
    spread = tf.pad(spread, [(0, 0), *paddings, (0, 0)])[:, : shape[1] + k - 1, : shape[2] + k - 1]
    return tf.nn.depthwise_conv2d(spread, flipped, (1, 1, 1, 1), "VALID")


def _kernel_gradient(x, kernel, stride, upstream):
    strides, k = (1, stride, stride, 1), kernel.shape[0]
    if k <= _FAST:
        return tf.nn.depthwise_conv2d_backprop_filter(x, kernel.shape, upstream, strides, "SAME")
    shape, cells = tf.shape(x), tf.shape(upstream)
    x = tf.pad(x, [(0, 0), *(_padding(shape[axis], cells[axis], k, stride) for axis in (1, 2)), (0, 0)])
    height, width = ((cells[axis] - 1) * stride + _FAST for axis in (1, 2))
    size = (_FAST, _FAST, *kernel.shape[2:])
    starts = [*range(0, k - _FAST, _FAST), k - _FAST]  # the last block may overlap the one before it
    rows = []
    for i in starts:
        blocks = [
            tf.nn.depthwise_conv2d_backprop_filter(
                x[:, i : i + height, j : j + width], size, upstream, strides, "VALID"
            )
            for j in starts
        ]
        rows.append(_join(blocks, starts, axis=1))
    return _join(rows, starts, axis=0)


def _join(blocks, starts, axis):
    ends = [0, *(start + _FAST for start in starts)]
    parts = [
        tf.gather(block, tf.range(end - start, _FAST), axis=axis)
        for block, start, end in zip(blocks, starts, ends, strict=False)
    ]
    return tf.concat(parts, axis)
