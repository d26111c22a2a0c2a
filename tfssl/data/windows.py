"""Windows of a clip: some consecutive frames, cut to squares of one size."""

import numpy as np
from PIL import Image

from tfssl.errors import ConfigError, counted
from tfssl.ops.arguments import check_integers


def draw_window(length, count, rng, *, step=1):
    """Numbers of ``count`` frames that lie ``step`` apart, from a place drawn over a clip on, int (count,).

    Raises:
        ValueError: if the clip is too short.
    """
    check_integers(1, count=count, step=step)
    needed = (count - 1) * step + 1
    if length < needed:
        apart = "" if step == 1 else f" that lie {step} apart"
        raise ValueError(f"has {counted(length, 'frames')}, too few for a window of {count}{apart}")
    return rng.integers(0, length - needed + 1) + step * np.arange(count)


def square_frames(clip, numbers, size):
    """The central squares of frames, scaled to ``size`` pixels, uint8 (n, size, size, 3).

    Frames are made smaller by bicubic interpolation over all the pixels that become one.

    Args:
        clip: :class:`tfssl.data.clips.Clip`, or what has its ``frames``.
        numbers: of the frames.
        size: pixels, at least 1.
    """
    if size < 1:
        raise ConfigError(f"`size` must be at least 1. Received: size={size}")
    frames = clip.frames(numbers)
    height, width = frames.shape[1:3]
    shorter = min(height, width)
    top, left = (height - shorter) // 2, (width - shorter) // 2
    frames = frames[:, top : top + shorter, left : left + shorter]
    if shorter == size:
        return np.ascontiguousarray(frames)
    scaled = (Image.fromarray(frame).resize((size, size), Image.Resampling.BICUBIC) for frame in frames)
    return np.stack([np.asarray(frame) for frame in scaled])
