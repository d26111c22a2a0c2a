"""The endpoints of an exported inpainter: encoded images and masks in, PNG out; or pixels; or features.

TensorFlow core operators only: any TensorFlow Serving binary runs them.
"""

import functools

import numpy as np
import tensorflow as tf
from PIL import Image

from tfssl.endpoint import TOLERANCE, Endpoint, encode, encoded, feature_endpoints, file_endpoint, inside, rgb
from tfssl.methods.context_encoder.fill import complete, fill_hole, square_around
from tfssl.methods.context_encoder.network import TAPS


def endpoints(method, network):
    """The signatures of an exported inpainter, ``{name: Endpoint}``. The first one is also ``serving_default``.

    - ``inpaint_bytes``: ``image_bytes`` and ``mask_bytes``, string (N,), encoded JPEG, PNG, BMP, GIF or WebP images
      of any sizes, each mask as large as its image and white where the hole is -> ``png_bytes``, string (N,), each
      an RGB PNG as large as its image, and ``status``, see :func:`tfssl.endpoint.file_endpoint`. All white pixels of
      a mask are filled as one hole: for holes far apart, ask once for each.
    - ``predict``: ``pictures``, float32 (B, S, S, 3), sRGB in [0, 1], and ``masks``, float32 (B, S, S, 1), 1 where the
      hole is -> ``filled``, float32 (B, S, S, 3), S = ``method.crop_size``. A network with a central mask fills
      only what lies in the center. The seam is not blended.
    - ``features`` and ``features_float``: of images of any size, see :func:`tfssl.endpoint.feature_endpoints`.

    ``network`` is its inpainter, or a function ``(images, training=False)`` with ``get_layer`` that stands for it.
    """
    trunk = network.get_layer("trunk")

    def predict(pictures, masks):
        return {"filled": complete(method, network, pictures, masks > 0.5, blend=False)}

    def features(images, training=False):
        taps = trunk(images * 2.0 - 1.0, training=training)
        return {name: taps[name] for name in TAPS}

    size, shapes = method.crop_size, {"pictures": 3, "masks": 1}
    return {
        "inpaint_bytes": file_endpoint(
            functools.partial(inpaint_rgb, method, network), ["image_bytes", "mask_bytes"], _files, refuse_mask
        ),
        "predict": Endpoint(
            predict,
            tuple(tf.TensorSpec((None, size, size, c), tf.float32, name=name) for name, c in shapes.items()),
            lambda images, _: [
                {"pictures": rgb(image, size), "masks": np.float32(_hole(size, size)[None, ..., None] > 0)}
                for image in images
            ],
            # Colors in [0, 1]; ab are measured on the scale of L, from 0 to 100.
            tolerance={kind: limit / 100 for kind, limit in TOLERANCE.items()},
            error=inside("masks"),
            mobile=size,
        ),
        **feature_endpoints(features),
    }


def _files(images, size):
    masks = [encode(Image.fromarray(_hole(image.height, image.width))) for image in images]
    return [{"image_bytes": encoded(images), "mask_bytes": np.array(masks)}]


def _hole(height, width):
    """A mask, 255 in a square of a third of the shorter side in the middle, uint8 (height, width)."""
    size = max(1, min(height, width) // 3)
    top, left = (height - size) // 2, (width - size) // 2
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + size, left : left + size] = 255
    return mask


def inpaint_rgb(method, network, image, mask):
    """Fill the white pixels of one image as one hole: uint8 (H, W, 3), sRGB.

    Args:
        image: uint8 (H, W, 3).
        mask: the same size; a pixel is in the hole where the mean of its channels exceeds 1/2.
    """
    hole = _white(mask)

    def fill():
        rows, columns = (tf.where(tf.reduce_any(hole, axis=axis))[:, 0] for axis in (1, 0))
        square = square_around(method, (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
        filled = fill_hole(method, network, tf.cast(image, tf.float32) / 255.0, hole, hole, square)
        return tf.cast(tf.round(filled * 255.0), tf.uint8)

    return tf.cond(tf.reduce_any(hole), fill, lambda: image)


def refuse_mask(image, mask):
    """Why a mask cannot be used for an image; "" if it can."""
    same = tf.reduce_all(tf.equal(tf.shape(mask), tf.shape(image)))
    reason = tf.where(tf.reduce_all(_white(mask)), "a mask must leave something of the image", "")
    return tf.where(same, reason, "a mask must be as large as its image")


def _white(mask):
    return tf.add_n([tf.cast(mask[..., i], tf.int32) for i in range(3)]) > 3 * 255 // 2
