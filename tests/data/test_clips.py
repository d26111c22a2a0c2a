"""Clips: the right frames and the right sound, whatever the header says."""

import logging
from pathlib import Path

import numpy as np
import pytest

from tfssl.data.clips import Clip, ClipSource, clip_source
from tfssl.data.source import check_source
from tfssl.errors import SourceError

av = pytest.importorskip("av")


def gray(frames):
    return frames[:, -1, -1, 0].astype(int)


def levels(indices):
    return 10 + 8 * np.asarray(indices)


def sequential(path, wanted):
    """``{number: frame}`` of the wanted frames, decoded from the start without any seeking; and the number of all."""
    found, count = {}, 0
    with av.open(str(path)) as opened:
        for frame in opened.decode(video=0):
            if count in wanted:
                found[count] = frame.reformat(frame.width, frame.height, "rgb24", interpolation="AREA").to_ndarray()
            count += 1
    return found, count


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")]
)
def test_frames_by_number_in_any_order(tmp_path, make_clip, name, codec):
    clip = Clip(make_clip(tmp_path / name, codec=codec, rate=25))
    order = [23, 0, 7, 7, 13, 12, 1]
    assert len(clip) == 24
    assert not clip.has_sound
    assert clip.seconds == pytest.approx(24 / 25, abs=0.002)
    assert clip.rate == pytest.approx(25, rel=0.002)
    frames = clip.frames(order)
    assert frames.shape == (7, 32, 48, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_allclose(gray(frames), levels(order), atol=3)
    np.testing.assert_array_equal(frames, np.concatenate([clip.frames(i) for i in order]))
    np.testing.assert_array_equal(clip.frames(seconds=np.array(order) / 25), frames)


def test_variable_frame_rate_goes_by_time_stamps(tmp_path, make_clip):
    times = [0, 10, 300] + [400 + 40 * i for i in range(21)]
    clip = Clip(make_clip(tmp_path / "a.mkv", times=times))
    np.testing.assert_allclose(clip.times, np.array(times) / 1000)
    shown = clip.frames(seconds=[0.0, 0.005, 0.01, 0.29, 0.35, 0.4, 1.2])
    np.testing.assert_allclose(gray(shown), levels([0, 0, 1, 1, 2, 3, 23]), atol=3)


def test_rotation_is_applied(tmp_path, make_clip):
    image = Clip(make_clip(tmp_path / "a.mp4", count=3, rotation=90)).frames(0)[0]
    assert image.shape == (48, 32, 3)
    red = image[..., 0].astype(int) - image[..., 1] > 100
    assert red[-3:, :3].all() and red.sum() < 40  # the upper left corner turned counterclockwise


def test_min_size_makes_frames_smaller_never_larger(tmp_path, make_clip):
    source = clip_source(make_clip(tmp_path / "a.mp4", count=3), min_size=16)
    assert source[0]["clip"].frames([0, 2]).shape == (2, 16, 24, 3)
    assert source.sized(100)[0]["clip"].frames([0]).shape == (1, 32, 48, 3)


@pytest.mark.parametrize("part", [0.8, 0.97])
def test_a_header_that_lies_is_found_out_and_named_once(tmp_path, make_clip, caplog, part):
    whole = Path(make_clip(tmp_path / "whole.mp4", container_options={"movflags": "faststart"}))
    path = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with av.open(str(path)) as opened:
        assert opened.streams.video[0].frames == 24
    clip = Clip(str(path))
    with caplog.at_level(logging.WARNING, logger="tfssl"):
        count = len(clip)
        assert len(Clip(str(path))) == count < 24
    assert caplog.messages == [f"cut.mp4: its header announces 24 frames, it holds {count}"]
    np.testing.assert_allclose(gray(clip.frames(count - 1)), levels([count - 1]), atol=3)
    with pytest.raises(ValueError, match=rf"cut.mp4: has no frame {count}, its true length is {count} frames"):
        clip.frames([0, count])
    with pytest.raises(ValueError, match=r"cut.mp4: has no frame at 1.99 s, its true length is"):
        clip.frames(seconds=1.99)


def test_damage_in_the_middle_is_named(tmp_path, make_clip):
    path = Path(make_clip(tmp_path / "a.avi", codec="mjpeg", options={"bf": "0"}))
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"00dc"][1:]  # the first one is in the header
    data[starts[5] + 8 : starts[6]] = bytes(starts[6] - starts[5] - 8)
    path.write_bytes(data)
    clip = Clip(str(path))
    np.testing.assert_allclose(gray(clip.frames([4, 6])), levels([4, 6]), atol=3)
    with pytest.raises(ValueError, match=r"a.avi: frame 5 of 24 cannot be decoded"):
        clip.frames([4, 5])


