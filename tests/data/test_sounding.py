"""Frames with the sound around them: the middle of the window is the frame, and what does not serve is said."""

import numpy as np
import pytest

from tfssl.data.rendered_sounds import KINDS, Samples, sounding_scenes
from tfssl.data.sounding import Part, sounding_source, texture, textures
from tfssl.errors import ConfigError
from tfssl.ops.sound_texture import STATISTICS

av = pytest.importorskip("av")
RATE = 12


def write_clip(path, frames, sound=None, rate=20000, codec="aac"):
    """A clip of 12 frames a second, and its sound, float (n,), if any."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=RATE)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if sound is not None:
            audio = container.add_stream(codec, rate=rate if codec != "aac" else 44100, layout="mono")
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        container.mux(video.encode())
        if sound is not None:
            heard = av.AudioFrame.from_ndarray(np.asarray(sound, np.float32)[None], "fltp", "mono")
            heard.sample_rate = rate
            for part in av.AudioResampler(format=audio.format, layout="mono", rate=audio.rate).resample(heard):
                container.mux(audio.encode(part))
            container.mux(audio.encode())


def gray_frames(count):
    """Frames whose level is ten times their number."""
    return [np.full((32, 48, 3), 10 * number, np.uint8) for number in range(count)]


def test_frames_lie_in_the_middle_of_their_windows(tmp_path):
    time = np.arange(40000) / 20000
    write_clip(tmp_path / "a.mp4", gray_frames(24), np.where(time < 1, 0.0, 0.5 * np.sin(2 * np.pi * 500 * time)))
    source = sounding_source(tmp_path, frames=4, seconds=1.0)
    assert len(source) == 4
    for index, middle in enumerate((0.625, 0.875, 1.125, 1.375)):  # of starts 0.125, 0.375 ... of a second to spare
        example = source.example(index)
        assert example["sound"].start == pytest.approx(middle - 0.5, abs=0.02)
        level = np.asarray(example["image"])[..., 0].mean() / 10
        assert level == pytest.approx(int(middle * RATE), abs=1)
        loud = np.abs(example["sound"].read()) > 0.05
        assert loud.mean() == pytest.approx(max(middle - 0.5, 0) * 0.9, abs=0.1)
    assert source.name(2).endswith("a.mp4 3/4") and example["sound"].name == source.name(3)


def test_what_does_not_serve_is_said(tmp_path):
    write_clip(tmp_path / "mute.mp4", gray_frames(12))
    write_clip(tmp_path / "short.mp4", gray_frames(6), np.zeros(10000))
    (tmp_path / "torn.mp4").write_bytes(b"nothing")
    source = sounding_source(tmp_path, frames=1, seconds=1.0)
    found, faults = textures(source)
    assert np.isnan(found).all() and sorted(faults) == [0, 1, 2]
    for number, reason in enumerate(("mute.mp4: has no sound", "a window 1 s; lower seconds", "torn.mp4: not a video")):
        assert reason in faults[number]
    with pytest.raises(ValueError, match="has no sound"):
        source.check(0)
    for wrong in ({"seconds": 0.01}, {"frames": 0}):
        with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be"):
            sounding_source(tmp_path, **wrong)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_odd_rates_give_a_texture(tmp_path, rate):
    write_clip(
        tmp_path / "a.mkv",
        gray_frames(14),
        0.1 * np.random.default_rng(0).normal(size=int(1.1 * rate)),
        rate,
        "pcm_s16le",
    )
    found, faults = textures(sounding_source(tmp_path, frames=1, seconds=1.0))
    assert not faults and np.isfinite(found).all() and found[0, -1] > 0.5
    above = found[0, 26:31]  # bands from 5 kHz on: nothing in sounds of 8 kHz
    assert (above.max() < 0.05) == (rate == 8000)


def test_textures_are_kept_while_the_clip_stays(tmp_path):
    clip, cache = tmp_path / "clips" / "a.mp4", tmp_path / "kept"
    clip.parent.mkdir()
    write_clip(clip, gray_frames(14), 0.1 * np.random.default_rng(0).normal(size=22000))
    first = texture(sounding_source(clip, frames=1, seconds=1.0).sound(0), cache)
    (file,) = cache.rglob("*.npy")
    np.save(file, np.full(STATISTICS, 7, np.float32))
    again = texture(sounding_source(clip, frames=1, seconds=1.0).sound(0), cache)
    assert (again == 7).all(), "taken from the folder"
    file.write_bytes(b"torn")
    np.testing.assert_array_equal(texture(sounding_source(clip, frames=1, seconds=1.0).sound(0), cache), first)
    write_clip(clip, gray_frames(15), 0.2 * np.random.default_rng(1).normal(size=22000))
    assert (texture(sounding_source(clip, frames=1, seconds=1.0).sound(0), cache) != first).any()


def test_sounds_in_memory_may_be_too_short_or_of_another_rate():
    with pytest.raises(ValueError, match=r"the sound lasts 0.050 s, 0.1 s are the least"):
        texture(Samples(np.zeros(1000, np.float32)))
    with pytest.raises(ConfigError, match="`sound` must have 20000 samples a second"):
        texture(Samples(np.zeros(4000, np.float32), rate=16000))


def test_scenes_follow_from_seed_and_number():
    source = sounding_scenes(count=8, image_size=32, seconds=0.5, seed=3)
    again = sounding_scenes(count=100, image_size=32, seconds=0.5, seed=3)
    for index in range(8):
        one, other = source.example(index), again.example(index)
        np.testing.assert_array_equal(np.asarray(one["image"]), np.asarray(other["image"]))
        np.testing.assert_array_equal(one["sound"].read(), other["sound"].read())
        assert one["label"] == source.labels[index] == index % len(KINDS)
        assert one["sound"].read().shape == (10000,) and np.abs(one["sound"].read()).max() <= 1
    assert (source.sound(0).read() != sounding_scenes(count=1, seconds=0.5, seed=4).sound(0).read()).any()
    for wrong in ({"count": 0}, {"image_size": 8}, {"seconds": 0.0}):
        with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be"):
            sounding_scenes(**wrong)


def test_a_part_of_a_source():
    whole = sounding_scenes(count=8, image_size=16, seconds=0.1)
    part = Part(whole, np.array([5, 2]))
    assert len(part) == 2 and part.name(0) == whole.name(5) and part.noun == whole.noun
    assert part.example(1)["label"] == 2
    part.check(0)
