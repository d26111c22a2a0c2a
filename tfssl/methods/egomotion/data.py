"""Examples of ego-motion: photographs, or frames with poses -> pairs of crops and the classes of their motion."""

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.data.moved import motion_pair
from tfssl.ops.poses import planar_motion

RANGE = 10.0
"""Standard deviations from which on motions of posed frames fall into the outer classes."""

_NEIGHBORS = 100  # pairs of neighboring frames of each sequence that statistics are taken from
# Where no data have been seen: a meter, and a hundredth of a turn of a radian, are one deviation.
_DEFAULTS = {"mean": np.zeros(3, np.float32), "deviation": np.array([1, 1, 0.01], np.float32)}


def draw_pair(method, example, rng):
    """Two crops, what is to be told of them, and their motion in its own units.

    Returns:
        uint8 (2, s, s, 3); int32, the class of each component, or for slowness one number, 1 for near and 0 for far;
        float32: pixels to the right and down and degrees, or meters along x and z and radians.
    """
    near = method.objective == "egomotion" or rng.random() < 0.5
    if method.pairs == "moved":
        image = scaled(example["image"].convert("RGB"), method.resize)
        pair, motion = motion_pair(image, method.crop_size, method.largest, method.degrees, rng)
    else:
        pair, motion = _posed_pair(method, example["clip"], example["pose"], rng, near)
    labels = motion_classes(method, motion) if method.objective == "egomotion" else np.array([near])
    return pair, labels.astype(np.int32), motion


def _posed_pair(method, clip, poses, rng, near):
    count = len(clip)
    if count < 2:
        raise ValueError("a sequence of 1 frame has no pairs; give sequences of 2 frames at least")
    if len(poses) != count:
        raise ValueError(f"{len(poses)} poses for {count} frames; give one for each")
    first = int(rng.integers(count))
    if near:
        gap = int(np.round(rng.random() * method.max_gap)) * int(rng.choice((-1, 1)))
        second = min(max(first + gap, 0), count - 1)  # so a gap of 0 occurs, as in the released code
    else:
        far = np.flatnonzero(abs(np.arange(count) - first) >= method.max_gap)
        if not len(far):
            raise ValueError(f"frame {first} of {count} has none {method.max_gap} or more away; lower max_gap")
        second = int(rng.choice(far))
    frames = [scaled(Image.fromarray(frame), method.resize) for frame in clip.frames([first, second])]
    size, (width, height) = method.crop_size, frames[0].size
    if min(width, height) < size:
        raise ValueError(f"frames of {width}x{height} pixels are smaller than crop_size: {size}; lower it, or resize")
    left, top = int(rng.integers(width - size + 1)), int(rng.integers(height - size + 1))
    pair = [np.asarray(frame.crop((left, top, left + size, top + size))) for frame in frames]
    return np.stack(pair), planar_motion(poses[first], poses[second], method.axes).astype(np.float32)


def motion_statistics(method, source):
    """Mean and standard deviation of the components of the motion between neighboring frames of all sequences.

    Of both shifts the larger deviation counts for both: a component that hardly varies shall not be blown up.
    """
    rng, found = np.random.default_rng(0), []
    for poses in source.poses:
        first = rng.integers(0, len(poses) - 1, _NEIGHBORS)
        found.append(planar_motion(poses[first], poses[first + 1], method.axes))
    motions = np.concatenate(found)
    deviation = motions.std(axis=0)
    deviation[:2] = deviation[:2].max()
    return {"mean": motions.mean(axis=0).astype(np.float32), "deviation": np.maximum(deviation, 1e-6, dtype=np.float32)}


def motion_classes(method, motion):
    """Classes of the components of motions, int64 (..., components); what they are is said in :func:`draw_pair`."""
    motion = np.asarray(motion, np.float64)
    if method.pairs == "posed":
        mean, deviation = (method.statistics.get(name, _DEFAULTS[name]) for name in ("mean", "deviation"))
        edges = np.linspace(-RANGE, RANGE, method.edges)
        return np.searchsorted(edges, (motion - mean) / deviation, side="right")
    classes = motion[..., :2] + method.largest
    if method.degrees:
        width = 2 * method.degrees / method.angles
        angle = np.clip((motion[..., 2:] + method.degrees) // width, 0, method.angles - 1)
        classes = np.concatenate([classes, angle], axis=-1)
    return np.rint(classes).astype(np.int64)


def motion_of(method, classes):
    """The motions in the middle of classes, float64 (..., components); of outer ones half a class beyond the edge."""
    classes = np.asarray(classes, np.float64)
    if method.pairs == "posed":
        mean, deviation = (method.statistics.get(name, _DEFAULTS[name]) for name in ("mean", "deviation"))
        spacing = 2 * RANGE / (method.edges - 1)
        return (-RANGE + (np.minimum(classes, method.edges) - 0.5) * spacing) * deviation + mean
    motion = classes - method.largest
    if method.degrees:
        width = 2 * method.degrees / method.angles
        motion[..., 2] = (classes[..., 2] + 0.5) * width - method.degrees
    return motion


def to_inputs(method, pairs, labels):
    """Pairs float32 (B, 2, s, s, 3) in [0, 1], and labels int32 (B, components).

    The second crop of a far pair of photographs is that of the next photograph of the batch.
    """
    import tensorflow as tf

    if method.objective == "slowness" and method.pairs == "moved":
        labels = tf.where(tf.shape(pairs)[0] > 1, labels, 1)  # a pair alone in its batch stays near
        second = tf.where(labels[:, :, None, None] > 0, pairs[:, 1], tf.roll(pairs[:, 1], 1, axis=0))
        pairs = tf.stack([pairs[:, 0], second], axis=1)
    return tf.cast(pairs, tf.float32) / 255.0, labels
