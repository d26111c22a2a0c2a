"""An image out of the last one: its pixels moved by kernels or by affine maps, and several of them blended by masks."""

import keras
import numpy as np
from keras import ops

from tfssl.layers.layer import Layer, check_odd

_LEAST = 1e-12  # of an entry of a kernel before the division: so the released code


def normalized_kernels(logits):
    """``max(l, 1e-12)`` divided by its sum over the last axis: kernels without negative entries, that sum to 1.

    Where all logits are negative that is a blur, 1/25 in every entry of a 5x5 kernel, and has no gradient.
    """
    positive = ops.relu(logits - _LEAST) + _LEAST
    return positive / ops.sum(positive, axis=-1, keepdims=True)


class _KernelMotion(Layer):
    def __init__(self, size=5, **kwargs):
        super().__init__(**kwargs)
        check_odd(size=size)
        self.size = size


@keras.saving.register_keras_serializable(package="tfssl")
class ConvolutionalMotion(_KernelMotion):
    """CDNA: several images, each the last one convolved with a kernel of its own; beyond the border is black.

    As convolutions of neural networks, kernels are not mirrored: a kernel that is 1 at (0, +1) takes every pixel from
    its right neighbor, and the content moves to the left.

    Args:
        size: of the kernels, odd (5): objects move by two pixels at most.

    Inputs: ``[image, logits]``, float (B, H, W, C) and (B, M, size * size), see :func:`normalized_kernels`. Output: (B,
    M, H, W, C).

    Reference:
        C. Finn, I. Goodfellow, S. Levine: Unsupervised Learning for Physical Interaction through Video Prediction. NIPS
        2016, section 3.1.
    """

    @property
    def takes(self):
        return ("image", "B H W C"), ("logits", f"B M {self.size**2}")

    def call(self, inputs):
        image, logits = inputs
        _, height, width, channels = image.shape
        count = logits.shape[1]
        kernels = ops.reshape(normalized_kernels(logits), (-1, count, self.size, self.size))
        # As the released code: examples become channels and colors examples, of one depthwise convolution, which is
        # several times faster than to gather the neighbors of all pixels.
        moved = ops.depthwise_conv(
            ops.transpose(image, (3, 1, 2, 0)), ops.transpose(kernels, (2, 3, 0, 1)), strides=1, padding="same"
        )
        moved = ops.reshape(moved, (channels, height, width, -1, count))
        return ops.transpose(moved, (3, 4, 1, 2, 0))

    def _output_shape(self, input_shape):
        (batch, *shape), kernels = input_shape
        return batch, kernels[1], *shape


@keras.saving.register_keras_serializable(package="tfssl")
class PixelMotion(_KernelMotion):
    """DNA: the last image, each of its pixels a sum of neighbors with a kernel of its own; as ConvolutionalMotion.

    Args:
        size: of the kernels, odd (5).

    Inputs: ``[image, logits]``, float (B, H, W, C) and (B, H, W, size * size). Output: (B, 1, H, W, C).

    Reference:
        As :class:`ConvolutionalMotion`.
    """

    @property
    def takes(self):
        return ("image", "B H W C"), ("logits", f"B H W {self.size**2}")

    def call(self, inputs):
        image, logits = inputs
        _, height, width, _ = image.shape
        kernels, margin = normalized_kernels(logits), self.size // 2
        wide = ops.pad(image, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        places = [(row, column) for row in range(self.size) for column in range(self.size)]
        moved = sum(
            wide[:, row : row + height, column : column + width] * kernels[..., number : number + 1]
            for number, (row, column) in enumerate(places)
        )
        return ops.expand_dims(moved, 1)

    def _output_shape(self, input_shape):
        batch, *shape = input_shape[0]
        return batch, 1, *shape


@keras.saving.register_keras_serializable(package="tfssl")
class AffineMotion(Layer):
    """STP: several images, each the last one seen through an affine map, interpolated linearly.

    The pixel at (x, y) is taken from ``(a x + b y + c, d x + e y + f)``, in coordinates that are -1 and 1 in the middle
    of the outermost pixels: c = 2 n / (W - 1) takes it from n pixels further right. Beyond the border lies the border.
    (The released transformer multiplies by W / 2 instead of (W - 1) / 2, so that its identity is not one.)

    Inputs: ``[image, maps]``, float (B, H, W, C) and (B, M, 6), a to f. Output: (B, M, H, W, C).

    Reference:
        M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: Spatial Transformer Networks. NIPS 2015.
    """

    takes = (("image", "B H W C"), ("maps", "B M 6"))

    def call(self, inputs):
        image, maps = inputs
        height, width, channels = image.shape[1:]
        count = maps.shape[1]
        y, x = (np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32) for n in (height, width))
        grid = np.stack([*np.meshgrid(x, y), np.ones((height, width), np.float32)]).reshape(3, -1)
        places = ops.matmul(ops.reshape(ops.cast(maps, "float32"), (-1, count * 2, 3)), grid)
        places = ops.reshape(places, (-1, count, 2, height * width))
        columns = ops.clip((places[:, :, 0] + 1) * ((width - 1) / 2), 0, width - 1)
        rows = ops.clip((places[:, :, 1] + 1) * ((height - 1) / 2), 0, height - 1)
        left, top = ops.floor(columns), ops.floor(rows)
        across, down = (ops.reshape(part, (-1, count * height * width, 1)) for part in (columns - left, rows - top))
        left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
        pixels = ops.cast(ops.reshape(image, (-1, height * width, channels)), "float32")

        def at(row, column):
            row, column = ops.minimum(row, height - 1), ops.minimum(column, width - 1)
            number = ops.reshape(row * width + column, (-1, count * height * width, 1))
            return ops.take_along_axis(pixels, number, axis=1)

        upper = at(top, left) * (1 - across) + at(top, left + 1) * across
        lower = at(top + 1, left) * (1 - across) + at(top + 1, left + 1) * across
        moved = upper * (1 - down) + lower * down
        return ops.cast(ops.reshape(moved, (-1, count, height, width, channels)), image.dtype)

    def _output_shape(self, input_shape):
        (batch, *shape), maps = input_shape
        return batch, maps[1], *shape


@keras.saving.register_keras_serializable(package="tfssl")
class Blend(Layer):
    """``sum_m mask_m image_m``: at every pixel a mixture of images.

    Inputs: ``[images, masks]``, float (B, M, H, W, C) and (B, H, W, M); masks sum to 1. Output: (B, H, W, C).
    """

    takes = (("images", "B M H W C"), ("masks", "B H W M"))

    def call(self, inputs):
        images, masks = inputs
        return ops.einsum("bmhwc,bhwm->bhwc", images, masks)

    def _output_shape(self, input_shape):
        (batch, _, *shape), _ = input_shape
        return batch, *shape
