"""Encoded images to pixels and back inside a TensorFlow graph, with core operators that every model server has.

What :mod:`tfssl.data.image_headers` reads of a file comes first: nothing is decoded that is too large, and what the
decoders of TensorFlow leave out (transparency, orientation, the canvas of a GIF) is done as Pillow does it.
"""

import functools

import tensorflow as tf

from tfssl.data.image_headers import read_header

OK = "ok"
"""Status of an image that was read."""

_STRIP = 2**19  # pixels that are worked on at a time


def decode_rgb(data, max_megapixels):
    """``(pixels, status)`` of an encoded image, bytes in a scalar string tensor.

    Upright by its EXIF orientation; alpha composed over white, gray expanded; of an animation the first frame on its
    canvas. 16-bit PNGs are read at 8 bits. Color profiles are not applied.

    Returns:
        uint8 (H, W, 3), sRGB, and ``"ok"``; or no pixels, (0, 0, 3), and the reason in words: not a JPEG, PNG,
        BMP (8, 24 or 32 bits a pixel), GIF or WebP; more than ``max_megapixels``, of which none was decoded; damaged.
    """
    return _decoder(max_megapixels)(data)


@functools.cache
def _decoder(max_megapixels):
    """:func:`decode_rgb` as a function of its own: its thousands of operators are traced once for all endpoints."""
    decode = functools.partial(_decode_checked, max_megapixels=max_megapixels)
    return tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


def _decode_checked(data, max_megapixels):
    header = read_header(data)
    nothing = tf.zeros((0, 0, 3), tf.uint8)
    count, max_pixels = header["height"] * header["width"], round(max_megapixels * 1e6)
    readable = tf.equal(header["problem"], "") & (count > 0) & (count <= max_pixels)
    pixels = tf.cond(readable, lambda: _attempt(_decode, header, nothing), lambda: nothing)
    size = [tf.strings.as_string(header[key]) for key in ("width", "height")]
    limit = f" pixels is more than the limit of {max_megapixels:g} megapixels"
    status = tf.where(tf.size(pixels) > 0, OK, tf.strings.join(["a damaged ", header["format"]]))
    status = tf.where(count > max_pixels, tf.strings.join([size[0], "x", size[1], limit]), status)
    return tf.ensure_shape(pixels, (None, None, 3)), tf.where(header["problem"] != "", header["problem"], status)


def encode_png(pixels):
    """A PNG as a scalar string tensor, of uint8 (H, W, 3)."""
    return tf.io.encode_png(pixels)


def by_strips(function, size):
    """Join what ``function`` makes of rows, so that large images need little memory: uint8 (H, W, 3).

    Args:
        function: of row numbers, int32 (n,), to uint8 (n, W, 3).
        size: int32 (H, W), both positive.
    """
    height, width = size[0], size[1]
    rows = tf.clip_by_value(_STRIP // width, 1, height)
    strips = tf.map_fn(
        lambda strip: function(tf.minimum(strip * rows + tf.range(rows), height - 1)),
        tf.range((height + rows - 1) // rows),
        fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
        parallel_iterations=None if tf.executing_eagerly() else 1,
    )
    return tf.reshape(strips, (-1, width, 3))[:height]


def _attempt(function, inputs, otherwise):
    """``function(inputs)``, or ``otherwise`` where an operator in it fails: one image must not fail its batch.

    Of all operators only those of tf.data get over an error.
    """
    results = tf.data.Dataset.from_tensors(inputs).map(function).ignore_errors()
    spec = tf.TensorSpec((None, None, 3), otherwise.dtype)
    with_default = results.concatenate(tf.data.Dataset.from_tensors(otherwise)).take(1)
    return tf.ensure_shape(with_default.get_single_element(), spec.shape)


def _decode(header):
    pixels = tf.io.decode_image(header["data"], channels=0, expand_animations=False)
    pixels = tf.ensure_shape(pixels, (None, None, None))
    pixels = tf.cond(tf.size(header["palette"]) > 0, lambda: _look_up(header["palette"], pixels), lambda: pixels)
    pixels = pixels[..., : tf.where(header["opaque"], 3, 4)]
    channels = tf.shape(pixels)[-1]  # 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
    pixels = tf.cond(tf.equal(channels % 2, 0), lambda: _over_white(pixels), lambda: pixels)
    pixels = tf.cond(channels < 3, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels)
    pixels = tf.ensure_shape(pixels, (None, None, 3))
    key = header["clear"]
    pixels = tf.cond(key[0] >= 0, lambda: _whiten(pixels, tf.cast(key, tf.uint8)), lambda: pixels)
    pixels = tf.cond(header["smaller"], lambda: _on_canvas(header, pixels), lambda: pixels)
    return _upright(pixels, header["orientation"])


def _look_up(palette, indices):
    return tf.gather(palette, tf.cast(indices[..., 0], tf.int32))


def _over_white(pixels):
    size = tf.shape(pixels)

    def composed(rows):
        strip = tf.cast(tf.gather(pixels, rows), tf.int32)
        alpha = strip[..., -1:]
        colors = (strip[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255
        return tf.cast(colors + tf.zeros(3, tf.int32), tf.uint8)  # gray spreads over the three channels

    return by_strips(composed, size)


def _whiten(pixels, key):
    """White where a pixel has the one color that the file declares transparent."""
    return tf.where(tf.reduce_all(tf.equal(pixels, key), axis=-1, keepdims=True), tf.constant(255, tf.uint8), pixels)


def _on_canvas(header, pixels):
    size = tf.stack([header["height"], header["width"]])
    before = header["corner"]
    after = size - before - tf.shape(pixels, tf.int64)[:2]
    inside = tf.pad(tf.ones(tf.shape(pixels)[:2], tf.bool), tf.stack([before, after], axis=-1))
    around = tf.pad(pixels, tf.concat([tf.stack([before, after], axis=-1), tf.zeros((1, 2), tf.int64)], axis=0))
    return tf.where(inside[..., None], around, tf.cast(header["background"], tf.uint8))


def _upright(pixels, orientation):
    """Undo an EXIF orientation, 1 to 8."""
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        flip = tf.reduce_any(tf.equal(orientation, mirrored))
        pixels = tf.cond(flip, lambda x=pixels, axis=axis: tf.reverse(x, [axis]), lambda x=pixels: x)
    return tf.ensure_shape(pixels, (None, None, 3))
