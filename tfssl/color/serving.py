"""The endpoints of an exported colorizer: encoded images in and out, or lightness in and ab out.

TensorFlow core operators only: any TensorFlow Serving binary runs them.
"""

import functools

import numpy as np
import tensorflow as tf

from tfssl.color.predict import MAX_ASPECT, predict_ab
from tfssl.data.decode_graph import by_strips
from tfssl.endpoint import Endpoint, encoded, file_endpoint, rgb
from tfssl.ops.color import lab_to_rgb, rgb_to_lightness


def endpoints(method, model):
    """The signatures of an exported colorizer, ``{name: Endpoint}``. The first one is also ``serving_default``.

    - ``colorize_bytes``: ``image_bytes``, string (N,), encoded JPEG, PNG, BMP, GIF or WebP images of any sizes ->
      ``png_bytes``, string (N,), each an RGB PNG as large as its image, and ``status``, see
      :func:`tfssl.endpoint.file_endpoint`. The default, because it needs nothing of the caller but a file.
    - ``predict_ab``: ``lightness``, float32 (B, H, W, 1), L in [0, 100] -> ``ab``, float32 (B, H, W, 2), ab units.
      The network sees exactly the pixels given: scale images to about ``method.image_size`` first.

    ``model`` is its network, or a function ``(L, training=False)`` that stands for it.
    """

    def predict(lightness):
        return {"ab": predict_ab(method, model, lightness)}

    spec = tf.TensorSpec((None, None, None, 1), tf.float32, name="lightness")
    return {
        "colorize_bytes": file_endpoint(
            functools.partial(colorize_rgb, method, model),
            ["image_bytes"],
            lambda images, size: [{"image_bytes": encoded(images)}],
        ),
        "predict_ab": Endpoint(
            predict,
            (spec,),
            lambda images, size: [{"lightness": np.asarray(rgb_to_lightness(rgb(image, size)))} for image in images],
            unit="ab units",
            mobile=method.image_size,
        ),
    }


def colorize_rgb(method, model, image):
    """Colorize an image, uint8 (H, W, 3), sRGB: L at full size and ab predicted at the network's."""
    size = tf.shape(image)[:2]
    # Bicubic and antialiased, as the crops in training.
    small = tf.image.resize(image, network_size(method, size), tf.image.ResizeMethod.BICUBIC, antialias=True)
    small = tf.clip_by_value(tf.cast(small, tf.float32) / 255.0, 0.0, 1.0)
    ab = predict_ab(method, model, rgb_to_lightness(small)[None])
    height = tf.shape(ab)[1]
    ab = tf.image.resize(ab, (height, size[1]))[0]

    def colored(rows):
        # Bilinear, as the columns: pixel centers, the border repeated.
        at = (tf.cast(rows, tf.float32) + 0.5) * tf.cast(height, tf.float32) / tf.cast(size[0], tf.float32) - 0.5
        below = tf.clip_by_value(tf.cast(tf.floor(at), tf.int32)[None] + tf.constant([[0], [1]]), 0, height - 1)
        weight = (at - tf.floor(at))[:, None, None]
        upper, lower = tf.gather(ab, below[0]), tf.gather(ab, below[1])
        lightness = rgb_to_lightness(tf.cast(tf.gather(image, rows), tf.float32) / 255.0)
        rgb = lab_to_rgb(tf.concat([lightness, upper + (lower - upper) * weight], axis=-1))
        return tf.cast(tf.round(rgb * 255.0), tf.uint8)

    return by_strips(colored, size)


def network_size(method, size):
    """Height and width at which the network sees an image, as in ``tfssl colorize`` and ``tfssl evaluate``; int32 (2,).

    The shorter side becomes ``method.image_size``, but the longer one at most ``MAX_ASPECT`` times that: a strip
    of 20000 x 10 pixels would otherwise grow to 256 000 x 128. What is no multiple of the network's stride is filled
    up by :func:`~tfssl.color.predict.predict_cells`.
    """
    side = float(method.image_size)
    size = tf.cast(size, tf.float32)
    scale = tf.minimum(side / tf.reduce_min(size), MAX_ASPECT * side / tf.reduce_max(size))
    return tf.maximum(tf.cast(tf.round(size * scale), tf.int32), 1)