@pytest.mark.parametrize("bad", [{}, {"indices": [0], "seconds": [0]}, {"indices": []}, {"indices": [0.5]},
                                 {"indices": [-1]}, {"seconds": [-0.1]}, {"seconds": [float("nan")]}])  # fmt: skip
def test_wrong_requests(tmp_path, make_clip, bad):
    clip = Clip(make_clip(tmp_path / "a.mp4", count=3))
    with pytest.raises(ValueError, match=r"indices|has no frame"):
        clip.frames(**bad)


def test_sound_by_seconds(tmp_path, make_clip):
    tone = np.sin(2 * np.pi * 440 * np.arange(64000) / 32000) * np.linspace(0, 0.8, 64000)
    clip = Clip(make_clip(tmp_path / "a.mp4", sound=tone))
    assert clip.has_sound
    whole, part = clip.sound(0, 2), clip.sound(1.2, 0.5)
    assert whole.dtype == np.float32
    assert whole.shape == (64000,) and part.shape == (16000,)
    assert np.abs(whole - tone).max() < 0.1
    np.testing.assert_array_equal(part, whole[38400:54400])
    assert clip.sound(0, 1, rate=8000, mono=False).shape == (8000, 1)
    with pytest.raises(ValueError, match=r"a.mp4: the sound ends at 2\.\d+ s"):
        clip.sound(1.5, 1)
    padded = clip.sound(1.5, 1, pad=True)
    assert padded.shape == (32000,) and not padded[-12000:].any()


def test_no_sound_silence_and_failing_sound_are_told_apart(tmp_path, make_clip):
    without = Clip(make_clip(tmp_path / "without.mp4", count=3))
    assert not without.has_sound
    with pytest.raises(ValueError, match=r"without.mp4: has no sound"):
        without.sound(0, 0.1)
    silent = Clip(make_clip(tmp_path / "silent.mp4", count=3, sound=np.zeros(16000)))
    assert silent.has_sound
    assert not silent.sound(0, 0.25).any()
    failing = Clip(make_clip(tmp_path / "failing.mkv", sound=np.zeros(64000), sound_codec="ac3", garble=True))
    assert failing.has_sound
    np.testing.assert_allclose(gray(failing.frames([20])), levels([20]), atol=3)
    with pytest.raises(ValueError, match=r"failing.mkv: its sound \(ac3\) cannot be decoded"):
        failing.sound(0.5, 0.5)


def test_bad_files(tmp_path, make_clip):
    good = make_clip(tmp_path / "a.mp4", count=3)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("these are words, no video " * 20)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{good}\n#EXT-X-ENDLIST\n")
    (tmp_path / "cut.mp4").write_bytes(Path(good).read_bytes()[:300])
    make_clip(tmp_path / "sound.mkv", count=0, sound=np.zeros(3200))
    source = clip_source(str(tmp_path))
    reasons = {}
    for index in range(len(source)):
        try:
            source.check(index)
            source[index]["clip"].frames([0])
        except ValueError as error:
            assert "\n" not in str(error)
            reasons[source.name(index).rpartition("/")[2]] = str(error)
    assert reasons.keys() == {"empty.mp4", "text.mp4", "list.mp4", "cut.mp4", "sound.mkv"}
    assert reasons["empty.mp4"] == "empty.mp4: the file is empty"
    assert "not a video" in reasons["text.mp4"]
    assert "not a video" in reasons["list.mp4"]  # a playlist would open other files
    with pytest.raises(SourceError, match="mostly unreadable"):
        check_source(source)
    with pytest.raises(ValueError, match=r"gone.mp4: No such file"):
        ClipSource((str(tmp_path / "gone.mp4"),))[0]["clip"].frames(0)


