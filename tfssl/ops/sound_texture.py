"""Statistics of a sound's texture, what stays of it when its order in time is forgotten: NumPy and SciPy.

A sound at 20 kHz goes through 32 filters as wide as those of the ear; of the compressed envelopes of the bands, at
400 Hz, means, variations, correlations and modulations are taken. Constants are those of the released code.

Reference:
    J. McDermott, E. Simoncelli: Sound texture perception via statistics of the auditory periphery. Neuron 71, 2011.
    A. Owens, J. Wu, J. McDermott, W. Freeman, A. Torralba: Ambient Sound Provides Supervision for Visual Learning.
    ECCV 2016; andrewowens/multisensory, src/aolib/subband.py.
"""

import functools

import numpy as np
from scipy import fft
from scipy.signal import resample

from tfssl.errors import ConfigError
from tfssl.ops.arguments import check_floating, check_integers, check_shapes

SAMPLE_RATE = 20_000
"""Samples a second of the sounds."""

FRAME_RATE = 400
"""Values a second of the envelopes."""

BANDS = 32
"""Filters: 30 that are half a cosine on the ear's scale of frequencies, one for what lies below, one for above."""

MODULATIONS = 10
"""Filters of each envelope."""

OFFSETS = (1, 2, 3, 5)
"""Distances of the bands that are correlated."""

GROUPS = {
    "mean": slice(0, 32),
    "variation": slice(32, 64),
    "correlation": slice(64, 181),
    "modulation": slice(181, 501),
    "loudness": slice(501, 502),
}
"""Where each group of statistics stands; of the correlations all of one offset follow each other, of the modulations
all of one band. The paper speaks of 512 numbers; those that it names, and its code, are 502."""

STATISTICS = 502
"""Numbers in a texture."""

SHORTEST = 0.1
"""Seconds that a sound has to last: shorter ones have no frequency in the lowest band."""

_LOW, _HIGH = 20.0, 10_000.0  # Hz
_STEP = SAMPLE_RATE // FRAME_RATE  # samples
_LOW_MODULATION, _HIGH_MODULATION = 0.5, 200.0  # Hz
_EPSILON = float(np.finfo(np.float32).eps)
_ERB_WIDTH, _ERB_SCALE = 24.7, 9.265


def to_erb(hertz):
    """Number of equivalent rectangular bandwidths of the ear below a frequency: ``9.265 ln(1 + f / (24.7 9.265))``."""
    return _ERB_SCALE * np.log1p(np.asarray(hertz, np.float64) / (_ERB_WIDTH * _ERB_SCALE))


def from_erb(erb):
    """The frequency in Hz of a value of :func:`to_erb`."""
    return _ERB_WIDTH * _ERB_SCALE * np.expm1(np.asarray(erb, np.float64) / _ERB_SCALE)


def cutoffs():
    """Borders of the bands in Hz, float64 (32,): band k of 1 ... 30 lies between k - 1 and k + 1, its center at k."""
    return from_erb(np.linspace(to_erb(_LOW), to_erb(_HIGH), BANDS))


@functools.lru_cache(maxsize=8)
def cochlear_filters(samples):
    """Responses of the bands, float64 (samples // 2 + 1, 32), read-only; their squares sum to 1 at each frequency.

    Args:
        samples: length of the sound at 20 kHz, at least 0.1 s.
    """
    check_integers(round(SHORTEST * SAMPLE_RATE), samples=samples)
    frequencies, borders = fft.rfftfreq(samples, 1 / SAMPLE_RATE), cutoffs()
    erb, edges = to_erb(frequencies), to_erb(borders)
    filters = np.zeros((len(frequencies), BANDS))
    for k in range(1, BANDS - 1):
        inside = (frequencies > borders[k - 1]) & (frequencies < borders[k + 1])
        low, high = edges[k - 1], edges[k + 1]
        filters[inside, k] = np.cos(np.pi * (erb[inside] - (low + high) / 2) / (high - low))
    below, above = frequencies < borders[1], frequencies > borders[-2]
    filters[below, 0] = np.sqrt(1 - filters[below, 1] ** 2)
    filters[above, -1] = np.sqrt(1 - filters[above, -2] ** 2)
    filters.flags.writeable = False
    return filters


def split_bands(sound):
    """The bands of a sound, float64 (n, 32), by :func:`cochlear_filters`, circular; n even."""
    check_sound(sound)
    return fft.irfft(fft.rfft(np.asarray(sound, np.float64))[:, None] * cochlear_filters(len(sound)), axis=0)


def join_bands(bands):
    """The sound of which :func:`split_bands` made (n, 32): each band through its filter again, and their sum."""
    check_shapes(bands=(bands, f"n {BANDS}"))
    spectra = fft.rfft(np.asarray(bands, np.float64), axis=0) * cochlear_filters(len(bands))
    return fft.irfft(spectra.sum(axis=1))


