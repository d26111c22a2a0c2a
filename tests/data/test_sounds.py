"""Sounds: the samples that were asked for, at the rate that was asked for."""

import numpy as np
import pytest

from tfssl.data.sounds import Sound, sound_source
from tfssl.errors import SourceError

soundfile = pytest.importorskip("soundfile")


def tone(seconds=2.0, rate=44100, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(), -0.5 * tone()], axis=1), 44100, subtype="FLOAT")
    return str(path)


def test_samples_by_seconds(wav):
    sound = Sound(wav)
    assert (sound.rate, sound.channels, sound.seconds) == (44100, 2, 2.0)
    both = sound.read(0.5, 0.25, mono=False)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both[:, 0], tone()[22050:33075], atol=1e-6)
    np.testing.assert_allclose(sound.read(0.5, 0.25), both.mean(axis=1), atol=1e-6)
    assert sound.read(1.5).shape == (22050,)


@pytest.mark.parametrize("rate", [16000, 22050, 8000, 48000])
def test_resampled(wav, rate):
    sound = Sound(wav, rate)
    assert sound.rate == rate
    whole, part = sound.read(0, 2.0, mono=False), sound.read(0.5, 0.5, mono=False)
    assert whole.shape == (2 * rate, 2) and part.shape == (rate // 2, 2)
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(whole[inner, 0], tone(2, rate)[inner], atol=2e-3)
    # A window is as if cut from the whole: no transients at its edges.
    np.testing.assert_allclose(part, whole[rate // 2 : rate], atol=1e-5)


def test_resampling_removes_what_the_rate_cannot_hold(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(frequency=7000), 44100)
    assert np.abs(Sound(str(tmp_path / "a.wav"), 8000).read(0.5, 1)).max() < 0.01


def test_ends_and_silence(tmp_path, wav):
    sound = Sound(wav, 16000)
    with pytest.raises(ValueError, match=r"a.wav: the sound ends at 2.000 s; .* pad=True"):
        sound.read(1.5, 0.6)
    padded = sound.read(1.5, 0.6, pad=True)
    assert padded.shape == (9600,) and padded[:7000].any() and not padded[-1000:].any()
    assert not sound.read(5, 1, pad=True).any()
    soundfile.write(tmp_path / "silent.flac", np.zeros(800), 8000)
    assert not Sound(str(tmp_path / "silent.flac")).read().any()
    for start, seconds in ((0, 0), (0, 1e-6), (-1, 1), (3, None), (0, -1), (0, float("nan"))):
        with pytest.raises(ValueError, match=r"a.wav: ask for at least one sample"):
            sound.read(start, seconds)


def test_bad_files(tmp_path, wav):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.ogg").write_text("no sound at all")
    (tmp_path / "text.m4a").write_text("no sound at all")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "whole.flac", tone(), 44100)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    reasons = {}
    source = sound_source(tmp_path)
    for index in range(len(source)):
        try:
            source.check(index)
            source[index]["sound"].read()
        except ValueError as error:
            assert "\n" not in str(error)
            reasons[source.name(index).rpartition("/")[2]] = str(error)
    assert reasons.keys() == {"empty.wav", "text.ogg", "text.m4a", "none.wav", "cut.flac"}
    assert reasons["empty.wav"] == "empty.wav: the file is empty"
    assert reasons["none.wav"] == "none.wav: holds no samples"


def test_labels(tmp_path, wav):
    for name in ("b.wav", "c.wav"):
        soundfile.write(tmp_path / name, tone(0.1), 8000)
    table = tmp_path / "meta.csv"
    table.write_text("filename,fold,category\nc.wav,2,rain\na.wav,1,dog\ngone.wav,1,dog\n")
    source = sound_source(tmp_path, 8000, labels=table)
    assert source.classes == ("dog", "rain")
    assert [source.name(i).rpartition("/")[2] for i in range(3)] == ["c.wav", "a.wav", "gone.wav"]
    assert source[0]["label"] == 1 and source[0]["sound"].rate == 8000 and source.folds == ("2", "1", "1")
    with pytest.raises(ValueError, match=r"gone.wav: No such file"):
        source.check(2)
    only = sound_source(tmp_path, labels=table, folds=2)
    assert len(only) == 1 and only.labels == (1,)  # numbers do not depend on the folds
    with pytest.raises(SourceError, match="`folds` names none"):
        sound_source(tmp_path, labels=table, folds=(7,))
    for text, message in (
        ("name,category\na.wav,dog\n", "columns filename and category"),
        ("filename,category\na.wav\n", "no category in line 2"),
        ("filename,category\nz.wav,dog\n", "names no file"),
        ('filename,category\n"a.wav,dog\n', "no CSV"),
    ):
        table.write_text(text)
        with pytest.raises(SourceError, match=message):
            sound_source(tmp_path, labels=table)
    with pytest.raises(SourceError, match="`rate` must be"):
        sound_source(tmp_path, 0)


def test_sound_of_videos(tmp_path, make_clip):
    pytest.importorskip("av")
    source = sound_source(make_clip(tmp_path / "a.mp4", sound=tone(2, 32000)), 16000)
    assert source[0]["sound"].channels == 1
    heard = source[0]["sound"].read(0.5, 1.0)
    assert heard.shape == (16000,)
    assert heard.std() == pytest.approx(0.354, abs=0.02)
    silent = sound_source(make_clip(tmp_path / "b.mp4", count=2))
    with pytest.raises(ValueError, match=r"b.mp4: has no sound"):
        silent.check(0)


def test_a_worker_reads_without_tensorflow(wav, in_worker):
    source = sound_source(wav, 16000)
    heard = in_worker(source, "example['sound'].read(0.3, 0.2)")
    np.testing.assert_array_equal(heard, source[0]["sound"].read(0.3, 0.2))


def test_real_recordings(unpack):
    folder = unpack("esc10_80.tar") / "esc10"
    source = sound_source(folder, 16000, labels=folder / "meta.csv")
    assert len(source) == 80
    assert len(source.classes) == 10
    assert np.bincount(source.labels).tolist() == [8] * 10
    for index in range(0, 80, 8):
        source.check(index)
        sound = source[index]["sound"].read(1, 1.0)
        assert sound.shape == (16000,) and np.abs(sound).max() <= 1
    assert len(sound_source(folder, labels=folder / "meta.csv", folds=(1, 2, 3))) == 60


def test_real_videos(unpack):
    sound = Sound(str(unpack("videos.tar", "nasa_13013.mp4") / "videos" / "nasa_13013.mp4"))
    assert (sound.rate, sound.channels) == (8000, 2)
    whole = sound.read(0, 13)
    np.testing.assert_array_equal(sound.read(7.3, 2), whole[58400:74400])
