"""The endpoints of an exported colorizer: encoded images in and out, or lightness in and ab out.

Written with TensorFlow core operators only, so that any TensorFlow Serving binary runs them.
"""

import numpy as np
import tensorflow as tf

from tfssl.color.predict import MAX_ASPECT, predict_ab
from tfssl.data.decode_graph import png_of_each
from tfssl.endpoint import Endpoint, encoded, rgb
from tfssl.ops.color import lab_to_rgb, rgb_to_lightness


def endpoints(method, model):
    """The signatures of an exported colorizer. The first one is also ``serving_default``.

    - ``colorize_bytes``: ``image_bytes``, string (N,), encoded JPEG, PNG, BMP, GIF or WebP images of any sizes ->
      ``png_bytes``, string (N,), each an RGB PNG as large as its input. The default, because it needs nothing of
      the caller but a file.
    - ``predict_ab``: ``lightness``, float32 (B, H, W, 1), L in [0, 100] -> ``ab``, float32 (B, H, W, 2), ab units.
      The network sees exactly the pixels given: scale images to about ``method.image_size`` first.

    ``model`` may be a function ``(L, training=False)`` that stands for the network.
    """

    def colorize_bytes(image_bytes):
        return png_of_each(lambda image: colorize_rgb(method, model, image), image_bytes)

    def predict(lightness):
        return {"ab": predict_ab(method, model, lightness)}

    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    lightness = tf.TensorSpec((None, None, None, 1), tf.float32, name="lightness")
    return {
        "colorize_bytes": Endpoint(
            colorize_bytes,
            (files,),
            lambda images, size: [{"image_bytes": encoded(images)}],
            tolerance={"float32": 0.05},  # rounding flips single levels now and then
            unit="levels",
        ),
        "predict_ab": Endpoint(
            predict,
            (lightness,),
            lambda images, size: [{"lightness": np.asarray(rgb_to_lightness(rgb(image, size)))} for image in images],
            unit="ab units",
            mobile=method.image_size,
        ),
    }


def colorize_rgb(method, model, image):
    """Colorize one image, float32 (H, W, 3) in [0, 1]: L kept at full size, ab predicted at the network's, joined."""
    size = tf.shape(image)[:2]
    # Bicubic and antialiased, as the crops in training.
    small = tf.image.resize(image, network_size(method, size), tf.image.ResizeMethod.BICUBIC, antialias=True)
    ab = predict_ab(method, model, rgb_to_lightness(tf.clip_by_value(small, 0.0, 1.0))[None])
    ab = tf.image.resize(ab, size)[0]
    return lab_to_rgb(tf.concat([rgb_to_lightness(image), ab], axis=-1))


def network_size(method, size):
    """:func:`tfssl.color.predict.network_size` of int32 tensors (2,), (height, width)."""
    image_size, size = float(method.image_size), tf.cast(size, tf.float32)
    scale = tf.minimum(image_size / tf.reduce_min(size), MAX_ASPECT * image_size / tf.reduce_max(size))
    return tf.maximum(tf.cast(tf.round(size * scale), tf.int32), 1)
