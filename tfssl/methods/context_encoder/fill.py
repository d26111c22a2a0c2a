"""Filling a hole of an image of any size: its surroundings at the network's scale, and the way back.

Written with TensorFlow core operators, so that exports use the same functions as files and evaluations.
"""

import tensorflow as tf

from tfssl.errors import ModelError
from tfssl.ops.masks import FILL, center_mask

_FREE_FRACTION = 0.5  # of the side that a network sees, the largest hole where it takes any mask: 1/4 of the area

_BLEND_STEPS = 64  # standard deviation sqrt(64 * 2 / 3) = 6.5 pixels of the network


def hole_fraction(method):
    """Largest side of a hole as a fraction of the side of what the network sees."""
    if method.mask == "center":
        return (method.crop_size // 2 - 2 * method.overlap) / method.crop_size
    return _FREE_FRACTION


def square_around(method, box):
    """The square that the network sees of an image to fill one hole.

    The hole lies in its middle. With a central mask it fills the hole that the network was trained on, but the square
    is not smaller than half the network's input, which would only enlarge pixels; otherwise it is at least as large
    as the input.

    ``box``: (top, left, bottom, right) of the hole in pixels. Returns int32 tensors (top, left, side); the square may
    reach beyond the image.
    """
    top, left, bottom, right = (tf.cast(edge, tf.int32) for edge in box)
    longest = tf.cast(tf.maximum(bottom - top, right - left), tf.float32)
    smallest = method.crop_size // 2 if method.mask == "center" else method.crop_size
    side = tf.maximum(tf.cast(tf.math.ceil(longest / hole_fraction(method)), tf.int32), smallest)
    return (top + bottom - side) // 2, (left + right - side) // 2, side


def fill_hole(method, network, rgb, unknown, hole, square):
    """Fill one hole of an image.

    What of the square lies inside the image is scaled to the network's size, its unknown pixels left out of every
    mean; beyond the border the image is mirrored. The completed square is scaled back and replaces the hole.

    Args:
        method, network: a :class:`~tfssl.methods.ContextEncoder` and its inpainter, or a function
            ``(images, training=False)`` that stands for it.
        rgb: float32 tensor (H, W, 3) in [0, 1], as the result, which equals it outside of ``hole``.
        unknown: bool tensor (H, W), all pixels that the network must not see.
        hole: bool tensor (H, W), those to fill.
        square: int32 (top, left, side), see :func:`square_around`.
    """
    rows, columns = (_Span(square[i], square[2], tf.shape(rgb)[i], method.crop_size) for i in (0, 1))
    cut = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
    part, visible = rgb[cut], 1.0 - tf.cast(unknown[cut], tf.float32)[..., None]
    size = [rows.count, columns.count]
    weight = _shrink(visible, size)
    small = _shrink(part * visible, size) / tf.maximum(weight, 1e-6)
    dropped = weight < 0.5
    small, dropped = (tf.gather(tf.gather(x, rows.index, axis=0), columns.index, axis=1) for x in (small, dropped))
    square = (1, method.crop_size, method.crop_size)
    small, dropped = tf.reshape(small, (*square, 3)), tf.reshape(dropped, (*square, 1))
    whole = complete(method, network, small, dropped)[0]
    inner = whole[rows.offset : rows.offset + rows.count, columns.offset : columns.offset + columns.count]
    large = tf.image.resize(inner, tf.shape(part)[:2], tf.image.ResizeMethod.BICUBIC, antialias=True)
    large = tf.clip_by_value(large, 0.0, 1.0)
    filled = tf.where(hole[cut][..., None], large, part)
    around = [[rows.start, rows.size - rows.stop], [columns.start, columns.size - columns.stop], [0, 0]]
    return tf.where(hole[..., None], tf.pad(filled, around), rgb)


def complete(method, network, images, dropped, *, blend=True):
    """Complete images of the network's size, float32 (B, S, S, 3) in [0, 1].

    Args:
        method, network: as :func:`fill_hole`.
        images: float32 tensor.
        dropped: bool tensor (B, S, S, 1). A network with a central mask does not see any of its hole, but only
            dropped pixels are replaced, and only in the center: others keep the mean color.
        blend: whether the difference between prediction and image at the hole's rim diffuses into the hole and fades
            over some 6 pixels, so that no seam shows.
    """
    fill = (tf.constant(FILL) + 1.0) / 2.0
    unseen = dropped
    if method.mask == "center":
        unseen = dropped | tf.constant(center_mask(method.crop_size, method.overlap))[None, :, :, None]
    made = network(tf.where(unseen, fill, images) * 2.0 - 1.0, training=False)
    made = (tf.cast(made, tf.float32) + 1.0) / 2.0
    margin = (method.crop_size - made.shape[1]) // 2
    end = method.crop_size - margin
    inner, hole = images[:, margin:end, margin:end], dropped[:, margin:end, margin:end]
    if blend:
        made = made + _diffuse(tf.where(hole, 0.0, inner - made), hole)
    made = tf.clip_by_value(tf.where(hole, made, inner), 0.0, 1.0)
    if margin == 0:
        return made
    frame = [[0, 0], [margin, margin], [margin, margin], [0, 0]]
    predicted = tf.pad(tf.ones_like(made, tf.bool), frame)
    return tf.where(predicted, tf.pad(made, frame), tf.where(dropped, fill, images))


def _diffuse(known, hole):
    """Spread values into a hole: 64 times the mean of 3 x 3 pixels, the known ones held; far inside it stays zero."""

    def step(number, values):
        return number + 1, tf.where(hole, tf.nn.avg_pool2d(values, 3, 1, "SAME"), known)

    return tf.while_loop(lambda number, _: number < _BLEND_STEPS, step, (tf.constant(0), known))[1]


def _shrink(x, size):
    return tf.image.resize(x, size, tf.image.ResizeMethod.BILINEAR, antialias=True)


class _Span:
    """One axis of a square on an image.

    ``start`` ... ``stop``: the image's pixels inside it; scaled, ``count`` of the network's pixels from ``offset`` on;
    ``index``: which of them each of the network's pixels shows, mirrored beyond the image's border.
    """

    def __init__(self, first, side, size, image_size):
        self.size = size
        self.start, self.stop = tf.maximum(first, 0), tf.minimum(first + side, size)
        scale = image_size / tf.cast(side, tf.float32)
        count = _round(tf.cast(self.stop - self.start, tf.float32) * scale)
        self.count = tf.clip_by_value(count, 1, image_size)
        offset = _round(tf.cast(self.start - first, tf.float32) * scale)
        self.offset = tf.clip_by_value(offset, 0, image_size - self.count)
        around = tf.math.floormod(tf.range(image_size) - self.offset, 2 * self.count)
        self.index = tf.where(around < self.count, around, 2 * self.count - 1 - around)


def _round(x):
    return tf.cast(tf.round(x), tf.int32)


def compiled_filler(method, network):
    """:func:`fill_hole` as a function ``(rgb, unknown, hole, square)`` of NumPy arrays, images uint8, for all sizes."""
    pixels, mask = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((None, None), tf.bool)

    @tf.function(input_signature=[pixels, mask, mask, tf.TensorSpec((3,), tf.int32)], autograph=False)
    def run(rgb, unknown, hole, square):
        filled = fill_hole(method, network, tf.cast(rgb, tf.float32) / 255.0, unknown, hole, tf.unstack(square))
        return tf.cast(tf.round(filled * 255.0), tf.uint8), tf.reduce_all(tf.math.is_finite(filled))

    def fill(rgb, unknown, hole, square):
        filled, finite = run(rgb, unknown, hole, [int(n) for n in square])
        if not finite:
            raise ModelError("the model predicts NaN; its training has failed, use another one")
        return filled.numpy()

    return fill
