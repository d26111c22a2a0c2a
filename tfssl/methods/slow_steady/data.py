"""Examples of slow and steady features: a labeled image, and pairs and triples of frames of a clip."""

import numpy as np
from PIL import Image

from tfssl.data.crop import Crop
from tfssl.data.cuts import find_cuts
from tfssl.data.frame_pairs import SLACK, check_frames, far_pair, near_pair
from tfssl.ops.bytes_lab import lightness

_TRIES = 64
_UNEVEN = 0.1  # gaps that differ by at most this fraction are equal: containers round time stamps


def draw(method, example, rng, training):
    """A crop of the labeled image and its class, and the tuples of the terms that count, each with its truth p."""
    crop = Crop(method.crop_size, resize=method.resize, flip=False)
    arrays = [crop.apply(example["image"].convert("RGB"), rng if training else None), np.int32(example["label"])]
    clip = example["clip"]
    if "pairs" in method.weights:
        arrays += draw_tuples(method, clip, 2, method.pairs, rng, training)
    if "triples" in method.weights:
        arrays += draw_tuples(method, clip, 3, method.triples, rng, training)
    return tuple(arrays)


def draw_tuples(method, clip, size, count, rng, training):
    """``count`` near or steady tuples of ``size`` frames of a clip, and as many others.

    A tuple is cut at one place, in the middle unless training. Between frames of a near or steady one there is no cut.

    Returns:
        ``[frames uint8 (2 count, size, s, s, 3), p int32 (2 count,)]``, first near, then far, and so on.

    Raises:
        ValueError: with the reason, if the clip has no such tuples.
    """
    find = {2: (near_pair, far_pair), 3: (steady_triple, other_triple)}[size]
    times, crop = np.asarray(clip.times, np.float64), Crop(method.crop_size, resize=method.resize, flip=False)
    found = []
    for _ in range(count):
        found += [_uncut(clip, lambda: find[0](times, method.window, rng)), find[1](times, method.window, rng)]
    wanted, places = np.unique(found, return_inverse=True)
    frames = [Image.fromarray(frame) for frame in clip.frames(wanted)]
    tuples = []
    for numbers in places.reshape(len(found), size):
        place = rng.integers(2**32)  # the same one in all frames
        cut = [crop.apply(frames[n], np.random.default_rng(place) if training else None) for n in numbers]
        tuples.append(np.stack(cut))
    return [np.stack(tuples), np.tile(np.array([1, 0], np.int32), count)]


def steady_triple(times, window, rng):
    """Numbers of three frames at equal distances in time, the first and the last at most ``window`` seconds apart."""
    check_frames(3, times)
    for _ in range(_TRIES):
        middle = int(rng.integers(1, len(times) - 1))
        later = np.arange(middle + 1, len(times))
        later = later[2 * (times[later] - times[middle]) <= window + SLACK]
        if not len(later):
            continue
        last = int(rng.choice(later))
        first = int(np.argmin(abs(2 * times[middle] - times[last] - times)))  # the mirror image of the last
        if is_steady(times[[first, middle, last]], window):
            return [first, middle, last]
    raise ValueError(f"it has no three frames at equal distances within {window:g} s; raise window")


def other_triple(times, window, rng):
    """Numbers of three frames in the order of time that are too far apart, or at unequal distances."""
    check_frames(3, times)
    for _ in range(_TRIES):
        found = np.sort(rng.choice(len(times), 3, replace=False))
        if not is_steady(times[found], window):
            return found.tolist()
    raise ValueError(f"all of its triples of frames are steady within {window:g} s; lower window")


def is_steady(times, window):
    """Whether three times (3,), in order, are equidistant and within ``window``: p of R3."""
    before, after = np.diff(times)
    uneven = abs(after - before) > _UNEVEN * max(before, after) + SLACK
    return bool(before > 0 and not uneven and before + after <= window + SLACK)


def _uncut(clip, find):
    """Numbers of ``find`` with no cut between the first and the last of them."""
    for _ in range(_TRIES):
        numbers = find()
        if not find_cuts(lightness(clip.frames(np.arange(numbers[0], numbers[-1] + 1)))).any():
            return numbers
    raise ValueError(f"all {_TRIES} of its tuples that were tried have a cut between their frames")


def to_inputs(method, image, label, *tuples):
    """``({"image", "pairs", "triples"}, {"label", "pairs", "triples"})``: pixels float32 in [0, 1], and truths."""
    import tensorflow as tf

    terms = [term for term in ("pairs", "triples") if term in method.weights]
    inputs = {"image": image} | dict(zip(terms, tuples[::2], strict=True))
    targets = {"label": label} | dict(zip(terms, tuples[1::2], strict=True))
    return {name: tf.cast(pixels, tf.float32) / 255.0 for name, pixels in inputs.items()}, targets
