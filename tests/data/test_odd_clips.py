"""Clips as they come: every container, cut off, turned, of one frame, of changing sizes, and what is no clip at all."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tfssl.data.clips import Clip, clip_source
from tfssl.data.examples import Examples, Skipped

av = pytest.importorskip("av")


def levels(indices):
    return 10 + 8 * np.asarray(indices)


def gray(frames):
    return frames[:, -1, -1, 0].astype(int)


FILES = {
    "a.webm": {"codec": "libvpx-vp9"},  # no number of frames
    "b.webm": {"codec": "libvpx"},
    "a.flv": {},
    "a.mov": {},
    "a.3gp": {"codec": "mpeg4"},
    "a.mpg": {"codec": "mpeg1video", "rate": 25},
    "a.avi": {},  # no time stamps, and frames not stored in the order of showing
    "b.avi": {"codec": "mpeg4"},
    "many_between.mp4": {"options": {"bf": "8", "g": "24"}},
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file(tmp_path, make_clip, name):
    clip = Clip(make_clip(tmp_path / name, **FILES[name]))
    order = [23, 0, 9, 10, 11, 22]
    assert len(clip) == 24
    np.testing.assert_allclose(gray(clip.frames(order)), levels(order), atol=4)
    np.testing.assert_array_equal(clip.frames(order), np.concatenate([clip.frames(i) for i in order]))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")])
def test_variable_frame_rate(tmp_path, make_clip, name, codec):
    times = [0, 10, 300] + [400 + 40 * i for i in range(21)]
    clip = Clip(make_clip(tmp_path / name, codec=codec, times=times))
    np.testing.assert_allclose(clip.times, np.array(times) / 1000, atol=1e-3)
    np.testing.assert_allclose(gray(clip.frames(seconds=[0.005, 0.35, 1.2])), levels([0, 2, 23]), atol=4)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_one_frame(tmp_path, make_clip, name, codec):
    clip = Clip(make_clip(tmp_path / name, count=1, codec=codec))
    assert len(clip) == 1 and clip.seconds == pytest.approx(1 / 12, abs=1e-3)
    np.testing.assert_allclose(gray(clip.frames([0, 0])), levels([0, 0]), atol=4)
    np.testing.assert_array_equal(clip.frames(seconds=0.05), clip.frames(0))


@pytest.mark.parametrize(
    ("name", "codec", "frames"), [("a.webm", "libvpx-vp9", 7), ("a.flv", "libx264", 3), ("a.avi", "libx264", 13)]
)
def test_what_is_left_of_a_file_that_was_cut_off(tmp_path, make_clip, name, codec, frames):
    path = Path(make_clip(tmp_path / name, codec=codec))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * (0.9 if name == "a.avi" else 0.5))])
    clip = Clip(str(path))
    assert 0 < len(clip) < 24 and len(clip) == pytest.approx(frames, abs=2)
    np.testing.assert_allclose(gray(clip.frames([0, len(clip) - 1]))[0], levels(0), atol=4)


@pytest.mark.parametrize(("angle", "corner"), [(90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))])
def test_turned_by_the_camera(tmp_path, make_clip, angle, corner):
    path = make_clip(tmp_path / "a.mp4", count=3, rotation=angle)
    frame, small = Clip(path).frames(0)[0], Clip(path, 16).frames(0)[0]
    assert frame.shape[:2] == ((32, 48) if angle == 180 else (48, 32)), "upright"
    assert small.shape[:2] == ((16, 24) if angle == 180 else (24, 16))
    assert frame[corner][0] > 150 > frame[corner][1], "the red corner went along"


def test_a_size_that_changes_on_the_way(tmp_path):
    path, base = tmp_path / "a.mkv", Fraction(1, 25)
    with av.open(str(path), "w") as out:
        first = out.add_stream("libx264", rate=25)
        second = av.CodecContext.create("libx264", "w")
        for encoder, size in ((first, (48, 32)), (second, (96, 64))):
            encoder.width, encoder.height = size
            encoder.pix_fmt = "yuv420p"
        second.time_base, second.framerate = base, Fraction(25)
        for number in range(24):
            encoder, size = (first, (32, 48, 3)) if number < 12 else (second, (64, 96, 3))
            frame = av.VideoFrame.from_ndarray(np.full(size, levels(number), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, base
            for packet in [*encoder.encode(frame), *(encoder.encode(None) if number in (11, 23) else ())]:
                packet.stream, packet.time_base = first, base
                out.mux(packet)
    clip = Clip(str(path))
    np.testing.assert_allclose(gray(clip.frames([3, 20])), levels([3, 20]), atol=4)
    assert Clip(str(path), 16).frames([3, 20]).shape == (2, 16, 24, 3)


def frames_and_sound(example, rng, training):
    """A frame in the middle, and half a second of sound."""
    clip = example["clip"]
    return clip.frames([len(clip) // 2])[0], clip.sound(0, 0.5)


def test_a_folder_of_all_that_can_be_wrong(tmp_path, make_clip):
    """What cannot be used is named with its reason, what can is all there, and nothing is waited for."""
    tone = np.sin(np.arange(64000) / 10) / 2
    make_clip(tmp_path / "good.mp4", sound=tone)
    make_clip(tmp_path / "good.mkv", sound=tone)
    make_clip(tmp_path / "silent.mp4", sound=np.zeros(64000))
    make_clip(tmp_path / "without.mp4")
    make_clip(tmp_path / "failing.mkv", sound=tone, sound_codec="ac3", garble=True)
    make_clip(tmp_path / "short.mp4", count=2, sound=tone[:3000])
    whole = Path(make_clip(tmp_path / "cut.mp4", sound=tone))
    whole.write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "zeros.mp4").write_bytes(bytes(100_000))
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "gone.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    source = clip_source([str(path) for path in sorted(tmp_path.iterdir())])
    examples, skipped = Examples(source, frames_and_sound, training=False), Skipped()
    read = [examples.arrays(position, skipped) for position in range(len(source))]
    sounds = {Path(source.name(i)).name: arrays[1] for i, arrays in enumerate(read) if arrays is not None}
    assert sounds.keys() == {"good.mp4", "good.mkv", "silent.mp4"}
    assert not sounds["silent.mp4"].any() and sounds["good.mkv"].std() > 0.1
    reasons = {Path(name).name: reason for name, reason in skipped.reasons.items()}
    words = {
        "without.mp4": "has no sound",
        "failing.mkv": "its sound (ac3) cannot be decoded",
        "short.mp4": "the sound ends at",
        "cut.mp4": "not a video or sound file",
        "zeros.mp4": "not a video or sound file",
        "pipe.mp4": "no ordinary file",
        "device.mp4": "no ordinary file",
        "nowhere.mp4": "No such file",
    }
    assert reasons.keys() == words.keys()
    for name, reason in reasons.items():
        assert reason.startswith(f"{name}: ") and words[name] in reason and "\n" not in reason
