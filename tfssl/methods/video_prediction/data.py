"""Examples of video prediction: windows of clips, with the actions and states of their frames."""

import numpy as np

from tfssl.data.examples import spread_examples
from tfssl.data.windows import draw_window, square_frames
from tfssl.evaluation.futures import repeated

TYPICAL_ERROR = 0.01
"""MSE of repeating the last frame where no data have been seen; that of rendered pushes."""

_ITEMS = 100  # clips that it is measured on


def window(method, example, rng):
    """Consecutive frames, uint8 (T, s, s, 3), and the :func:`tables` of each, float32 (T, A) and (T, S)."""
    clip = example["clip"]
    numbers = draw_window(len(clip), method.frames, rng, step=method.step)
    cut = [_rows(example, name, getattr(method, name))[numbers] for name in tables(method)]
    return square_frames(clip, numbers, method.crop_size), *cut


def tables(method):
    """What comes with the frames: ``"actions"``, ``"states"``, both or neither."""
    return [name for name in ("actions", "states") if getattr(method, name)]


def to_batch(method, frames, *rows):
    """``{"frames", "actions", "states"}``, those that there are; and what follows the context, of frames and states."""
    inputs = {"frames": frames.astype(np.float32) / np.float32(255), **dict(zip(tables(method), rows, strict=True))}
    return inputs, {name: inputs[name][:, method.context :] for name in inputs if name != "actions"}


def statistics_of(method, source):
    """``copying``: mean squared error of repeating the last frame of the context, float32 ()."""

    def error(example, seed):
        frames = window(method, example, np.random.default_rng(seed))[0][None] / 255.0
        context, truth = frames[:, : method.context], frames[:, method.context :]
        return np.square(repeated(context, truth.shape[1]) - truth).mean()

    return {"copying": np.float32(np.mean(spread_examples(source, _ITEMS, error)))}


def _rows(example, name, count):
    """The table of a clip, (frames, count)."""
    if name not in example:
        raise ValueError(f"has no {name}; give {name}.csv, see docs/data.md, or set {name}: 0")
    table = np.asarray(example[name], np.float32)
    if table.shape[1] != count:
        raise ValueError(f"has {table.shape[1]} {name} a frame; set {name}: {table.shape[1]}, not {count}")
    return table
