"""Random parts of pictures that are already in a batch, drawn from a key alone."""

import tensorflow as tf


def crop_and_mirror(images, key, *, area):
    """Cut a random part of each picture, enlarged to its whole size again, and mirror every second one on average.

    Args:
        images: float (B, H, W, C), H = W.
        key: int64 (2,), such as a seed and the number of the batch; the same key gives the same parts.
        area: smallest and largest share of the area; aspects lie between 3/4 and 4/3.

    Returns:
        float32 of the same shape.
    """
    count, side = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform((5, count), key)
    share, aspect = area[0] + (area[1] - area[0]) * draws[0], tf.exp(tf.math.log(4 / 3) * (2 * draws[1] - 1))
    height, width = tf.minimum(tf.sqrt(share / aspect), 1.0), tf.minimum(tf.sqrt(share * aspect), 1.0)
    top, left = draws[2] * (1 - height), draws[3] * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=-1)
    images = tf.image.crop_and_resize(images, boxes, tf.range(count), (side, side))
    return tf.where(draws[4][:, None, None, None] < 0.5, images[:, :, ::-1], images)
