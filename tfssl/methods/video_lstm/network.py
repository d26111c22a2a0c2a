"""The networks of video LSTMs: an encoder of clips, and decoders that begin with its last state."""

import keras
from keras import layers, ops

from tfssl.backbones.encoder import Encoder
from tfssl.layers.peephole_lstm import FrameDecoder, PeepholeLSTM

_LUMA = (0.299, 0.587, 0.114)  # as Pillow's mode L


def build_network(shape, decoders, *, input_frames=10, future_frames=10, units=(2048,), binary=True):
    """An LSTM over flattened frames, and for each decoder another one, with a layer from hidden states to frames.

    For frames of (64, 64, 1) both decoders, if conditional, have 58,738,688 parameters, and the whole has 167,823,360.

    Args:
        shape: (H, W, C) of a frame.
        decoders: ``{"reconstruction" or "future": whether it is conditional}``.
        input_frames, future_frames, units: fields of :class:`~tfssl.methods.VideoLstm`.
        binary: whether frames are probabilities, see :class:`tfssl.layers.peephole_lstm.FrameDecoder`.

    Returns:
        ``keras.Model``: clips in [0, 1], (B, frames, H, W, C), the future behind what is read if there is a decoder of
        it -> ``{decoder: (B, steps, H, W, C)}``, float32; the reconstruction begins with the last frame.
    """
    frames = input_frames + (future_frames if "future" in decoders else 0)
    clips = layers.Input((frames, *shape), name="clips")
    flat = _flattened(clips)
    read = flat[:, :input_frames]
    x, states = read, []
    for number, size in enumerate(units, start=1):
        lstm = PeepholeLSTM(size, return_sequences=number < len(units), return_state=True, name=f"lstm{number}")
        x, *own = lstm(x)
        states += own
    told = {"reconstruction": ops.flip(read, axis=1), "future": flat[:, input_frames:]}
    outputs = {}
    for name, conditional in decoders.items():
        decoder = FrameDecoder(units, conditional=conditional, binary=binary, name=f"{name}_decoder")
        frames = layers.Reshape((-1, *shape), dtype="float32", name=name)
        outputs[name] = frames(decoder([told[name], *states]))
    return keras.Model(clips, outputs, name="video_lstm")


def build_encoder(model, shape, frames, count):
    """The last states of the LSTMs of a model; it shares variables with it.

    Args:
        model: of :func:`build_network`.
        shape: (H, W, C) of a frame.
        frames: that are read.
        count: LSTMs.
    """
    percepts = shape[:2] == (1, 1)
    clip = layers.Input((frames, shape[2]) if percepts else (frames, *shape[:2], 3), name="clip")
    x, taps = clip, {}
    if not percepts:
        if shape[2] == 1:
            x = sum(weight * channel for weight, channel in zip(_LUMA, ops.split(clip, 3, axis=-1), strict=True))
        x = _flattened(x)
    for number in range(1, count + 1):
        x, hidden, cell = model.get_layer(f"lstm{number}")(x)
        suffix = str(number) if count > 1 else ""
        taps |= {f"cell{suffix}": cell, f"hidden{suffix}": hidden}
    value_range = None if percepts else (0.0, 1.0)
    return Encoder(clip, taps, modality="clip", value_range=value_range, name="encoder")


def _flattened(clips):
    """Frames as rows: (B, T, H, W, C) -> (B, T, H W C)."""
    height, width, channels = clips.shape[2:]
    return layers.Reshape((-1, height * width * channels))(clips)
