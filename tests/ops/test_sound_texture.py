"""Sound textures: the numbers of the card, worked out apart from this code."""

import numpy as np
import pytest
from scipy.signal import hilbert

from tfssl.errors import ConfigError
from tfssl.ops.sound_texture import (
    GROUPS,
    STATISTICS,
    cochleagram,
    cochlear_filters,
    cutoffs,
    from_erb,
    group_scaling,
    join_bands,
    modulation_filters,
    sound_texture,
    split_bands,
    texture_statistics,
    to_erb,
)

COUNT = 75_000  # 3.75 s
TIME = np.arange(COUNT) / 20_000
NOISE = 0.1 * np.random.default_rng(0).normal(size=COUNT)


@pytest.fixture(scope="module")
def noise():
    return sound_texture(NOISE)


def test_scale_of_the_ear():
    """Card, test 1."""
    np.testing.assert_allclose(to_erb([1000, 20, 10000]), [15.5725, 0.77627, 35.20626], rtol=1e-5)
    borders = cutoffs()
    np.testing.assert_allclose(np.diff(to_erb(borders)), 1.110645, atol=1e-6)
    np.testing.assert_allclose(borders[:4], [20, 51.692, 87.420, 127.699], atol=1e-3)
    np.testing.assert_allclose(borders[-3:], [7819.456, 8844.458, 10000], atol=1e-3)
    np.testing.assert_allclose(from_erb(to_erb(borders)), borders)


