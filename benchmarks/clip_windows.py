"""What `clip_pipeline.py` draws from clips, importable by worker processes, and the clips that it makes."""

import dataclasses
from fractions import Fraction

import numpy as np

from tfssl.data.windows import draw_window, square_frames


@dataclasses.dataclass(frozen=True)
class Windows:
    """A sampler: ``frames`` successive frames of a clip from a random one on, cropped to their middle.

    uint8 (frames, size, size, 3); ValueError for a clip that is shorter. The source decodes to ``size``.
    """

    frames: int
    size: int

    def __call__(self, example, rng, training):
        clip = example["clip"]
        return (square_frames(clip, draw_window(len(clip), self.frames, rng), self.size),)


def write_clips(folder, count, seed, *, size=(320, 240), rate=25, seconds=10):
    """Fill ``folder`` with clips, H.264 as x264 makes it by default: a camera that drifts over built-in photographs.

    Key frames lie up to 250 frames apart. The noise of a sensor is drawn over them.
    """
    import av
    from PIL import Image

    from tfssl.data.builtin import builtin_photographs

    rng = np.random.default_rng(seed)
    photographs = [Image.open(path).convert("RGB") for path in builtin_photographs()]
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        photograph = photograph.resize([side * 480 // min(photograph.size) for side in photograph.size])
        ends = [rng.random(2) * np.subtract(photograph.size, size) for _ in range(2)]
        with av.open(str(folder / f"{number:03d}.mp4"), "w") as out:
            video = out.add_stream("libx264", rate=rate)
            video.width, video.height = size
            video.pix_fmt, video.time_base = "yuv420p", Fraction(1, rate)
            for step in np.linspace(0, 1, rate * seconds):
                left, top = (1 - step) * ends[0] + step * ends[1]
                view = photograph.resize(size, Image.Resampling.BILINEAR, (left, top, left + size[0], top + size[1]))
                noisy = np.asarray(view, np.int16) + rng.integers(-3, 4, (size[1], size[0], 1))
                out.mux(video.encode(av.VideoFrame.from_ndarray(noisy.clip(0, 255).astype(np.uint8), "rgb24")))
            out.mux(video.encode(None))


def write_longer(clip, path, times):
    """Write a clip that repeats another one, packet by packet."""
    import av

    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        length = stream.duration
        for number in range(times):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.size:
                    packet.pts, packet.dts = packet.pts + number * length, packet.dts + number * length
                    packet.stream = copy
                    out.mux(packet)
