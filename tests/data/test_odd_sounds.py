"""Sounds as they come: formats, channels and rates; windows are those of the whole sound, wherever they begin."""

from pathlib import Path

import numpy as np
import pytest

from tfssl.data.examples import Examples, Skipped
from tfssl.data.sounds import Sound, sound_source

soundfile = pytest.importorskip("soundfile")

SECONDS = 0.6
RATES = {1: (8000, 22050, 96000), 2: (16000, 44100, 48000), 6: (8000, 48000, 96000)}
KINDS = [
    (ending, channels, rate)
    for ending in ("wav", "flac", "ogg", "mp3")
    for channels, rates in RATES.items()
    for rate in rates
    if ending != "mp3" or (channels < 3 and rate <= 48000)  # all that MPEG has
]


def chord(rate, channels, seconds=SECONDS):
    """Sines of 300, 350 ... Hz, one in each channel, that never repeat within a sound."""
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([(0.2 + 0.2 * time) * np.sin(2 * np.pi * (300 + 50 * c) * time) for c in range(channels)], axis=1)


@pytest.mark.parametrize(("ending", "channels", "rate"), KINDS)
def test_formats_channels_and_rates(tmp_path, ending, channels, rate):
    path, true = str(tmp_path / f"a.{ending}"), chord(rate, channels)
    soundfile.write(path, true, rate)
    sound = Sound(path)
    assert (sound.rate, sound.channels) == (rate, channels)
    assert sound.seconds == pytest.approx(SECONDS, abs=0.06)
    whole, begin = sound.read(mono=False), round(0.4 * rate)
    part = sound.read(0.4, 0.15, mono=False)
    assert part.shape == (round(0.15 * rate), channels) and part.dtype == np.float32
    lossy = ending in ("ogg", "mp3")
    np.testing.assert_allclose(part, whole[begin : begin + len(part)], atol=2e-3 if lossy else 1e-6)
    if not (ending == "ogg" and channels == 6):  # Vorbis orders six channels as left, center, right ...
        np.testing.assert_allclose(part, true[begin : begin + len(part)], atol=0.06 if lossy else 1e-4)
    resampled = Sound(path, 8000).read(0.4, 0.15)
    assert resampled.shape == (1200,)
    np.testing.assert_allclose(resampled, chord(8000, channels)[3200:4400].mean(axis=1), atol=0.06 if lossy else 4e-3)


@pytest.mark.parametrize(("ending", "part"), [("wav", 0.5), ("flac", 0.5), ("ogg", 0.5), ("mp3", 0.5), ("aiff", 0.5)])
def test_cut_off(tmp_path, ending, part):
    """What is left is read, or the reason is told: never silence in the place of sound."""
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, chord(16000, 2, 2.0), 16000)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    sound = Sound(str(path), 8000)
    try:
        samples = sound.read(0, None)
    except ValueError as error:
        assert str(error).startswith(path.name) and "\n" not in str(error)
        assert ending in ("flac", "ogg", "mp3")
    else:
        assert len(samples) == pytest.approx(8000, rel=0.1) and samples[-2000:].std() > 0.05


def whole(example, rng, training):
    return (example["sound"].read(0, 0.5),)


def test_a_folder_of_all_that_can_be_wrong(tmp_path):
    soundfile.write(tmp_path / "good.wav", chord(16000, 6), 16000)
    soundfile.write(tmp_path / "silent.flac", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "short.wav", chord(16000, 1, 0.1), 16000)
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(50_000))
    (tmp_path / "text.flac").write_text("no sound at all")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    source = sound_source([str(path) for path in sorted(tmp_path.iterdir())], 16000)
    examples, skipped = Examples(source, whole, training=False), Skipped()
    read = [examples.arrays(position, skipped) for position in range(len(source))]
    used = {Path(source.name(i)).name for i, arrays in enumerate(read) if arrays is not None}
    reasons = {Path(name).name: reason for name, reason in skipped.reasons.items()}
    assert used == {"good.wav", "silent.flac"}
    assert reasons.keys() == {"short.wav", "noise.mp3", "text.flac", "device.wav"}
    assert "the sound ends at 0.100 s" in reasons["short.wav"] and "no ordinary file" in reasons["device.wav"]
    for name in ("noise.mp3", "text.flac"):
        assert reasons[name] == f"{name}: no sound file that libsndfile or FFmpeg knows, or damaged"
