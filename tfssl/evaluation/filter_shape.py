"""Shape of learned filters: are they oriented, and are they localized? An edge detector is both."""

import numpy as np

SELECTIVE, NARROW = 0.5, 0.85
"""A filter counts as a localized edge with at least this orientation selectivity and at most this spread."""


def orientation_selectivity(filters):
    """How much of a filter's power lies along one direction: 1 - circular variance of its spectrum.

    ``|sum_f P(f) e^{2 i theta(f)}| / sum_f P(f)`` over the power spectrum P of the filter less its mean, at the angles
    theta of the frequencies, doubled because theta and theta + pi are one orientation. 1 for a grating, 0 for a round
    blob or a constant, about 0.1 for noise of 12x12 pixels.

    Args:
        filters: float array (K, h, w), or (K, h, w, C), whose channels' powers are added.

    Returns:
        float64 (K,), in [0, 1].

    Reference:
        D. Ringach, R. Shapley, M. Hawken: Orientation Selectivity in Macaque V1. Journal of Neuroscience, 2002.
    """
    filters = _with_channels(filters)
    filters = filters - filters.mean(axis=(1, 2), keepdims=True)
    # Four times as many frequencies: on the filter's own grid low ones have few directions.
    sizes = [4 * size for size in filters.shape[1:3]]
    power = np.sum(np.abs(np.fft.fft2(filters, sizes, axes=(1, 2))) ** 2, axis=-1)
    y, x = (np.fft.fftfreq(size) for size in sizes)
    outside = (np.abs(y[:, None]) < 0.5) & (np.abs(x) < 0.5)  # -1/2 and 1/2 are one frequency with two directions
    power = power * outside
    total = power.sum(axis=(1, 2))
    doubled = np.exp(2j * np.arctan2(y[:, None], x))
    return np.abs((power * doubled).sum(axis=(1, 2))) / np.where(total > 0, total, 1.0)


def spatial_spread(filters):
    """How far a filter's energy reaches about its center, as a fraction of what an even filter of its size has.

    The root of the variance of position, weighed by the squared values less the filter's median (what lies outside an
    edge): 1 for a filter that fills its square, as a grating, noise or a constant; 0 for one pixel. float64 (K,).
    """
    filters = _with_channels(filters)
    filters = filters - np.median(filters, axis=(1, 2), keepdims=True)
    energy = np.sum(filters**2, axis=-1)
    total = energy.sum(axis=(1, 2), keepdims=True)
    energy = np.where(total > 0, energy / np.where(total > 0, total, 1.0), 1.0 / energy[0].size)
    variance, even = 0.0, 0.0
    for axis, size in ((1, filters.shape[1]), (2, filters.shape[2])):
        positions = np.arange(size)
        weights = energy.sum(axis=3 - axis)  # (K, size)
        center = weights @ positions
        variance = variance + weights @ positions**2 - center**2
        even += (size**2 - 1) / 12
    return np.sqrt(np.maximum(variance, 0.0) / even)


def filter_shape(filters):
    """Medians over filters, and the fraction of localized edges.

    Returns:
        ``{"filters", "filter_selectivity", "filter_spread", "filter_edges"}``, floats; the last one is the fraction
        with selectivity at least :data:`SELECTIVE` and spread at most :data:`NARROW`.
    """
    selectivity, spread = orientation_selectivity(filters), spatial_spread(filters)
    return {
        "filters": float(len(selectivity)),
        "filter_selectivity": float(np.median(selectivity)),
        "filter_spread": float(np.median(spread)),
        "filter_edges": float(np.mean((selectivity >= SELECTIVE) & (spread <= NARROW))),
    }


def _with_channels(filters):
    filters = np.asarray(filters, np.float64)
    if filters.ndim not in (3, 4) or 0 in filters.shape:
        raise ValueError(f"`filters` must be an array (K, h, w) or (K, h, w, C). Received: shape={filters.shape}")
    return filters if filters.ndim == 4 else filters[..., None]
