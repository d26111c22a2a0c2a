"""How close a set of predicted colors is to a set of true ones, as sets: hues, and features of a network."""

import numpy as np

from tfssl.color.metrics import NEUTRAL_CHROMA

HUES = 36
"""Bins of hue, of 10 degrees each; one more holds the pixels whose chroma is below ``NEUTRAL_CHROMA``."""


def hue_histogram(ab):
    """Number of pixels of each hue, and last of neutral ones, float64 (37,), of ab (..., 2)."""
    a, b = np.moveaxis(np.asarray(ab, np.float64), -1, 0)
    hue = (np.arctan2(b, a) / (2 * np.pi) % 1.0 * HUES).astype(int) % HUES
    bins = np.where(np.hypot(a, b) < NEUTRAL_CHROMA, HUES, hue)
    return np.bincount(bins.ravel(), minlength=HUES + 1).astype(np.float64)


def total_variation(first, second):
    """Half the sum of absolute differences of two histograms as distributions, in [0, 1]; NaN if one is empty."""
    if not (np.sum(first) and np.sum(second)):
        return float("nan")
    return float(0.5 * np.sum(np.abs(first / np.sum(first) - second / np.sum(second))))


def frechet_distance(mean1, covariance1, mean2, covariance2):
    """Squared Frechet distance of two Gaussians: ``|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))``.

    The trace of the root is taken of ``C1^(1/2) C2 C1^(1/2)``, which has the same eigenvalues and is symmetric: real,
    and exact for singular covariances too.

    Reference:
        D. Dowson, B. Landau: The Frechet distance between multivariate normal distributions. J. Multivariate Analysis
        12, 1982; M. Heusel et al.: GANs trained by a two time-scale update rule. NeurIPS 2017 (FID).
    """
    values, vectors = np.linalg.eigh(np.asarray(covariance1, np.float64))
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance2 @ root)
    difference = np.asarray(mean1, np.float64) - mean2
    traces = np.trace(covariance1) + np.trace(covariance2) - 2 * np.sum(np.sqrt(np.clip(product, 0, None)))
    return max(0.0, float(difference @ difference + traces))


def gaussian(features):
    """Mean (D,) and covariance (D, D) of features (N, D), shrunk as Ledoit and Wolf do.

    With fewer images than features a sample covariance is singular and its Frechet distances are biased; the shrunk one
    goes to it as N grows. Distances are comparable between sets of one size only.
    """
    from sklearn.covariance import ledoit_wolf

    features = np.asarray(features, np.float64)
    return features.mean(axis=0), ledoit_wolf(features)[0]