def cochleagram(sound, rms=None):
    """Compressed envelopes of the bands: the absolute value of the analytic signal to the power of 0.3, at 400 Hz.

    Args:
        sound: float (n,) in [-1, 1], 20,000 samples a second, at least 0.1 s; cut to a multiple of 50 samples.
        rms: root mean square that the sound is scaled to; None (released code) leaves it. McDermott: 0.01.

    Returns:
        float64 (n // 50, 32), clipped to [-1, 1]; resampling after the compression may leave small negative values.
    """
    check_sound(sound)
    sound = np.asarray(sound, np.float64)[: len(sound) // _STEP * _STEP]
    if rms is not None:
        if not rms > 0:
            raise ConfigError(f"`rms` must be above 0, or None. Received: rms={rms!r}")
        sound = sound * (rms / max(1e-5, np.sqrt(np.mean(sound**2))))
    spectra = np.zeros((BANDS, len(sound)), np.complex128)
    # Bands as rows, and the analytic signal at once: positive frequencies twice, negative ones not at all.
    positive = fft.rfft(sound)
    positive[1:-1] *= 2
    spectra[:, : len(positive)] = positive * cochlear_filters(len(sound)).T
    envelopes = np.abs(fft.ifft(spectra, axis=1, overwrite_x=True)) ** 0.3
    return np.clip(resample(envelopes, len(sound) // _STEP, axis=1), -1.0, 1.0).T


@functools.lru_cache(maxsize=8)
def modulation_filters(frames):
    """Responses of the filters of an envelope, float64 (frames // 2 + 1, 10), read-only.

    Half a cosine from 0 to twice its center (Q = 1), centers from 0.5 to 200 Hz at equal ratios; divided by the root
    of the mean energy of all between the fourth center and the fourth from above.

    A filter of which less than one period fits into the envelope is 0 everywhere: below 2 s that of 0.5 Hz, in 1 s also
    that of 0.973 Hz. (The released code fails where no frequency lies in a filter.)
    """
    check_integers(round(SHORTEST * FRAME_RATE), frames=frames)
    frequencies = fft.rfftfreq(frames, 1 / FRAME_RATE)[:, None]
    centers = np.geomspace(_LOW_MODULATION, _HIGH_MODULATION, MODULATIONS)
    inside = (frequencies > 0) & (frequencies < 2 * centers)
    filters = np.where(inside, np.cos(np.pi * (frequencies - centers) / (2 * centers)), 0.0)
    middle = (frequencies[:, 0] >= centers[3]) & (frequencies[:, 0] <= centers[-4])
    filters /= np.sqrt(np.mean(np.sum(filters[middle] ** 2, axis=1)))
    filters[:, centers * frames < FRAME_RATE] = 0.0
    filters.flags.writeable = False
    return filters


def texture_statistics(envelopes, normalize=True):
    """The 502 statistics of a cochleagram, in the order of :data:`GROUPS`.

    With e the envelope of a band, var its variance and eps that of float32: ``mean``; ``sqrt(var / (eps + mean^2))``;
    correlations of bands 1, 2, 3 and 5 apart, 0 where one does not vary; ``sqrt(mean(r^2) / (eps + var))`` of the
    response r of each modulation filter; and loudness, the median over time of ``sqrt(sum of e^2 over the bands)``.

    Args:
        envelopes: float (frames, 32), of :func:`cochleagram`.
        normalize: divide the envelopes by the loudness first (paper): without it all means tell how loud a sound is.
            Where that is 0, because half of the sound or more is digital silence, they are left as they are.

    Returns:
        float64 (502,), finite also for silence.
    """
    check_shapes(envelopes=(envelopes, f"frames {BANDS}"))
    envelopes = np.asarray(envelopes, np.float64)
    loudness = np.median(np.sqrt(np.sum(envelopes**2, axis=1)))
    if normalize and loudness > 0:
        envelopes = envelopes / loudness
    frames, mean = len(envelopes), envelopes.mean(axis=0)
    centered = envelopes - mean
    variance = np.mean(centered**2, axis=0)
    deviation = np.sqrt(variance)
    scaled = np.divide(centered, deviation, out=np.zeros_like(centered), where=deviation > 0)
    correlations = scaled.T @ scaled / frames
    # Parseval: the mean square of a response is the sum of its squared spectrum, each frequency with its negative.
    power = np.abs(fft.rfft(envelopes, axis=0)) ** 2 / frames**2
    power[1:] *= 2
    if frames % 2 == 0:
        power[-1] /= 2
    modulation = np.sqrt(power.T @ modulation_filters(frames) ** 2 / (_EPSILON + variance)[:, None])
    return np.concatenate(
        [
            mean,
            np.sqrt(variance / (_EPSILON + mean**2)),
            *(np.diagonal(correlations, offset) for offset in OFFSETS),
            modulation.ravel(),
            [loudness],
        ]
    )


def sound_texture(sound, *, normalize=True, rms=None):
    """:func:`texture_statistics` of the :func:`cochleagram` of a sound: float64 (502,)."""
    return texture_statistics(cochleagram(sound, rms), normalize)


def group_scaling(textures):
    """How textures become vectors in which each of :data:`GROUPS` weighs the same: ``(x - mean) * scale``.

    Each number is standardized over the data and divided by the root of the size of its group (recalled), counting what
    varies; what does not becomes 0. The squared length of each group is then 1 on average over the data.

    Args:
        textures: float (N, 502), N at least 2.

    Returns:
        ``(mean, scale)``, float64 (502,).
    """
    check_shapes(textures=(textures, f"N {STATISTICS}"))
    textures = np.asarray(textures, np.float64)
    mean, deviation = textures.mean(axis=0), textures.std(axis=0)
    varies = deviation > 1e-6 * (1e-6 + np.abs(mean))  # float32 textures that are equal differ by rounding
    scale = np.zeros(STATISTICS)
    for group in GROUPS.values():
        size = max(np.count_nonzero(varies[group]), 1)
        scale[group] = np.where(varies[group], 1 / np.sqrt(size), 0.0) / np.where(varies[group], deviation[group], 1.0)
    return mean, scale


def check_sound(sound):
    """Raise ConfigError unless a sound is float (n,), at least 0.1 s of 20,000 samples a second."""
    check_shapes(sound=(sound, "n"))
    check_floating(sound=sound)
    if len(sound) < SHORTEST * SAMPLE_RATE:
        raise ConfigError(
            f"`sound` must last at least {SHORTEST} s, {round(SHORTEST * SAMPLE_RATE)} samples. "
            f"Received: {len(sound)} samples"
        )