def test_bank_is_complete():
    """Card, test 2."""
    filters = cochlear_filters(COUNT)
    assert filters.shape == (37_501, 32)
    np.testing.assert_allclose((filters**2).sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(join_bands(split_bands(NOISE)), NOISE, atol=1e-12)


def test_502_numbers(noise):
    """Card, test 3."""
    assert noise.shape == (STATISTICS,) and np.isfinite(noise).all()
    sizes = [group.stop - group.start for group in GROUPS.values()]
    assert sizes == [32, 32, 31 + 30 + 29 + 27, 32 * 10, 1] and sum(sizes) == 502


def test_gain_changes_the_loudness_alone(noise):
    """Card, test 4."""
    soft = sound_texture(0.5 * NOISE)
    assert soft[-1] / noise[-1] == pytest.approx(0.812252, abs=1e-6) == pytest.approx(0.5**0.3, abs=1e-6)
    np.testing.assert_allclose(soft[:-1], noise[:-1], atol=1e-12)
    unscaled = sound_texture(0.5 * NOISE, normalize=False)
    np.testing.assert_allclose(unscaled[GROUPS["mean"]], soft[GROUPS["mean"]] * soft[-1])
    np.testing.assert_allclose(sound_texture(NOISE, rms=0.01), sound_texture(3 * NOISE, rms=0.01), atol=1e-12)


def test_tone_and_its_modulation():
    """Card, test 5."""
    tone = 0.3 * np.sin(2 * np.pi * 1465.137 * TIME)
    assert sound_texture(tone)[GROUPS["mean"]].argmax() == 16
    swelling = sound_texture(tone * (1 + 0.9 * np.sin(2 * np.pi * 7.24 * TIME)) / 1.9)
    assert swelling[GROUPS["mean"]].argmax() == 16
    modulation = swelling[GROUPS["modulation"]].reshape(32, 10)[16]
    assert modulation.argmax() == 4
    np.testing.assert_allclose(modulation[[4, 5, 3]], [0.722, 0.548, 0.068], atol=4e-3)


def test_modulation_filters():
    filters = modulation_filters(1500)
    centers = np.geomspace(0.5, 200, 10)
    np.testing.assert_allclose(centers, [0.5, 0.973, 1.893, 3.684, 7.169, 13.95, 27.14, 52.82, 102.8, 200], rtol=1e-3)
    assert filters.shape == (751, 10) and not filters[0].any(), "what does not vary is not modulated"
    peaks = filters.argmax(axis=0) * 400 / 1500
    np.testing.assert_allclose(peaks, centers, atol=0.14)


def test_noise(noise):
    """Card, test 6: of a Rayleigh envelope to the power of 0.3; wide bands are smoothed by the slower sampling."""
    envelope = np.abs(hilbert(NOISE)) ** 0.3
    assert envelope.std() / envelope.mean() == pytest.approx(0.17580, abs=2e-3)
    variation = noise[GROUPS["variation"]]
    assert variation.min() == pytest.approx(0.085, abs=5e-3) and variation.max() == pytest.approx(0.188, abs=5e-3)
    correlations = noise[GROUPS["correlation"]]
    assert correlations[:31].mean() == pytest.approx(0.09, abs=0.01)
    assert correlations.mean() == pytest.approx(0.02, abs=0.01)


def test_time_hardly_counts(noise):
    """Card, tests 7 and 8."""
    assert np.abs(sound_texture(NOISE[::-1]) - noise).max() < 1e-3
    np.testing.assert_allclose(sound_texture(np.roll(NOISE, 50 * 31)), noise, atol=1e-12)
    assert 1e-4 < np.abs(sound_texture(np.roll(NOISE, 13)) - noise).max() < 1e-2


def test_equal_bands_are_correlated():
    """Card, test 7; and the correlations stand in the order of their offsets."""
    rng = np.random.default_rng(1)
    envelopes = rng.random((400, 32))
    envelopes[:, 9] = envelopes[:, 7]
    correlations = texture_statistics(envelopes)[GROUPS["correlation"]]
    assert correlations[31 + 7] == pytest.approx(1) and np.sum(correlations > 0.9) == 1


@pytest.mark.filterwarnings("error")
def test_silence_is_finite():
    """Card, test 9; and sounds that are silent for more than half of their time."""
    assert not sound_texture(np.zeros(20_000)).any()
    mostly = np.where(np.arange(20_000) < 6000, NOISE[:20_000], 0.0)
    assert np.isfinite(sound_texture(mostly)).all()
    assert np.isfinite(texture_statistics(np.eye(400, 32))).all(), "a loudness of 0, but for a few moments"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seconds, without", [(3.75, 0), (1.99, 1), (1.0, 2), (0.5, 3), (0.1, 5)])
def test_short_sounds_lack_slow_modulations(seconds, without):
    """Of 0.1 s, not one period of 7.169 Hz fits in."""
    modulation = sound_texture(NOISE[: round(20_000 * seconds)])[GROUPS["modulation"]].reshape(32, 10)
    assert (modulation == 0).all(axis=0).sum() == without and (modulation[:, without:] > 0).any(axis=0).all()


def test_lengths_are_cut_to_whole_frames():
    np.testing.assert_array_equal(sound_texture(NOISE[:20_049]), sound_texture(NOISE[:20_000]))
    assert cochleagram(NOISE[:20_049]).shape == (400, 32)


@pytest.mark.parametrize("wrong", [NOISE[:1999], np.zeros((3, 4000)), np.zeros(4000, np.int16)])
def test_what_is_no_sound_is_refused(wrong):
    with pytest.raises(ConfigError, match="`sound` must"):
        sound_texture(wrong)
    with pytest.raises(ConfigError, match="`rms` must be above 0"):
        cochleagram(NOISE, rms=0)


def test_groups_weigh_the_same():
    """Card, test 11; what does not vary counts neither."""
    drawn = np.random.default_rng(2).normal(3, np.arange(1, 503), (50, STATISTICS))
    drawn[:, 200:240] = 5.0
    mean, scale = group_scaling(drawn)
    vectors = (drawn - mean) * scale
    for group in GROUPS.values():
        assert np.mean(np.sum(vectors[:, group] ** 2, axis=1)) == pytest.approx(1, abs=1e-6)
    assert not vectors[:, 200:240].any()
