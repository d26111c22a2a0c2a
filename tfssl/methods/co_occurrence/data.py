"""Examples of co-occurrence: two patches beside each other, two frames of a clip, two photographs taken one after the
other; and pairs that have nothing to do with each other."""

import numpy as np
from PIL import Image

from tfssl.data.crop import Crop, scaled
from tfssl.data.frame_pairs import near_pair
from tfssl.ops.patches import OFFSETS

_TRIES = 32


def draw_pairs(method, example, rng, training):
    """Pairs of images of one context, or where the draw says so the first of them and one from elsewhere.

    Returns:
        uint8 (n, 2, s, s, 3), n is ``pairs_per_image``; int32 (n, 1), 1 for one context. A pair with 0 may still hold
        one context: then :func:`to_inputs` gives it another second image.
    """
    same = rng.random(method.pairs_per_image) < method.positives
    if method.context == "patches":
        pairs = _patches(method, scaled(example["image"].convert("RGB"), method.resize), rng, same)
    elif method.context == "frames":
        clip = example["clip"]
        numbers = near_pair(np.asarray(clip.times, np.float64), method.seconds, rng)
        frames = [Image.fromarray(frame) for frame in clip.frames(numbers)]
        pairs = _crops(method, frames[:: 1 if rng.random() < 0.5 else -1], rng, training)[None]
    else:
        images = [example[name].convert("RGB") for name in ("image", "other")]
        pairs = _crops(method, images[:: 1 if rng.random() < 0.5 else -1], rng, training)[None]
    if method.color == "dropping":  # one channel of each, which stands for all three
        kept = rng.integers(0, 3, (len(pairs), 2, 1, 1, 1))
        pairs = np.repeat(np.take_along_axis(pairs, kept, axis=-1), 3, axis=-1)
    return pairs, same[:, None].astype(np.int32)


def _patches(method, image, rng, same):
    size, pitch, count = method.crop_size, method.crop_size + method.gap, len(same)
    room = np.array(image.size) - size
    if (room < pitch + method.jitter).any():
        least = size + pitch + method.jitter
        raise ValueError(
            f"{image.width}x{image.height} is too small for two patches beside each other; give images of {least}x"
            f"{least} pixels, or lower crop_size or gap"
        )
    step = np.array(OFFSETS)[rng.integers(len(OFFSETS), size=count)] * pitch
    low, high = np.maximum(0, -step), np.minimum(room, room - step)
    first = rng.integers(low, high + 1)
    second = np.clip(first + step + rng.integers(-method.jitter, method.jitter + 1, (count, 2)), 0, room)
    if method.negatives == "image":
        left = np.flatnonzero(~same)
        for _ in range(_TRIES):  # patches of one context do not overlap: that alone must not tell them
            second[left] = rng.integers(0, room + 1, (len(left), 2))
            left = left[(abs(second[left] - first[left]) < size).all(axis=1)]
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(image), (size, size), axis=(0, 1))
    columns, rows = np.stack([first, second], axis=1).transpose(2, 0, 1)
    return np.moveaxis(windows[rows, columns], 2, -1)


def _crops(method, images, rng, training):
    crop = Crop(method.crop_size, resize=method.resize, flip=False)
    return np.stack([crop.apply(image, rng if training else None) for image in images])


def to_inputs(method, pairs, labels):
    """Pairs float32 (B, 2, s, s, 3) in [0, 1], and labels int32 (B, 1).

    The second image of a pair of different contexts is that of the pair as many places before as come from one image,
    unless it is a patch from elsewhere in the same image already.
    """
    import tensorflow as tf

    if method.mixes_images:
        apart = method.pairs_per_image
        labels = tf.where(tf.shape(pairs)[0] >= 2 * apart, labels, 1)  # without another image a pair stays what it is
        second = tf.where(labels[:, :, None, None] > 0, pairs[:, 1], tf.roll(pairs[:, 1], apart, axis=0))
        pairs = tf.stack([pairs[:, 0], second], axis=1)
    return tf.cast(pairs, tf.float32) / 255.0, labels
