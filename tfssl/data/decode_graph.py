"""Encoded images to pixels and back inside a TensorFlow graph, with core operators that every model server has."""

import tensorflow as tf

from tfssl.data.decode import MAX_PIXELS


def decode_rgb(data):
    """Decode an encoded image, bytes in a scalar string tensor, to float32 (H, W, 3), sRGB in [0, 1].

    Alpha is composed over white, gray expanded, of an animation the first frame taken. 16-bit PNGs are read at 8 bits.
    EXIF orientation is not applied: no core operator reads it.

    Raises:
        tf.errors.InvalidArgumentError: for anything but a JPEG, PNG, BMP (8, 24 or 32 bits a pixel), GIF or WebP,
            and above 100 megapixels.
    """
    pixels = tf.ensure_shape(tf.io.decode_image(data, channels=0, expand_animations=False), (None, None, None))
    # Joining takes some 60 bytes a pixel, so an image of a few kilobytes could otherwise take a server's memory.
    tf.debugging.assert_less_equal(
        tf.size(pixels, tf.int64) // tf.shape(pixels, tf.int64)[-1],
        tf.constant(MAX_PIXELS, tf.int64),
        f"an image may have at most {MAX_PIXELS // 10**6} megapixels",
    )
    pixels = tf.cond(_is_palette_bmp(data), lambda: _look_up_palette(data, pixels), lambda: pixels)
    pixels = tf.cast(pixels, tf.float32) / 255.0
    channels = tf.shape(pixels)[-1]  # 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
    has_alpha = tf.equal(channels % 2, 0)
    colors = channels - tf.cast(has_alpha, tf.int32)
    opacity = tf.where(has_alpha, pixels[..., -1:], 1.0)
    composed = pixels[..., :colors] * opacity + (1.0 - opacity)
    return tf.ensure_shape(composed + tf.zeros(3), (None, None, 3))  # gray spreads over the three channels


def encode_png(rgb):
    """A PNG as a scalar string tensor, of float32 (H, W, 3), sRGB in [0, 1]."""
    return tf.io.encode_png(tf.cast(tf.round(rgb * 255.0), tf.uint8))


def _is_palette_bmp(data):
    # Bytes 28 and 29 of a BMP are its bits per pixel. decode_image returns an 8-bit BMP's palette indices as gray.
    header = tf.strings.substr(data, 0, 2), tf.strings.substr(data, 28, 2)
    return (header[0] == b"BM") & (header[1] == b"\x08\x00")


def _look_up_palette(data, indices):
    header = tf.io.decode_raw(tf.strings.substr(data, 14, 4), tf.int32)[0]  # size of the information header
    entries = tf.io.decode_raw(tf.strings.substr(data, 14 + header, 4 * 256), tf.uint8)
    # 256 entries may reach past a shorter palette into the pixels: no index points there.
    entries = tf.reshape(entries[: tf.size(entries) // 4 * 4], (-1, 4))  # blue, green, red, unused
    return tf.gather(entries[:, 2::-1], tf.cast(indices[..., 0], tf.int32))
