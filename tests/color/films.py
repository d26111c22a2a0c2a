"""Films that tests write, and predictors to color them with."""

from fractions import Fraction

import numpy as np

from tfssl.color.colorize import colorize_paths
from tfssl.data.media import require

COLOR = (25.0, -20.0)


def blue(L, temperature=None):
    """A predictor of one color."""
    return np.broadcast_to(np.float32(COLOR), (len(L), -(-L.shape[1] // 4), -(-L.shape[2] // 4), 2))


def wavering(L, temperature=None):
    """A predictor whose color depends on all that it sees."""
    return blue(L) + np.sin(50 * L[:, ::4, ::4]) * 10


def run(source, out, predict=blue, **options):
    return colorize_paths([str(source)], out, predict, image_size=32, stride=4, **options)


def write_film(path, count=20, *, pixels="yuv420p", size=(48, 32), codec="libx264", times=None, sound=None, **about):
    """A film of a gray slope that moves; ``about``: attributes of the encoder, and ``rotation``."""
    av = require("av", "video")
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options={"crf": "4"} if codec == "libx264" else {})
        video.width, video.height, video.pix_fmt = *size, pixels
        base = Fraction(1, 1000 if times else 25)
        video.time_base = video.codec_context.time_base = base
        if about.pop("rotation", 0):
            video.set_display_rotation(90)
        for name, value in about.items():
            setattr(video.codec_context, name, value)
        audio = out.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number in range(count):
            slope = (60 + 2 * np.add.outer(np.arange(size[1]), np.arange(size[0])) + number) % 256
            frame = av.VideoFrame.from_ndarray(np.repeat(slope[..., None], 3, 2).astype(np.uint8), "rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = times[number] if times else number, base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            write_sound(out, audio)
    return path


def write_sound(out, audio):
    av = require("av", "video")
    step = audio.codec_context.frame_size or 1024
    for start in range(0, 38400, step):
        part = np.random.default_rng(start).uniform(-0.5, 0.5, (1, step)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(part, "flt" if "opus" in audio.codec_context.name else "fltp", "mono")
        frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(audio.encode(frame))
    out.mux(audio.encode(None))
