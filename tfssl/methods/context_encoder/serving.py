"""The endpoints of an exported inpainter: encoded images and masks in, PNG out; or pixels; or features.

Written with TensorFlow core operators only, so that any TensorFlow Serving binary runs them.
"""

import tensorflow as tf

from tfssl.data.decode_graph import decode_rgb, encode_png
from tfssl.methods.base import Endpoint
from tfssl.methods.context_encoder.fill import complete, fill_hole, square_around
from tfssl.methods.context_encoder.network import TAPS
from tfssl.methods.encoding import feature_endpoints

_PARALLEL = 4  # images of a batch that are decoded, filled and encoded at a time


def endpoints(method, network):
    """The signatures of an exported inpainter. The first one is also ``serving_default``.

    - ``inpaint_bytes``: ``image_bytes`` and ``mask_bytes``, string (N,), encoded JPEG, PNG, BMP, GIF or WebP images
      of any sizes, each mask as large as its image and white where the hole is -> ``png_bytes``, string (N,), each
      an RGB PNG as large as its image. All white pixels of a mask are filled as one hole: for holes far apart, ask
      once for each.
    - ``predict``: ``images``, float32 (B, S, S, 3), sRGB in [0, 1], and ``masks``, float32 (B, S, S, 1), 1 where the
      hole is -> ``filled``, float32 (B, S, S, 3), S = ``method.image_size``. A network with a central mask fills
      only what lies in the center. The seam is not blended.
    - ``features`` and ``features_float``: of images of any size, see
      :func:`tfssl.methods.encoding.feature_endpoints`.

    Args:
        method: a :class:`~tfssl.methods.ContextEncoder`.
        network: its inpainter, or what stands for it: a function ``(images, training=False)`` with ``get_layer``.

    Returns:
        ``{name: Endpoint}``.
    """
    trunk = network.get_layer("trunk")

    def inpaint_bytes(image_bytes, mask_bytes):
        return {
            "png_bytes": tf.map_fn(
                lambda pair: encode_png(inpaint_rgb(method, network, decode_rgb(pair[0]), decode_rgb(pair[1]))),
                (image_bytes, mask_bytes),
                fn_output_signature=tf.TensorSpec((), tf.string),
                parallel_iterations=None if tf.executing_eagerly() else _PARALLEL,
            )
        }

    def predict(pictures, masks):
        return {"filled": complete(method, network, pictures, masks > 0.5, blend=False)}

    def features(images, training=False):
        taps = trunk(images * 2.0 - 1.0, training=training)
        return {name: taps[name] for name in TAPS}

    files, side = tf.TensorSpec((None,), tf.string), method.crop_size
    return {
        "inpaint_bytes": Endpoint(inpaint_bytes, (_named(files, "image_bytes"), _named(files, "mask_bytes"))),
        "predict": Endpoint(
            predict,
            (
                tf.TensorSpec((None, side, side, 3), tf.float32, name="pictures"),
                tf.TensorSpec((None, side, side, 1), tf.float32, name="masks"),
            ),
            mobile=True,
            unit=1 / 100,
            where="masks",
        ),
        **feature_endpoints(features),
    }


def inpaint_rgb(method, network, rgb, mask):
    """Fill the white pixels of one image as one hole.

    Args:
        method: a :class:`~tfssl.methods.ContextEncoder`.
        network: its inpainter.
        rgb: float32 tensor (H, W, 3), sRGB in [0, 1].
        mask: the same size; a pixel is in the hole where the mean of its channels exceeds 1/2.

    Returns:
        float32 (H, W, 3), sRGB in [0, 1].

    Raises:
        tf.errors.InvalidArgumentError: if the sizes differ, or nothing of the image is left.
    """
    same = tf.debugging.assert_equal(tf.shape(mask), tf.shape(rgb), "a mask must be as large as its image")
    hole = tf.reduce_mean(mask, axis=-1) > 0.5
    left = tf.debugging.assert_equal(tf.reduce_all(hole), False, "a mask must leave something of the image")
    with tf.control_dependencies([check for check in (same, left) if check is not None]):
        hole = tf.identity(hole)

    def fill():
        rows, columns = (tf.where(tf.reduce_any(hole, axis=axis))[:, 0] for axis in (1, 0))
        square = square_around(method, (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
        return fill_hole(method, network, rgb, hole, hole, square)

    return tf.cond(tf.reduce_any(hole), fill, lambda: rgb)


def _named(spec, name):
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)
