"""Examples of video triplets: crops that a track joins -> a pair, the number of its clip, lots for its negatives."""

import numpy as np
from PIL import Image

LOTS = 256
"""Random numbers of an example: its negatives are drawn by them, so that a run that goes on draws the same ones."""


def draw_pair(method, example, rng, training):
    """Both crops at the size of the network, each cut and mirrored by draws of its own.

    Returns:
        uint8 (2, s, s, 3); float32 (1 + LOTS,): the number of the clip, then uniform numbers in [0, 1).
    """
    size, larger = method.crop_size, method.resize or method.crop_size
    crops = []
    for frame in example["clip"].frames([0, 1]):
        image = Image.fromarray(frame).resize((larger, larger), Image.Resampling.BILINEAR, reducing_gap=3.0)
        left, top = rng.integers(0, larger - size + 1, 2).tolist() if training else [(larger - size) // 2] * 2
        crop = np.asarray(image.crop((left, top, left + size, top + size)))
        crops.append(crop[:, ::-1] if training and method.mirror and rng.random() < 0.5 else crop)
    targets = np.concatenate([[example["label"]], rng.random(LOTS)]).astype(np.float32)
    return np.stack(crops), targets


def to_inputs(pairs):
    """Pairs float32 (B, 2, s, s, 3) in [0, 1]."""
    import tensorflow as tf

    return tf.cast(pairs, tf.float32) / 255.0
