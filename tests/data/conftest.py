"""Tiny clips and sounds, members of the shared archives, and a process that reads a source without TensorFlow."""

import pickle
import subprocess
import sys
import tarfile
from fractions import Fraction

import numpy as np
import pytest


def write_clip(
    path, count=24, *, codec="libx264", size=(48, 32), rate=12, times=None, sound=None, sound_codec="aac",
    rotation=0, options=None, container_options=None, garble=False, images=None,
):  # fmt: skip
    """A clip of ``images``, uint8 (H, W, 3), or whose frame i is gray of value 10 + 8 i.

    ``sound``: (n,) at 32 kHz; ``garble`` spoils its packets.
    """
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=container_options or {}) as out:
        video = out.add_stream(codec, rate=rate, options={"g": "6", "bf": "2", **(options or {})})
        video.width, video.height = size
        video.bit_rate = 2_000_000
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        base = Fraction(1, 1000 if times else rate)
        video.time_base = video.codec_context.time_base = base
        if rotation:
            video.set_display_rotation(rotation)
        audio = None if sound is None else out.add_stream(sound_codec, rate=32000, layout="mono")
        for number in range(count if images is None else len(images)):
            if images is not None:
                image = images[number]
            else:
                image = np.full((size[1], size[0], 3), 10 + 8 * number, np.uint8)
                image[:4, :4] = (255, 0, 0)  # marks the upper left corner
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = (times[number] if times else number), base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            step = audio.codec_context.frame_size or 1024
            for start in range(0, len(sound), step):
                part = np.asarray(sound[start : start + step], np.float32)[None]
                frame = av.AudioFrame.from_ndarray(part, "fltp", "mono")
                frame.rate, frame.pts, frame.time_base = 32000, start, Fraction(1, 32000)
                _mux(out, audio.encode(frame), garble)
            _mux(out, audio.encode(None), garble)
    return str(path)


def _mux(out, packets, garble):
    for packet in packets:
        if garble:
            memory = memoryview(packet)
            memory[:] = bytes(np.random.default_rng(0).integers(0, 256, len(memory), np.uint8))
        out.mux(packet)


@pytest.fixture
def make_clip():
    return write_clip


@pytest.fixture(scope="session")
def unpack(shared_data, tmp_path_factory):
    """``unpack(archive, *endings)``: folder with the members of a shared archive whose names end so."""

    def unpack(archive, *endings):
        folder = tmp_path_factory.mktemp("shared")
        with tarfile.open(shared_data / archive) as tar:
            members = [m for m in tar.getmembers() if not endings or m.name.endswith(endings)]
            tar.extractall(folder, members, filter="data")
        return folder

    return unpack


@pytest.fixture
def in_worker(tmp_path, root):
    """``in_worker(source, use)``: pickles a source, reads its first example in another process and gives ``use`` of it.

    ``use`` is an expression of ``example`` and ``np``. Fails if that imported TensorFlow.
    """

    def run(source, use):
        stored = tmp_path / "source.pkl"
        stored.write_bytes(pickle.dumps(source))
        code = (
            f"import pickle, sys; import numpy as np; source = pickle.load(open({str(stored)!r}, 'rb'));"
            f"source.check(0); example = source.example(0); value = {use};"
            f"assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules;"
            f"pickle.dump(value, sys.stdout.buffer)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return pickle.loads(done.stdout)

    return run
