"""Examples of video LSTMs: consecutive frames of a clip, and the order in which each decoder tells them."""

import numpy as np
from PIL import Image

from tfssl.data.crop import scaled
from tfssl.data.windows import draw_window, square_frames


def cut_clip(method, clip, rng):
    """As many frames as an example has, from a drawn one on, uint8 (frames, H, W, C), percepts float32."""
    try:
        numbers = draw_window(len(clip), method.frames, rng, step=method.stride)
    except ValueError as error:
        raise ValueError(f"{error}; lower input_frames, future_frames or stride") from None
    if method.percepts is not None:
        frames = clip.frames(numbers)
        if frames.shape[1:] != (method.percepts,):
            raise ValueError(f"has {frames.shape[1]} numbers a frame; set percepts. Received: {method.percepts}")
        return frames.reshape(-1, *method.frame_shape)
    if method.resize is None:
        frames = square_frames(clip, numbers, method.crop_size)
    else:
        frames = _patches(clip.frames(numbers), method.resize, method.crop_size, rng)
    return frames if method.channels == 3 else gray(frames)


def gray(frames):
    """Luma of RGB frames as Pillow's mode L has it, uint8 (T, H, W, 3) -> (T, H, W, 1)."""
    return np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in frames])[..., None]


def to_inputs(method, clips):
    """Clips float32, pixels in [0, 1]; and ``{"reconstruction": the last frame that was read first, "future"}``."""
    import tensorflow as tf

    clips = tf.cast(clips, tf.float32) / (255.0 if method.percepts is None else 1.0)
    read = clips[:, : method.input_frames]
    frames = {"reconstruction": read[:, ::-1], "future": clips[:, method.input_frames :]}
    return clips, {name: frames[name] for name in method.decoders}


def _patches(frames, resize, size, rng):
    """The same patch of all frames."""
    frames = [scaled(Image.fromarray(frame), resize) for frame in frames]
    left, top = (int(rng.integers(length - size + 1)) for length in frames[0].size)
    return np.stack([np.asarray(frame.crop((left, top, left + size, top + size))) for frame in frames])