def test_sources(tmp_path, make_clip):
    (tmp_path / "deep").mkdir()
    path = make_clip(tmp_path / "deep" / "b.MP4", count=2)
    (tmp_path / "notes.txt").write_text("no clip")
    for data in (str(tmp_path), tmp_path, f"{tmp_path}/*/*.MP4", path, [path]):
        assert clip_source(data).paths == (path,)
    (tmp_path / "deep" / "b.MP4").unlink()
    with pytest.raises(SourceError, match=r"holds 1 file but no .mp4"):
        clip_source(tmp_path)
    with pytest.raises(SourceError, match=r"list of files. Received: data of type int"):
        clip_source(3)


def test_missing_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'tfssl\[video\]'"):
        clip_source(tmp_path)


def test_a_worker_reads_without_tensorflow(tmp_path, make_clip, in_worker):
    source = clip_source(make_clip(tmp_path / "a.mp4", sound=np.zeros(64000)))
    np.testing.assert_array_equal(in_worker(source, "example['clip'].frames([9, 2])"), source[0]["clip"].frames([9, 2]))


@pytest.mark.parametrize(
    ("name", "count", "seconds", "sound"),
    [
        ("tree.avi", 68, 29.6, None),  # announces 444
        ("flipping_a_pancake.mkv", 310, 10.333, 0.04),  # announces none
        ("cockatoo.mp4", 280, 14.0, 0.0),  # silence; cannot be entered at its last key frame
        ("realshort.mp4", 36, 1.2, 0.0024),
        ("nasa_13013.mp4", 325, 13.0, 0.08),
    ],
)
def test_real_clips(unpack, name, count, seconds, sound):
    clip = Clip(str(unpack("videos.tar", name) / "videos" / name))
    wanted = sorted({0, 1, count // 3, count // 2, count - 2, count - 1})
    assert len(clip) == count
    assert clip.seconds == pytest.approx(seconds, abs=0.01)
    found, decoded = sequential(clip.path, wanted)
    assert decoded == count
    np.testing.assert_array_equal(clip.frames(wanted), [found[i] for i in wanted])
    np.testing.assert_array_equal(clip.frames(count - 2)[0], found[count - 2])
    assert clip.has_sound == (sound is not None)
    if sound is not None:
        assert clip.sound(0, None).std() == pytest.approx(sound, rel=0.3)


def test_more_real_clips(unpack):
    source = clip_source(unpack("videos_b.tar", "_c01.mp4", "1_applausing.mp4", "with_failing_audio.mp4"))
    assert len(source) == 5
    for example in source:
        clip = example["clip"]
        wanted = [len(clip) - 1, len(clip) // 2]
        found, count = sequential(clip.path, wanted)
        assert count == len(clip)
        np.testing.assert_array_equal(clip.frames(wanted), [found[i] for i in wanted])
        assert not clip.has_sound or clip.sound(1, 0.5, rate=16000).std() > 0.001


def test_only_what_is_needed_is_decoded(tmp_path, make_clip, monkeypatch):
    from tfssl.data import clips

    clip = Clip(make_clip(tmp_path / "a.mp4"))  # a key frame every 6
    decoded, converted = [], []
    frames_of, convert = clips._frames, clips._Converter.__call__

    def counted(*args):
        for frame in frames_of(*args):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(clips, "_frames", counted)
    monkeypatch.setattr(clips._Converter, "__call__", lambda *args: converted.append(1) or convert(*args))
    clip.frames([20, 2, 20])
    assert len(decoded) <= 12
    assert len(converted) == 2
